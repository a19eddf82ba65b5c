//! The structure table of SMBIOS (DMTF DSP0134, section 6): a walk over its structures.
//!
//! An own reader, because the table comes from firmware and from captures that anybody may have made: the published
//! readers that were looked at index with lengths taken from the table, and stop at the first structure that is odd.

/// The most structures of one table.
const MAX_STRUCTURES: usize = 4096;

/// The longest string that is kept, in bytes.
const MAX_STRING: usize = 256;

/// One structure: its formatted area and its strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure<'a> {
    /// Its type: 4 for a processor, 17 for a memory device.
    pub kind: u8,
    /// Its handle, by which others refer to it.
    pub handle: u16,
    formatted: &'a [u8],
    strings: &'a [u8],
}

/// The structures of a table, up to its end marker (type 127) or the first that does not fit into it.
pub fn structures(table: &[u8]) -> impl Iterator<Item = Structure<'_>> {
    let mut rest = table;
    std::iter::from_fn(move || {
        let (structure, after) = Structure::split(rest)?;
        rest = if structure.kind == 127 { &[] } else { after };
        Some(structure)
    })
    .take(MAX_STRUCTURES)
}

impl<'a> Structure<'a> {
    /// The first structure of a table, and what follows it.
    fn split(table: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [kind, length, low, high, ..] = *table else { return None };
        let formatted = table.get(..usize::from(length)).filter(|area| area.len() >= 4)?;
        let tail = table.get(usize::from(length)..)?;
        // The strings end with an empty one; a structure without strings has two zeros.
        let end = tail.windows(2).position(|pair| pair == [0, 0])?;
        let strings = tail.get(..=end)?;
        let after = tail.get(end + 2..)?;
        Some((Self { kind, handle: u16::from_le_bytes([low, high]), formatted, strings }, after))
    }

    /// The byte at this offset of the structure; `None` where the structure is of an older, shorter form.
    pub fn byte(&self, offset: usize) -> Option<u8> {
        self.formatted.get(offset).copied()
    }

    /// The little-endian word at this offset.
    pub fn word(&self, offset: usize) -> Option<u16> {
        let bytes = self.formatted.get(offset..offset.checked_add(2)?)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The little-endian double word at this offset.
    pub fn dword(&self, offset: usize) -> Option<u32> {
        let bytes = self.formatted.get(offset..offset.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The string whose number is at this offset, without blanks around it. `None` for number 0, a number beyond the
    /// strings there are, and an empty string.
    pub fn string(&self, offset: usize) -> Option<String> {
        let number = usize::from(self.byte(offset)?);
        let bytes = self.strings.split(|byte| *byte == 0).nth(number.checked_sub(1)?)?;
        let text = String::from_utf8_lossy(bytes.get(..MAX_STRING).unwrap_or(bytes));
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A structure as bytes.
    pub(in super::super) fn build(kind: u8, handle: u16, area: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![kind, u8::try_from(area.len() + 4).unwrap()];
        bytes.extend(handle.to_le_bytes());
        bytes.extend(area);
        for string in strings {
            bytes.extend(string.as_bytes());
            bytes.push(0);
        }
        bytes.push(0);
        if strings.is_empty() {
            bytes.push(0);
        }
        bytes
    }

    #[test]
    fn structures_one_after_the_other() {
        let mut table = build(4, 0x400, &[1, 2, 0x34, 0x12], &["CPU1", " Genuine "]);
        table.extend(build(32, 1, &[], &[]));
        table.extend(build(127, 2, &[], &[]));
        table.extend(build(4, 3, &[], &[]));
        let found: Vec<_> = structures(&table).collect();
        assert_eq!(found.len(), 3, "what follows the end marker is not read");
        assert_eq!(found[0].string(4).as_deref(), Some("CPU1"));
        assert_eq!(found[0].string(5).as_deref(), Some("Genuine"));
        assert_eq!(found[0].word(6), Some(0x1234));
        assert_eq!((found[0].word(7), found[0].dword(6), found[0].byte(8)), (None, None, None));
        assert_eq!((found[0].handle, found[1].kind), (0x400, 32));
    }

    #[test]
    fn a_table_that_is_cut_off_ends_there() {
        let table = build(17, 0, &[0; 20], &["DIMM_A1"]);
        for length in 0..table.len() {
            assert_eq!(structures(&table[..length]).count(), 0);
        }
        assert_eq!(structures(&[17, 3, 0, 0, 0, 0]).count(), 0, "a length below the header's");
    }

    proptest! {
        #[test]
        fn no_table_is_too_odd(table in prop::collection::vec(any::<u8>(), 0..400)) {
            for structure in structures(&table) {
                for offset in [0, 5, 0x1C, 0x60, usize::MAX] {
                    let _ = (structure.string(offset), structure.word(offset), structure.dword(offset));
                }
            }
        }

        #[test]
        fn what_was_built_is_read(
            parts in prop::collection::vec((0u8..127, any::<u16>(), prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec("[A-Z0-9]{1,9}", 0..4)), 0..9)
        ) {
            let mut table = Vec::new();
            for (kind, handle, area, strings) in &parts {
                let strings: Vec<&str> = strings.iter().map(String::as_str).collect();
                table.extend(build(*kind, *handle, area, &strings));
            }
            let read: Vec<(u8, u16)> = structures(&table).map(|one| (one.kind, one.handle)).collect();
            let built: Vec<(u8, u16)> = parts.iter().map(|part| (part.0, part.1)).collect();
            prop_assert_eq!(read, built);
        }
    }
}
