//! Known-good measurements as JSON.

use std::collections::BTreeMap;

use dstack_check::{Hint, Hinted};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::KnownGood;
use crate::fixed_bytes::parse_hex;
use crate::{FixedBytes, HexError};

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 4 << 20;

/// The most sets of values in one text.
const MAX_SETS: usize = 1024;

/// Why a text has no known-good measurements.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownGoodError {
    /// The text is too long.
    #[error("the measurements have {length} bytes, more than the {MAX_TEXT} that are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// There are too many of them.
    #[error("there are {found} sets of measurements, more than the {MAX_SETS} that are read")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// The text is not the JSON it should be.
    #[error("the measurements are not the JSON they should be: {0}")]
    Json(#[from] serde_json::Error),
    /// A value is not the hex of a register or a hash.
    #[error("{field} of the measurements: {source}")]
    Value {
        /// The member.
        field: &'static str,
        /// What is wrong with it.
        source: HexError,
    },
    /// There is no register among the members.
    #[error("the JSON has none of mrtd, rtmr0, rtmr1 and rtmr2")]
    NoRegister,
}

impl Hinted for KnownGoodError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Json(_) | Self::NoRegister => Some(Hint::from(
                "the file is that of `dstack-mr measure --json`: an object with `mrtd`, `rtmr0`, `rtmr1` and `rtmr2` \
                 in hex, or an array of such objects",
            )),
            _ => None,
        }
    }
}

/// One set of values; upper and lower case of the names, and members that are not known, are taken as they come.
#[derive(Deserialize)]
struct Set {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default, alias = "MRTD", alias = "mr_td")]
    mrtd: Option<String>,
    #[serde(default, alias = "RTMR0", alias = "rt_mr0")]
    rtmr0: Option<String>,
    #[serde(default, alias = "RTMR1", alias = "rt_mr1")]
    rtmr1: Option<String>,
    #[serde(default, alias = "RTMR2", alias = "rt_mr2")]
    rtmr2: Option<String>,
    #[serde(default)]
    os_image_hash: Option<String>,
    // Everything else. It keeps serde from taking an array for the members in their order.
    #[serde(flatten)]
    _other: BTreeMap<String, IgnoredAny>,
}

/// Reads known-good measurements: a JSON object with the members `mrtd`, `rtmr0`, `rtmr1` and `rtmr2` in hex, as
/// upstream's `dstack-mr` prints it, or an array of such objects.
///
/// Each may also have `name`, `source` and `os_image_hash`; other members are passed over, a missing register is not
/// compared. `name` and `source` are for sets that do not name their own.
///
/// # Errors
///
/// [`KnownGoodError`], also when a set has no register at all.
///
/// ```
/// use dstack_attestation::known_good;
///
/// let json = format!(r#"{{"mrtd":"{0}","rtmr0":"{0}","rtmr1":"{0}","rtmr2":"{0}"}}"#, "ab".repeat(48));
/// let known = known_good::parse(&json, "dstack-0.5.11", "measurements.json")?;
/// assert_eq!(known[0].mrtd, Some([0xab; 48].into()));
/// # Ok::<(), known_good::KnownGoodError>(())
/// ```
pub fn parse(json: &str, name: &str, source: &str) -> Result<Vec<KnownGood>, KnownGoodError> {
    if json.len() > MAX_TEXT {
        return Err(KnownGoodError::TooLong { length: json.len() });
    }
    // Told apart by the first character, so that an error names the member at fault.
    let sets: Vec<Set> = if json.trim_start().starts_with('[') {
        serde_json::from_str(json)?
    } else {
        vec![serde_json::from_str(json)?]
    };
    match sets.len() {
        0 => Err(KnownGoodError::NoRegister),
        found if found > MAX_SETS => Err(KnownGoodError::TooMany { found }),
        _ => sets.into_iter().map(|set| set.read(name, source)).collect(),
    }
}

impl Set {
    fn read(self, name: &str, source: &str) -> Result<KnownGood, KnownGoodError> {
        let known = KnownGood {
            name: self.name.filter(|name| !name.is_empty()).unwrap_or_else(|| name.to_owned()),
            source: self.source.filter(|source| !source.is_empty()).unwrap_or_else(|| source.to_owned()),
            mrtd: value("mrtd", self.mrtd)?,
            rtmr0: value("rtmr0", self.rtmr0)?,
            rtmr1: value("rtmr1", self.rtmr1)?,
            rtmr2: value("rtmr2", self.rtmr2)?,
            os_image_hash: value("os_image_hash", self.os_image_hash)?,
        };
        if known.is_empty() { Err(KnownGoodError::NoRegister) } else { Ok(known) }
    }
}

fn value<const N: usize>(
    field: &'static str,
    text: Option<String>,
) -> Result<Option<FixedBytes<N>>, KnownGoodError> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| parse_hex(&text).map_err(|source| KnownGoodError::Value { field, source })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest48;
    use proptest::prelude::*;

    fn hex(byte: u8) -> String {
        format!("{byte:02x}").repeat(48)
    }

    #[test]
    fn the_programs_json_and_lists_of_it() {
        let one =
            format!("{{\n  \"mrtd\": \"{}\",\n  \"rtmr0\": \"{}\",\n  \"new\": [1]\n}}", hex(1), hex(2));
        let known = parse(&one, "image", "file").unwrap();
        assert_eq!((known[0].mrtd, known[0].rtmr1), (Some(Digest48::new([1; 48])), None));
        assert_eq!((known[0].name.as_str(), known[0].source.as_str()), ("image", "file"));
        let list = format!(r#"[{{"name":"a","MRTD":"0x{}"}},{{"rtmr2":"{}","source":"x"}}]"#, hex(3), hex(4));
        let known = parse(&list, "image", "file").unwrap();
        assert_eq!((known[0].name.as_str(), known[1].source.as_str()), ("a", "x"));
        assert_eq!(known[1].rtmr2, Some(Digest48::new([4; 48])));
    }

    #[test]
    fn what_compares_nothing_is_refused() {
        for text in ["{}", "[]", "[{}]", r#"{"mrtd":""}"#, r#"{"mr_aggregated":"00"}"#] {
            assert!(matches!(parse(text, "", ""), Err(KnownGoodError::NoRegister)), "{text}");
        }
        let error = parse(r#"{"rtmr1":"00"}"#, "", "").unwrap_err();
        assert_eq!(error.to_string(), "rtmr1 of the measurements: 1 bytes where 48 are expected");
        for text in ["nonsense", "[[]]", "3", "{\"mrtd\":\"\",\"mrtd\":\"\"}"] {
            assert!(matches!(parse(text, "", ""), Err(KnownGoodError::Json(_))), "{text}");
        }
        assert!(matches!(parse(&" ".repeat(MAX_TEXT + 1), "", ""), Err(KnownGoodError::TooLong { .. })));
        let many = format!("[{}]", vec!["{}"; MAX_SETS + 1].join(","));
        assert!(matches!(parse(&many, "", ""), Err(KnownGoodError::TooMany { .. })));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = parse(&text, "", "");
        }
    }
}
