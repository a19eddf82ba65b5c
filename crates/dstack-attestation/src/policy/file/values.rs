//! The values of a policy file, from text and back.

use std::str::FromStr;
use std::time::Duration;

use super::problem::{ValueError, nearest};
use crate::event_log::KeyProviderKind;
use crate::fixed_bytes::{decode_hex, parse_hex};
use crate::policy::{Aspect, TcbStatus};
use crate::report_data::ReportData;
use crate::{Digest32, FixedBytes, hash};

/// Hex of a value of `N` bytes, which the error calls `what`.
pub(super) fn fixed<const N: usize>(
    what: &'static str,
) -> impl Fn(&str) -> Result<FixedBytes<N>, ValueError> {
    move |text| {
        parse_hex(text)
            .map_err(|error| ValueError::new(format!("expected {what}, {} hex digits: {error}", 2 * N)))
    }
}

/// An OS image hash.
pub(super) fn image_hash(text: &str) -> Result<Digest32, ValueError> {
    let hash: Digest32 = fixed("an OS image hash")(text)?;
    if hash.is_zero() {
        return Err(ValueError::new("no image has the hash zero").hint(
            "take the hash from the image's digest.txt; zero would stand for any image that hides its hash",
        ));
    }
    Ok(hash)
}

/// A device id.
pub(super) fn device_id(text: &str) -> Result<Digest32, ValueError> {
    let id: Digest32 = fixed("a device id")(text)?;
    if id == hash::sha256(&[]) {
        return Err(ValueError::new("this is the hash of nothing, which every agent reports that did not verify its quote")
            .hint("take the device id from a report of this tool about a verified quote, or from the KMS's GetAttestationInfo"));
    }
    Ok(id)
}

/// A status of a platform's TCB that a policy may accept.
pub(super) fn tcb_status(text: &str) -> Result<TcbStatus, ValueError> {
    let acceptable: Vec<&str> = TcbStatus::ALL
        .into_iter()
        .filter(|status| *status != TcbStatus::Revoked)
        .map(TcbStatus::as_str)
        .collect();
    match TcbStatus::from_str(text) {
        Ok(TcbStatus::Revoked) => {
            Err(ValueError::new("no policy can accept Revoked: the platform's keys are not trusted any more"))
        }
        Ok(status) => Ok(status),
        Err(text) => Err(not_one_of(&text, &acceptable)),
    }
}

/// The name of an advisory.
pub(super) fn advisory(text: &str) -> Result<String, ValueError> {
    let well_formed = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-');
    if well_formed {
        return Ok(text.to_owned());
    }
    Err(ValueError::new("expected the name of an advisory, such as INTEL-SA-00837, in capital letters"))
}

pub(super) fn aspect(text: &str) -> Result<Aspect, ValueError> {
    Aspect::from_str(text).map_err(|text| not_one_of(&text, &Aspect::ALL.map(Aspect::as_str)))
}

/// The words of policy files for kinds of key providers.
const PROVIDERS: [(&str, KeyProviderKind); 5] = [
    ("none", KeyProviderKind::None),
    ("local", KeyProviderKind::Local),
    ("kms", KeyProviderKind::Kms),
    ("tpm", KeyProviderKind::Tpm),
    // The name in event logs.
    ("local-sgx", KeyProviderKind::Local),
];

pub(super) fn provider_kind(text: &str) -> Result<KeyProviderKind, ValueError> {
    let found = PROVIDERS.iter().find(|(word, _)| *word == text);
    found.map(|(_, kind)| *kind).ok_or_else(|| not_one_of(text, &PROVIDERS.map(|(word, _)| word)))
}

pub(super) fn provider_word(kind: KeyProviderKind) -> &'static str {
    PROVIDERS.iter().find(|(_, known)| *known == kind).map_or("none", |(word, _)| *word)
}

/// The id of a key provider of a kind.
pub(super) fn provider_id(kind: KeyProviderKind, text: &str) -> Result<Vec<u8>, ValueError> {
    let bytes = decode_hex(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|error| ValueError::new(format!("expected hex: {error}")))?;
    let complaint = match (kind, bytes.as_slice()) {
        (KeyProviderKind::None, _) => "the provider `none` has no id",
        (_, []) => "the id is empty; leave it out to allow every provider of the kind",
        (KeyProviderKind::Kms, [0x30, ..]) => return Ok(bytes),
        (KeyProviderKind::Kms, _) => {
            "the id of a KMS is its root CA's public key as SubjectPublicKeyInfo, in hex that begins with 3059"
        }
        (KeyProviderKind::Local, bytes) if bytes.len() != 32 => {
            "the id of a local provider is its MRENCLAVE, 64 hex digits"
        }
        _ => return Ok(bytes),
    };
    Err(ValueError::new(complaint)
        .hint("the CVM's report shows the id that was measured, as `app.key-provider`"))
}

/// A nonce: at most 64 bytes, which the agent fills up with zeros.
pub(super) fn nonce(text: &str) -> Result<ReportData, ValueError> {
    let bytes = decode_hex(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|error| ValueError::new(format!("expected hex: {error}")))?;
    let mut data = [0; 64];
    match data.get_mut(..bytes.len()) {
        Some(start) if bytes.len() >= 16 => start.copy_from_slice(&bytes),
        _ => {
            return Err(ValueError::new(format!("a nonce has 16 to 64 bytes, this one has {}", bytes.len()))
                .hint("take 32 random bytes, new ones each time: `openssl rand -hex 32`"));
        }
    }
    Ok(ReportData::new(data))
}

/// The units of durations, the largest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// A duration: a whole number of days, hours, minutes or seconds.
pub(super) fn duration(text: &str) -> Result<Duration, ValueError> {
    let wrong = || {
        ValueError::new(format!(
            "{:?} is not a duration: a whole number above zero with d, h, m or s, such as \"30d\"",
            text.chars().take(40).collect::<String>()
        ))
    };
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let (_, seconds) = UNITS.into_iter().find(|(letter, _)| *letter == unit).ok_or_else(wrong)?;
    let digits = text.strip_suffix(unit).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    match count.checked_mul(seconds) {
        Some(0) | None => Err(wrong()),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
    }
}

/// The duration in the largest unit of which there is a whole number; parts of a second are dropped.
pub(super) fn duration_text(duration: Duration) -> String {
    let all = duration.as_secs();
    let fits = UNITS.into_iter().find(|(_, seconds)| all.is_multiple_of(*seconds));
    fits.map_or_else(String::new, |(letter, seconds)| format!("{}{letter}", all / seconds))
}

/// The longest name, in bytes.
pub(super) const MAX_NAME: usize = 256;

/// A name for people.
pub(super) fn name(text: &str) -> Result<String, ValueError> {
    if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(ValueError::new("expected 1 to 256 bytes of text without control characters"));
    }
    Ok(text.to_owned())
}

/// A path as it is written.
pub(super) fn path(text: &str) -> Result<String, ValueError> {
    if text.is_empty() || text.contains('\0') {
        return Err(ValueError::new("expected the path of a file"));
    }
    Ok(text.to_owned())
}

fn not_one_of(text: &str, words: &[&str]) -> ValueError {
    let shown: String = text.chars().take(40).collect();
    let error = ValueError::new(format!("{shown:?} is not one of {}", words.join(", ")));
    match nearest(text, words) {
        Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_come_back() {
        for text in ["1s", "59s", "1m", "90m", "1h", "36h", "1d", "30d"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        assert_eq!(duration_text(duration("3600s").unwrap()), "1h");
        for text in [
            "",
            "d",
            "0d",
            "-1d",
            "+1d",
            "1.5d",
            "1w",
            "30",
            "1 d",
            "99999999999999999999d",
            "300000000000000d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nonces_are_filled_up() {
        let data = nonce(&format!("0x{}", "ab".repeat(32))).unwrap();
        assert_eq!((data.as_bytes()[31], data.as_bytes()[32]), (0xab, 0));
        assert!(nonce("").is_err() && nonce("abcd").is_err() && nonce(&"00".repeat(65)).is_err());
        assert!(nonce(&"00".repeat(64)).is_ok());
    }

    #[test]
    fn ids_of_providers_have_their_form() {
        use KeyProviderKind::{Kms, Local, None, Tpm};
        assert!(provider_id(Kms, "3059").is_ok());
        assert!(provider_id(Kms, &format!("04{}", "11".repeat(64))).is_err());
        assert!(provider_id(Local, &"11".repeat(32)).is_ok());
        assert!(provider_id(Local, "3059").is_err());
        assert!(provider_id(Tpm, "01").is_ok());
        assert!(provider_id(None, "01").is_err() && provider_id(Tpm, "").is_err());
        for kind in KeyProviderKind::ALL {
            assert_eq!(provider_kind(provider_word(kind)).unwrap(), kind);
        }
    }

    #[test]
    fn values_that_mean_anything_are_refused() {
        assert!(image_hash(&"00".repeat(32)).is_err());
        assert!(device_id("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855").is_err());
        assert!(tcb_status("Revoked").is_err());
        assert_eq!(tcb_status("uptodate").unwrap_err().hint.as_deref(), Some("did you mean \"UpToDate\"?"));
        assert!(advisory("intel-sa-00837").is_err() && advisory("INTEL-SA-00837").is_ok());
    }
}
