//! The subset of MessagePack that attestations need, each value in its shortest form.

/// Writes MessagePack.
#[derive(Debug, Default)]
pub(crate) struct MessagePack(Vec<u8>);

impl MessagePack {
    /// A map; as many keys and values follow as it has entries.
    pub(crate) fn map(&mut self, entries: usize) {
        match entries {
            0..16 => self.0.push(0x80 | entries as u8),
            _ => {
                self.0.push(0xde);
                self.0.extend((entries as u16).to_be_bytes());
            }
        }
    }

    /// A list; as many values follow as it has elements.
    pub(crate) fn list(&mut self, elements: usize) {
        match elements {
            0..16 => self.0.push(0x90 | elements as u8),
            16..0x1_0000 => {
                self.0.push(0xdc);
                self.0.extend((elements as u16).to_be_bytes());
            }
            _ => {
                self.0.push(0xdd);
                self.0.extend((elements as u32).to_be_bytes());
            }
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        let length = text.len();
        match length {
            0..32 => self.0.push(0xa0 | length as u8),
            32..0x100 => self.0.extend([0xd9, length as u8]),
            0x100..0x1_0000 => {
                self.0.push(0xda);
                self.0.extend((length as u16).to_be_bytes());
            }
            _ => {
                self.0.push(0xdb);
                self.0.extend((length as u32).to_be_bytes());
            }
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let length = bytes.len();
        match length {
            0..0x100 => self.0.extend([0xc4, length as u8]),
            0x100..0x1_0000 => {
                self.0.push(0xc5);
                self.0.extend((length as u16).to_be_bytes());
            }
            _ => {
                self.0.push(0xc6);
                self.0.extend((length as u32).to_be_bytes());
            }
        }
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn uint(&mut self, value: u32) {
        match value {
            0..0x80 => self.0.push(value as u8),
            0x80..0x100 => self.0.extend([0xcc, value as u8]),
            0x100..0x1_0000 => {
                self.0.push(0xcd);
                self.0.extend((value as u16).to_be_bytes());
            }
            _ => {
                self.0.push(0xce);
                self.0.extend(value.to_be_bytes());
            }
        }
    }

    /// Bytes as a list of integers, which is how upstream's encoder writes those it has no byte string type for.
    pub(crate) fn uints(&mut self, bytes: &[u8]) {
        self.list(bytes.len());
        for byte in bytes {
            self.uint(u32::from(*byte));
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut MessagePack)) -> Vec<u8> {
        let mut out = MessagePack::default();
        write(&mut out);
        out.finish()
    }

    #[test]
    fn the_shortest_form_is_taken() {
        assert_eq!(written(|out| out.uint(127)), [0x7f]);
        assert_eq!(written(|out| out.uint(200)), [0xcc, 200]);
        assert_eq!(written(|out| out.uint(0x1234)), [0xcd, 0x12, 0x34]);
        assert_eq!(written(|out| out.uint(134_217_729)), [0xce, 8, 0, 0, 1]);
        assert_eq!(written(|out| out.text("ab")), [0xa2, b'a', b'b']);
        assert_eq!(written(|out| out.text(&"x".repeat(40)))[..2], [0xd9, 40]);
        assert_eq!(written(|out| out.text(&"x".repeat(300)))[..3], [0xda, 1, 44]);
        assert_eq!(written(|out| out.bytes(b"a")), [0xc4, 1, b'a']);
        assert_eq!(written(|out| out.bytes(&[0; 300]))[..3], [0xc5, 1, 44]);
        assert_eq!(written(|out| out.uints(&[1, 0xff])), [0x92, 1, 0xcc, 0xff]);
        assert_eq!(written(|out| out.list(5010)), [0xdc, 0x13, 0x92]);
        assert_eq!(written(|out| out.map(3)), [0x83]);
    }
}
