//! `/proc/net/tcp` and its kin: addresses in hex, in the byte order of the processor (Linux `net/ipv4/tcp_ipv4.c`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Redactor;
use super::addresses::says_something;
use super::names::Kind;

/// The columns with the local and the remote address.
const COLUMNS: [usize; 2] = [1, 2];

impl Redactor {
    /// Puts addresses for documentation (RFC 5737, RFC 3849) in place of those of networks. Ports, states and owners
    /// stay.
    pub(super) fn socket_table(&mut self, text: &str) -> String {
        let mut redacted = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let mut column = 0;
            // Blanks are kept as they are: the table is read by column, and by people.
            for part in line.split_inclusive(' ') {
                let word = part.trim_end();
                if COLUMNS.contains(&column)
                    && let Some((address, port)) = word.split_once(':')
                    && let Some(instead) = self.socket_address(address)
                {
                    redacted
                        .push_str(&format!("{instead}:{port}{}", part.get(word.len()..).unwrap_or_default()));
                } else {
                    redacted.push_str(part);
                }
                column += usize::from(!word.is_empty());
            }
        }
        redacted
    }

    /// Another address in the same form. `None` where this one may stay or is none.
    fn socket_address(&mut self, hex: &str) -> Option<String> {
        let words: Vec<u32> = hex
            .as_bytes()
            .chunks(8)
            .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
            .collect::<Option<_>>()?;
        let (address, mapped) = match (words.as_slice(), hex.len()) {
            (&[word], 8) => (IpAddr::V4(Ipv4Addr::from(word.to_le_bytes())), false),
            (&[a, b, c, d], 32) => {
                let mut octets = [0; 16];
                for (octet, byte) in
                    octets.iter_mut().zip([a, b, c, d].iter().flat_map(|word| word.to_le_bytes()))
                {
                    *octet = byte;
                }
                let address = Ipv6Addr::from(octets);
                (IpAddr::V6(address), address.to_ipv4_mapped().is_some())
            }
            _ => return None,
        };
        if !says_something(address) {
            return None;
        }
        let number = self.names.number(Kind::Ip, &address.to_string());
        let last = u8::try_from((number - 1) % 254 + 1).unwrap_or(1);
        let v4 = Ipv4Addr::new(192, 0, 2, last);
        let octets = match address {
            IpAddr::V4(_) => return Some(format!("{:08X}", u32::from_le_bytes(v4.octets()))),
            IpAddr::V6(_) if mapped => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)).octets(),
        };
        Some(
            octets
                .chunks_exact(4)
                .filter_map(|word| word.try_into().ok())
                .map(|word| format!("{:08X}", u32::from_le_bytes(word)))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Redactor;
    use super::super::identity::Identity;

    #[test]
    fn addresses_of_networks_are_replaced_and_everything_else_stays() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     \x20  0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n\
                     \x20  1: 0302010A:0D73 0908070A:A2B4 01 00000000:00000000 00:00000000 00000000     0        0 2 1\n\
                     \x20  2: 0000000000000000FFFF00000302010A:0016 00000000000000000000000000000000:0000 0A 00000000:00000000\n\
                     \x20  3: F804012A000000000000000001000000:0016 00000000000000000000000001000000:0000 0A 00000000:00000000\n";
        let redacted = Redactor::new(Identity::default()).socket_table(table);
        assert_eq!(
            redacted,
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n\
             \x20  1: 010200C0:0D73 020200C0:A2B4 01 00000000:00000000 00:00000000 00000000     0        0 2 1\n\
             \x20  2: 0000000000000000FFFF0000030200C0:0016 00000000000000000000000000000000:0000 0A 00000000:00000000\n\
             \x20  3: B80D0120000000000000000004000000:0016 00000000000000000000000001000000:0000 0A 00000000:00000000\n"
        );
        assert_eq!(Redactor::new(Identity::default()).socket_table(&redacted), redacted);
    }
}
