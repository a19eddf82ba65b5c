//! MAC and IP addresses in texts, told apart from what looks like them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// MAC addresses and world-wide names: six or more groups of two hex digits. PCI addresses (`0000:98:00.0`) and times
/// have groups of other lengths or fewer of them.
pub(super) fn macs(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match mac_at(bytes, at) {
            Some(end) => {
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

fn mac_at(bytes: &[u8], start: usize) -> Option<usize> {
    if is_word_before(bytes, start) {
        return None;
    }
    let group = |at: usize| {
        let digits = bytes.get(at..at + 2)?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 2)
    };
    let mut end = group(start)?;
    let separator = *bytes.get(end).filter(|byte| matches!(byte, b':' | b'-'))?;
    let mut groups = 1;
    while bytes.get(end) == Some(&separator)
        && let Some(next) = group(end + 1)
    {
        end = next;
        groups += 1;
    }
    let whole = !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
    // With dashes only a MAC address is taken: dates and names have dashes too.
    let enough = if separator == b':' { groups >= 6 } else { groups == 6 };
    let digits: Vec<u8> = bytes.get(start..end)?.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let says_nothing =
        digits.iter().all(|digit| *digit == b'0') || digits.iter().all(|digit| matches!(digit, b'f' | b'F'));
    (whole && enough && !says_nothing).then_some(end)
}

/// IP addresses other than loopback, unspecified and documentation ones.
pub(super) fn ips(text: &str) -> Vec<(Range<usize>, IpAddr)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let is_start = bytes.get(at).is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b':');
        if !is_start {
            at += 1;
            continue;
        }
        let v6 = if is_word_before(bytes, at) { None } else { v6_at(text, at) };
        let taken = v6.or_else(|| if is_number_before(bytes, at) { None } else { v4_at(text, at) });
        match taken {
            Some((end, address)) => {
                if says_something(address) {
                    found.push((at..end, address));
                }
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Is it an address that tells something about a network?
pub(super) fn says_something(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_documentation()
                || is_mask(v4))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => says_something(IpAddr::V4(v4)),
            None => !(v6.is_loopback() || v6.is_unspecified() || v6.segments()[..2] == [0x2001, 0x0db8]),
        },
    }
}

/// `255.255.255.0` and the like.
fn is_mask(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    address.octets()[0] == 255 && bits.leading_ones() + bits.trailing_zeros() == 32
}

fn v6_at(text: &str, start: usize) -> Option<(usize, IpAddr)> {
    let bytes = text.as_bytes();
    let rest = bytes.get(start..)?;
    let length = rest
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        .count();
    let mut end = start + length;
    if bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        return None;
    }
    // The point at the end of a sentence, the colon before what is said about the address.
    loop {
        let token = text.get(start..end)?;
        if token.bytes().filter(|byte| *byte == b':').count() < 2 {
            return None;
        }
        if let Ok(address) = token.parse::<Ipv6Addr>() {
            return looks_like_v6(token).then_some((end, IpAddr::V6(address)));
        }
        token.ends_with([':', '.']).then_some(())?;
        end -= 1;
    }
}

/// Control groups (`0::/init.scope`), times and lists of numbers parse as addresses too. An address of a network has a
/// group of three digits or more, and something besides it, or it is long.
fn looks_like_v6(token: &str) -> bool {
    let groups: Vec<&str> = token.split(':').filter(|group| !group.is_empty()).collect();
    groups.len() >= 2 && groups.iter().any(|group| group.len() >= 3)
}

fn v4_at(text: &str, start: usize) -> Option<(usize, IpAddr)> {
    let bytes = text.as_bytes();
    let mut octets = [0_u8; 4];
    let mut at = start;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            (bytes.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        let length = bytes.get(at..)?.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let digits = text.get(at..at + length)?;
        // `2.0.08.00` is the version of a TDX module.
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        *octet = digits.parse().ok()?;
        at += length;
    }
    let after = bytes.get(at).copied();
    let then = bytes.get(at + 1).copied();
    let goes_on = match after {
        Some(b'.') => then.is_some_and(|byte| byte.is_ascii_alphanumeric()),
        // `1.23.100.4-noble1` is the version of a package, `10.0.0.1-10.0.0.9` a range.
        Some(b'-') => {
            then.is_some_and(|_| v4_at(text, at + 1).is_none())
                && then.is_some_and(|byte| byte.is_ascii_alphanumeric())
        }
        Some(byte) => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'~'),
        None => false,
    };
    let address = Ipv4Addr::from(octets);
    (!goes_on && octets[0] != 0 || address.is_unspecified()).then_some(())?;
    (!is_called_a_version(text.get(..start)?)).then_some((at, IpAddr::V4(address)))
}

/// Does what stands in front say that a version follows?
fn is_called_a_version(before: &str) -> bool {
    const WORDS: [&str; 13] = [
        "version", "ver", "v", "rev", "revision", "build", "firmware", "fw", "bios", "release", "driver",
        "module", "api",
    ];
    let before = before.trim_end_matches([' ', '\t', ':', '=', '(', '"']);
    let word = before.rsplit(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default();
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Does a word, a number or a path go on here, so that nothing begins?
fn is_word_before(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
    let earlier = at.checked_sub(2).and_then(|before| bytes.get(before)).copied();
    match before {
        Some(b'.') => earlier.is_some_and(|byte| byte.is_ascii_alphanumeric()),
        // In the middle of groups: what begins at a later group was refused from its first on.
        Some(b':') => {
            earlier.is_some_and(|byte| byte.is_ascii_hexdigit() || byte == b':') && !is_label(bytes, at)
        }
        Some(b'-') => earlier.is_some_and(|byte| byte.is_ascii_alphanumeric()) && !ends_v4(bytes, at - 1),
        Some(byte) => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'~'),
        None => false,
    }
}

/// Like [`is_word_before`] for IPv4 addresses, which may follow any colon: `ip=10.0.0.2::10.0.0.1`. Only a single digit
/// before it is the epoch of a package's version: `1:8.2.2.1`.
fn is_number_before(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|before| bytes.get(before)).copied();
    if before(1) != Some(b':') {
        return is_word_before(bytes, at);
    }
    let is_digit = before(2).is_some_and(|byte| byte.is_ascii_digit());
    is_digit
        && !before(3).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b']'))
}

/// Is the word before the colon a label (`addr:10.0.0.1`) and not a group of hex digits?
fn is_label(bytes: &[u8], at: usize) -> bool {
    let word = bytes.get(..at.saturating_sub(1)).unwrap_or_default();
    let length = word.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let word = word.get(word.len() - length..).unwrap_or_default();
    word.len() > 4 || word.iter().any(|byte| !byte.is_ascii_hexdigit())
}

/// Do digits and points stand before the dash, as in a range of addresses?
fn ends_v4(bytes: &[u8], dash: usize) -> bool {
    let before = bytes.get(..dash).unwrap_or_default();
    let length = before.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let token = before.get(before.len() - length..).and_then(|token| std::str::from_utf8(token).ok());
    token.is_some_and(|token| token.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip_texts(text: &str) -> Vec<&str> {
        ips(text).into_iter().map(|(range, _)| &text[range]).collect()
    }

    fn mac_texts(text: &str) -> Vec<&str> {
        macs(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn macs_are_found() {
        for (text, mac) in [
            ("eth0: 9c:6b:00:12:34:56, link up", "9c:6b:00:12:34:56"),
            ("link/ether 9C-6B-00-12-34-56.", "9C-6B-00-12-34-56"),
            (
                "MAC=9c:6b:00:12:34:56:00:11:22:33:44:55:08:00 SRC",
                "9c:6b:00:12:34:56:00:11:22:33:44:55:08:00",
            ),
            ("wwpn 50:01:43:80:12:34:56:78", "50:01:43:80:12:34:56:78"),
            ("x=9c:6b:00:12:34:56:", "9c:6b:00:12:34:56"),
        ] {
            assert_eq!(mac_texts(text), [mac], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_mac_stays() {
        for text in [
            "pci 0000:98:00.0: [10de:2330] type 00 class 0x030200",
            "0000:98:00.0 0000:99:00.0",
            "at 10:00:00",
            "2026-11-18 10:00:00",
            "ff:ff:ff:ff:ff:ff and 00:00:00:00:00:00",
            "deadbeef12:34:56:78:9a:bc",
            "12:34:56:78:9a:bcd",
            "virt/tdx: CMR: [0x100000, 0x77800000)",
        ] {
            assert_eq!(mac_texts(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn ips_are_found() {
        for (text, ip) in [
            ("inet 10.1.2.3/24 brd", "10.1.2.3"),
            ("from 203.0.114.7:443.", "203.0.114.7"),
            ("connect to 8.8.8.8.", "8.8.8.8"),
            ("addr:10.0.0.1 ", "10.0.0.1"),
            ("nfsroot=10.9.8.7:/srv", "10.9.8.7"),
            ("(172.16.0.9)", "172.16.0.9"),
            ("fe80::9e6b:ff:fe12:3456%eth0", "fe80::9e6b:ff:fe12:3456"),
            ("inet6 2a01:4f8:1:2::3/64 scope", "2a01:4f8:1:2::3"),
            ("peer 2a01:4f8:1:2:3:4:5:6: gone", "2a01:4f8:1:2:3:4:5:6"),
            ("[2a01:4f8::1]:443", "2a01:4f8::1"),
            ("::ffff:10.1.2.3 - - GET", "::ffff:10.1.2.3"),
        ] {
            assert_eq!(ip_texts(text), [ip], "{text}");
        }
        assert_eq!(ip_texts("10.0.0.1-10.0.0.9"), ["10.0.0.1", "10.0.0.9"]);
        assert_eq!(ip_texts("ip=10.0.0.2::10.0.0.1:255.255.255.0:n:eth0"), ["10.0.0.2", "10.0.0.1"]);
    }

    #[test]
    fn what_only_looks_like_an_ip_stays() {
        for text in [
            "virt/tdx: TDX module 2.0.08.00, build number 882, build date 0134fed5",
            "Version: 1.23.100.4-noble1",
            "sgx-dcap-pccs 1.21.100.3-jammy1",
            "version 3.2.1.0",
            "fw 20.1.2.3",
            "V1.2.3.4 ",
            "0::/init.scope",
            "0::",
            "12:cpuset:/",
            "pci 0000:98:00.0: BAR 0",
            "at 10:00:00 today",
            "[    5.205693] virt/tdx: BIOS enabled",
            "8.2.2+ds-0ubuntu1.4+tdx1.1",
            "127.0.0.1 ::1 :: 0.0.0.0 255.255.255.0 192.0.2.7 2001:db8::7",
            "SEAMCALL (0x0000000000000022) failed: 0xc000050500000000",
            "1.2.3.4.5",
            "300.1.1.1",
            "std::fmt dead_beef::cafe",
        ] {
            assert_eq!(ip_texts(text), [""; 0], "{text}");
        }
    }
}
