//! The subset of the SCALE encoding that attestations need: little-endian integers, and byte strings and lists that a
//! compact length precedes.

/// Writes SCALE.
#[derive(Debug, Default)]
pub(super) struct Scale(Vec<u8>);

impl Scale {
    /// The index of a variant.
    pub(super) fn variant(&mut self, index: u8) {
        self.0.push(index);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    /// The number of elements of a list.
    pub(super) fn length(&mut self, length: usize) {
        match length {
            0..0x40 => self.0.push((length as u8) << 2),
            0x40..0x4000 => self.0.extend(((length as u16) << 2 | 1).to_le_bytes()),
            // Longer than 1 GiB is not representable in this form, and nothing here comes near it.
            _ => self.0.extend(((length as u32) << 2 | 2).to_le_bytes()),
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Bytes whose number the reader knows.
    pub(super) fn array<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of the SCALE specification for compact integers.
    #[test]
    fn compact_lengths() {
        let compact = |length| {
            let mut scale = Scale::default();
            scale.length(length);
            scale.finish()
        };
        assert_eq!(compact(0), [0x00]);
        assert_eq!(compact(1), [0x04]);
        assert_eq!(compact(42), [0xa8]);
        assert_eq!(compact(69), [0x15, 0x01]);
        assert_eq!(compact(65535), [0xfe, 0xff, 0x03, 0x00]);
    }
}
