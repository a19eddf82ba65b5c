//! Sizes such as `4G`, as the field `swap_size` has them (upstream `size-parser`).

use crate::DstackVersion;

/// Why a text is no size. The words are the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SizeError {
    /// Nothing but white space.
    #[error("Empty memory size")]
    Empty,
    /// What follows `0x` is no hexadecimal number of 64 bits.
    #[error("Invalid hexadecimal value: {0}")]
    InvalidHex(String),
    /// What should be the number is none of 64 bits.
    #[error("Invalid numeric value: {0}")]
    InvalidNumber(String),
    /// The last letter is no unit (0.5).
    #[error("Unknown memory size suffix: {0}")]
    UnknownSuffix(char),
    /// What follows the number is no unit (next).
    #[error("Unknown memory size unit: {0}")]
    UnknownUnit(String),
    /// More than 64 bits of bytes.
    #[error("Overflow in memory size calculation")]
    Overflow,
}

/// Powers of 1024 by the first letter of the unit.
const UNITS: [(char, u32); 5] = [('k', 1), ('m', 2), ('g', 3), ('t', 4), ('p', 5)];

/// Bytes of a size written as a plain number, as hexadecimal after `0x`, or as a number with a binary unit.
///
/// Units are powers of 1024 whatever their spelling, in either case. 0.5 knows the single letters `K`, `M`, `G` and
/// `T`; next knows `P` as well, the spellings `KB` and `KiB`, and `B` (upstream `size-parser/src/lib.rs`).
///
/// # Errors
///
/// What the server of that version answers for a text that it does not read.
///
/// ```
/// use dstack_vmm_client::{DstackVersion, app_compose::parse_size};
///
/// assert_eq!(parse_size("4G", DstackVersion::V0_5), Ok(4 << 30));
/// assert_eq!(parse_size("4GiB", DstackVersion::Next), Ok(4 << 30));
/// assert!(parse_size("4GiB", DstackVersion::V0_5).is_err());
/// ```
pub fn parse_size(text: &str, version: DstackVersion) -> Result<u64, SizeError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(SizeError::Empty);
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).map_err(|_| SizeError::InvalidHex(digits.to_owned()));
    }
    let number =
        |digits: &str| digits.parse::<u64>().map_err(|_| SizeError::InvalidNumber(digits.to_owned()));
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return number(text);
    }
    let (digits, power) = match version {
        DstackVersion::V0_5 => last_letter(text)?,
        DstackVersion::Next => unit_after_digits(text)?,
    };
    let factor = 1024u64.pow(power);
    number(digits)?.checked_mul(factor).ok_or(SizeError::Overflow)
}

/// 0.5: the unit is the last character and nothing else is looked at but the number before it.
fn last_letter(text: &str) -> Result<(&str, u32), SizeError> {
    let Some(last) = text.chars().next_back() else { return Err(SizeError::Empty) };
    let lower = last.to_ascii_lowercase();
    let known = UNITS.iter().find(|(letter, power)| *letter == lower && *power <= 4);
    let (_, power) = known.ok_or(SizeError::UnknownSuffix(last))?;
    Ok((&text[..text.len() - last.len_utf8()], *power))
}

/// next: digits first, then a unit in any of its spellings.
fn unit_after_digits(text: &str) -> Result<(&str, u32), SizeError> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if digits.is_empty() {
        return Err(SizeError::InvalidNumber(text.to_owned()));
    }
    let lower = unit.to_ascii_lowercase();
    if lower == "b" {
        return Ok((digits, 0));
    }
    let known = UNITS
        .iter()
        .find(|(letter, _)| lower.strip_prefix(*letter).is_some_and(|rest| matches!(rest, "" | "b" | "ib")));
    known.map(|(_, power)| (digits, *power)).ok_or_else(|| SizeError::UnknownUnit(unit.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_both_versions() {
        for version in DstackVersion::ALL {
            for (text, bytes) in
                [("0", 0), ("1024", 1024), ("0x1000", 4096), (" 2k ", 2048), ("3M", 3 << 20), ("1T", 1 << 40)]
            {
                assert_eq!(parse_size(text, version), Ok(bytes), "{text} {version}");
            }
        }
        assert_eq!(parse_size("1PiB", DstackVersion::Next), Ok(1 << 50));
        assert_eq!(parse_size("7b", DstackVersion::Next), Ok(7));
        // The old reader hands `+5` to the number parser, which takes the sign.
        assert_eq!(parse_size("+5G", DstackVersion::V0_5), Ok(5 << 30));
    }

    #[test]
    fn refusals_in_the_servers_words() {
        let said = |text, version| parse_size(text, version).unwrap_err().to_string();
        assert_eq!(said("  ", DstackVersion::V0_5), "Empty memory size");
        assert_eq!(said("abc", DstackVersion::V0_5), "Unknown memory size suffix: c");
        assert_eq!(said("abc", DstackVersion::Next), "Invalid numeric value: abc");
        assert_eq!(said("abcK", DstackVersion::V0_5), "Invalid numeric value: abc");
        assert_eq!(said("0xgg", DstackVersion::Next), "Invalid hexadecimal value: gg");
        assert_eq!(said("1GG", DstackVersion::V0_5), "Invalid numeric value: 1G");
        assert_eq!(said("1GG", DstackVersion::Next), "Unknown memory size unit: GG");
        assert_eq!(said("1P", DstackVersion::V0_5), "Unknown memory size suffix: P");
        assert_eq!(said("99999999999T", DstackVersion::Next), "Overflow in memory size calculation");
        assert_eq!(said("4漢", DstackVersion::V0_5), "Unknown memory size suffix: 漢");
    }
}
