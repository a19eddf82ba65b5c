//! The subset of MessagePack that the app info in certificates needs, each value in its shortest form.

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
        assert_eq!(written(|out| out.text("ab")), [0xa2, b'a', b'b']);
        assert_eq!(written(|out| out.text(&"x".repeat(40)))[..2], [0xd9, 40]);
        assert_eq!(written(|out| out.text(&"x".repeat(300)))[..3], [0xda, 1, 44]);
        assert_eq!(written(|out| out.bytes(b"a")), [0xc4, 1, b'a']);
        assert_eq!(written(|out| out.bytes(&[0; 300]))[..3], [0xc5, 1, 44]);
        assert_eq!(written(|out| out.map(3)), [0x83]);
    }
}
