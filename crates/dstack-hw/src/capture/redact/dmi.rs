//! The SMBIOS tables (DMTF DSP0134): strings that number a machine or its parts are blanked, the structure stays.

use std::ops::Range;

use super::Redactor;
use super::names::Kind;

/// The most structures that are gone through.
const MAX_STRUCTURES: usize = 16_384;

/// Types from here on are the vendor's own: nobody knows what is in them.
const VENDORS_OWN: u8 = 128;

/// By type: offsets of bytes that name a string which numbers something.
const NUMBERING_STRINGS: [(u8, &[usize]); 7] = [
    (1, &[0x07]),
    (2, &[0x07, 0x08]),
    (3, &[0x07, 0x08]),
    (4, &[0x20, 0x21]),
    (17, &[0x18, 0x19]),
    (22, &[0x07]),
    (39, &[0x08, 0x09]),
];

/// Types of which all strings are blanked: OEM strings and options, where vendors put tags.
const ALL_STRINGS: [u8; 2] = [11, 12];

/// The management controller's host interface: its data hold UUIDs, addresses and names.
const HOST_INTERFACE: u8 = 42;

/// The UUID of the system, in type 1.
const UUID: Range<usize> = 0x08..0x18;

impl Redactor {
    /// The tables with what numbers the machine blanked. What comes after a structure that is not understood is dropped.
    pub(super) fn dmi(&mut self, table: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(table.len());
        let mut rest = table;
        for _ in 0..MAX_STRUCTURES {
            let Some((structure, strings, after)) = split(rest) else { break };
            let (structure, strings) = self.structure(structure, strings);
            kept.extend(structure);
            kept.extend(strings);
            rest = after;
        }
        kept
    }

    fn structure(&mut self, structure: &[u8], strings: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut structure = structure.to_vec();
        let mut strings = strings.to_vec();
        let kind = structure.first().copied().unwrap_or_default();
        if kind >= VENDORS_OWN || kind == HOST_INTERFACE {
            // Type, length and handle stay.
            structure.iter_mut().skip(4).for_each(|byte| *byte = 0);
        }
        if kind == 1 {
            structure.iter_mut().take(UUID.end).skip(UUID.start).for_each(|byte| *byte = 0);
        }
        let all = kind >= VENDORS_OWN || kind == HOST_INTERFACE || ALL_STRINGS.contains(&kind);
        let numbering =
            NUMBERING_STRINGS.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, offsets)| offsets);
        let numbers: Vec<usize> = numbering
            .iter()
            .filter_map(|offset| structure.get(*offset))
            .map(|&number| usize::from(number))
            .collect();
        for (index, range) in string_ranges(&strings).into_iter().enumerate() {
            if (all || numbers.contains(&(index + 1)))
                && let Some(string) = strings.get_mut(range)
                && string.iter().any(|byte| *byte != b'-')
            {
                self.names.number(Kind::Serial, &String::from_utf8_lossy(string));
                string.fill(b'-');
            }
        }
        (structure, strings)
    }
}

/// Splits the first structure off: its formatted part, its strings with both ends, and what follows.
fn split(table: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let length = usize::from(*table.get(1)?);
    if length < 4 || table.len() < length {
        return None;
    }
    let (structure, rest) = table.split_at(length);
    let end = rest.windows(2).position(|pair| pair == [0, 0])? + 2;
    let (strings, after) = rest.split_at(end);
    Some((structure, strings, after))
}

/// Where the strings are, without their ends.
fn string_ranges(strings: &[u8]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    for string in strings.split(|byte| *byte == 0) {
        if string.is_empty() {
            break;
        }
        ranges.push(at..at + string.len());
        at += string.len() + 1;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Redactor;
    use super::super::identity::Identity;

    fn dmi(table: &[u8]) -> Vec<u8> {
        Redactor::new(Identity::default()).dmi(table)
    }

    fn structure(kind: u8, formatted: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![kind, u8::try_from(4 + formatted.len()).unwrap(), 1, 0];
        bytes.extend(formatted);
        for string in strings {
            bytes.extend(string.as_bytes());
            bytes.push(0);
        }
        bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0] });
        bytes
    }

    #[test]
    fn serial_numbers_are_blanked_and_the_structure_stays() {
        // Manufacturer, product, version, serial, UUID.
        let mut system = vec![1, 2, 3, 4];
        system.extend([0xab; 16]);
        let mut table = structure(1, &system, &["Dell Inc.", "PowerEdge R760", "v1", "7XK2PQ3"]);
        // A memory device: manufacturer at 0x17, serial 0x18, asset 0x19, part 0x1a.
        let mut memory = vec![0; 0x17];
        memory[0x13..].copy_from_slice(&[1, 2, 3, 4]);
        table.extend(structure(17, &memory, &["Samsung", "80CE0123", "A1-TAG", "M321R8GA0BB0"]));
        table.extend(structure(208, &[9, 9], &["TAG7XK2PQ3"]));
        table.extend(structure(127, &[], &[]));
        let kept = dmi(&table);
        assert_eq!(kept.len(), table.len());
        let text = String::from_utf8_lossy(&kept);
        for stays in ["Dell Inc.", "PowerEdge R760", "Samsung", "M321R8GA0BB0"] {
            assert!(text.contains(stays), "{stays}");
        }
        for goes in ["7XK2PQ3", "80CE0123", "A1-TAG"] {
            assert!(!text.contains(goes), "{goes}");
        }
        assert!(!kept.contains(&0xab));
        assert_eq!(dmi(&kept), kept);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_and_none_are_added(table in proptest::collection::vec(any::<u8>(), 0..200)) {
            let kept = dmi(&table);
            prop_assert!(kept.len() <= table.len());
            prop_assert_eq!(dmi(&kept), kept);
        }
    }
}
