//! The DIMM slots of the firmware's table: SMBIOS type 16 (arrays) and type 17 (devices), DMTF DSP0134 sections 7.17 and
//! 7.18. Serial numbers and asset tags are in the table and are not read.

use std::collections::BTreeMap;

use serde::Serialize;

use super::smbios::{Structure, structures};

/// The most slots that are kept.
const MAX_SLOTS: usize = 512;

/// The slots for memory, and what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Population {
    /// Every slot of system memory, in the order of the table.
    pub slots: Vec<Dimm>,
    /// Processor sockets that are populated, from SMBIOS type 4. 0 where the table does not say.
    pub processors: usize,
}

/// A slot for memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Dimm {
    /// The slot as printed on the board: `CPU1_DIMM_A1`, `P1-DIMMA1`, `A1`.
    pub locator: String,
    /// The bank as the firmware names it: `P0_Node0_Channel0_Dimm0`.
    pub bank: String,
    /// What is in it, in MiB. 0 for an empty slot.
    pub size: u64,
    /// Ranks; `None` where the table does not say.
    pub ranks: Option<u8>,
    /// The speed it runs at, or else the speed it is made for, in MT/s.
    pub speed: Option<u32>,
    /// The maker's part number.
    pub part: Option<String>,
    /// Is it persistent memory rather than DRAM (SMBIOS memory technology 4 to 7)?
    pub persistent: bool,
}

impl Dimm {
    /// The socket it belongs to, where locator or bank tell: counted from whatever the maker counts from. A guess from
    /// the names that makers use.
    pub fn socket(&self) -> Option<u32> {
        socket_of(&self.locator).or_else(|| socket_of(&self.bank))
    }

    const fn is_populated(&self) -> bool {
        self.size > 0
    }
}

/// What is populated at one socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SocketPopulation {
    /// Slots.
    pub slots: usize,
    /// Slots with DRAM in them.
    pub populated: usize,
    /// The sizes in them, in MiB, smallest first.
    pub sizes: Vec<u64>,
}

impl Population {
    /// Reads a structure table.
    pub fn parse(table: &[u8]) -> Self {
        let mut population = Self::default();
        // Flash, cache and video memory have arrays of their own: only those for system memory (use 3) count.
        let mut other_arrays = Vec::new();
        for structure in structures(table) {
            match structure.kind {
                // Bit 6 of the status: the socket is populated. Processor type 3: a central processor.
                4 if structure.byte(0x05) == Some(3)
                    && structure.byte(0x18).is_some_and(|it| it & 0x40 != 0) =>
                {
                    population.processors += 1;
                }
                16 if structure.byte(0x05) != Some(3) => other_arrays.push(structure.handle),
                17 if population.slots.len() < MAX_SLOTS
                    && !structure.word(0x04).is_some_and(|array| other_arrays.contains(&array)) =>
                {
                    population.slots.push(slot(&structure));
                }
                _ => {}
            }
        }
        population
    }

    /// The slots with DRAM in them.
    pub fn populated(&self) -> impl Iterator<Item = &Dimm> {
        self.slots.iter().filter(|dimm| dimm.is_populated() && !dimm.persistent)
    }

    /// The population a socket. Empty where one populated slot's name does not tell its socket.
    pub fn sockets(&self) -> BTreeMap<u32, SocketPopulation> {
        let mut sockets: BTreeMap<u32, SocketPopulation> = BTreeMap::new();
        for dimm in &self.slots {
            let Some(number) = dimm.socket() else {
                if dimm.is_populated() {
                    return BTreeMap::new();
                }
                continue;
            };
            let socket = sockets.entry(number).or_default();
            socket.slots += 1;
            if dimm.is_populated() && !dimm.persistent {
                socket.populated += 1;
                socket.sizes.push(dimm.size);
            }
        }
        for socket in sockets.values_mut() {
            socket.sizes.sort_unstable();
        }
        sockets
    }
}

/// A memory device. Older forms of the structure are shorter: what is beyond their end is not known.
fn slot(structure: &Structure<'_>) -> Dimm {
    let size = match structure.word(0x0C) {
        None | Some(0 | 0xFFFF) => 0,
        // Too large for the field: the extended size, in MiB; its highest bit is reserved.
        Some(0x7FFF) => u64::from(structure.dword(0x1C).unwrap_or(0) & 0x7FFF_FFFF),
        // The highest bit says that the unit is KiB.
        Some(kib) if kib & 0x8000 != 0 => u64::from(kib & 0x7FFF) / 1024,
        Some(mib) => u64::from(mib),
    };
    let speed = |short: usize, long: usize| match structure.word(short) {
        None | Some(0) => None,
        Some(0xFFFF) => structure.dword(long).map(|speed| speed & 0x7FFF_FFFF).filter(|speed| *speed != 0),
        Some(speed) => Some(u32::from(speed)),
    };
    Dimm {
        locator: structure.string(0x10).unwrap_or_default(),
        bank: structure.string(0x11).unwrap_or_default(),
        size,
        ranks: structure.byte(0x1B).map(|it| it & 0xF).filter(|ranks| *ranks != 0),
        speed: speed(0x20, 0x58).or_else(|| speed(0x15, 0x54)),
        part: structure.string(0x1A),
        persistent: structure.byte(0x28).is_some_and(|technology| (4..=7).contains(&technology)),
    }
}

/// The number of the socket in the name of a slot or bank.
fn socket_of(name: &str) -> Option<u32> {
    let name = name.to_ascii_uppercase();
    // "CPU1_DIMM_A1", "PROC 1 DIMM 1", "SOCKET 0", "P1-DIMMA1", "P0_Node0_Channel0_Dimm0", "NODE 1".
    for word in ["CPU", "PROC", "SOCKET", "P", "NODE"] {
        for (at, _) in name.match_indices(word) {
            let before = name.get(..at).and_then(|text| text.chars().next_back());
            if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
                continue;
            }
            let rest = name.get(at + word.len()..)?.trim_start_matches([' ', '_', '-', '#']);
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if let Some(number) = rest.get(..end).and_then(|digits| digits.parse().ok()) {
                return Some(number);
            }
        }
    }
    // Dell names the slots of the first socket A1 to A16 and those of the second B1 to B16.
    let mut characters = name.chars();
    let letter = characters.next().filter(|letter| ('A'..='D').contains(letter))?;
    let digits = characters.as_str();
    (matches!(digits.len(), 1 | 2) && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| u32::from(letter) - u32::from('A'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::smbios::tests::build;
    use super::*;

    /// A memory device of SMBIOS 3.3, 0x5C bytes long.
    fn device(locator: &str, bank: &str, size: u16, extended: u32) -> Vec<u8> {
        let mut area = vec![0u8; 0x5C - 4];
        let mut put =
            |offset: usize, bytes: &[u8]| area[offset - 4..offset - 4 + bytes.len()].copy_from_slice(bytes);
        put(0x04, &0x1000u16.to_le_bytes());
        put(0x0C, &size.to_le_bytes());
        put(0x10, &[1, 2]);
        put(0x15, &5600u16.to_le_bytes());
        put(0x18, &[3]);
        put(0x1A, &[4, 2]);
        put(0x1C, &extended.to_le_bytes());
        put(0x20, &4800u16.to_le_bytes());
        put(0x28, &[3]);
        build(17, 0x1100, &area, &[locator, bank, "SERIAL123", "M321R4GA3BB6-CQKET"])
    }

    fn array(handle: u16, usage: u8) -> Vec<u8> {
        build(16, handle, &[3, usage, 6, 0, 0, 0, 0, 0xFE, 0xFF, 2, 0], &[])
    }

    #[test]
    fn sizes_speeds_and_no_serial_number() {
        let mut table = array(0x1000, 3);
        table.extend(device("CPU1_DIMM_A1", "NODE 1", 0x7FFF, 65_536));
        table.extend(device("CPU1_DIMM_A2", "NODE 1", 0, 0));
        table.extend(device("CPU2_DIMM_A1", "NODE 2", 32_768 - 2, 0));
        table.extend(device("CPU2_DIMM_A2", "NODE 2", 0x8000 | 2048, 0));
        let population = Population::parse(&table);
        let sizes: Vec<u64> = population.slots.iter().map(|dimm| dimm.size).collect();
        assert_eq!(sizes, [65_536, 0, 32_766, 2]);
        let first = &population.slots[0];
        assert_eq!((first.ranks, first.speed), (Some(2), Some(4800)));
        assert_eq!(first.part.as_deref(), Some("M321R4GA3BB6-CQKET"));
        assert!(!format!("{population:?}").contains("SERIAL123"));
        let sockets = population.sockets();
        assert_eq!((sockets[&1].slots, sockets[&1].populated, sockets[&2].populated), (2, 1, 2));
    }

    #[test]
    fn memory_that_is_not_system_memory_is_no_slot() {
        let mut table = array(0x1000, 5);
        table.extend(device("SYSTEM ROM", "", 32, 0));
        assert!(Population::parse(&table).slots.is_empty());
    }

    #[test]
    fn processors_that_are_there() {
        let processor = |status: u8| {
            let mut area = vec![0u8; 0x1A - 4];
            area[1] = 3;
            area[0x18 - 4] = status;
            build(4, 4, &area, &["CPU"])
        };
        let table = [processor(0x41), processor(0x41), processor(0x00)].concat();
        assert_eq!(Population::parse(&table).processors, 2);
    }

    #[test]
    fn names_of_slots() {
        let cases = [
            ("CPU1_DIMM_A1", Some(1)),
            ("CPU2-DIMMB1", Some(2)),
            ("PROC 2 DIMM 13", Some(2)),
            ("P1-DIMMA1", Some(1)),
            ("P0_Node1_Channel0_Dimm0", Some(0)),
            ("NODE 1 CHANNEL 2", Some(1)),
            ("A1", Some(0)),
            ("B16", Some(1)),
            ("DIMM_A1", None),
            ("DIMM 0", None),
            ("", None),
            ("Bank 7", None),
        ];
        for (name, socket) in cases {
            assert_eq!(socket_of(name), socket, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_table_is_too_odd(mut bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..90) {
            let mut table = array(0x1000, 3);
            table.extend(device("CPU1_DIMM_A1", "NODE 1", 0x7FFF, 65_536));
            if let Some(byte) = table.get_mut(at) {
                *byte = bytes.first().copied().unwrap_or(0xFF);
            }
            table.append(&mut bytes);
            let population = Population::parse(&table);
            prop_assert!(population.sockets().len() <= population.slots.len());
        }

        #[test]
        fn no_name_is_too_odd(name in "\\PC{0,40}") {
            let _ = socket_of(&name);
        }
    }
}
