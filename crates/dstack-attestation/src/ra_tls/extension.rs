//! dstack's X.509 extensions.

use std::fmt;

/// The arc of dstack's extensions; the extension's number is the last component.
pub(super) const ARC: &str = "1.3.6.1.4.1.62397.1.";

/// One of dstack's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// `.1`, the bare quote of older versions.
    Quote,
    /// `.2`, the event log of older versions.
    EventLog,
    /// `.3`, the app id.
    AppId,
    /// `.4`, the special usage.
    Usage,
    /// `.8`, a versioned attestation.
    Attestation,
    /// `.9`, ids and measurements of the app.
    AppInfo,
}

impl Extension {
    /// The extension with this object identifier in dotted form.
    pub fn from_oid(oid: &str) -> Option<Self> {
        match oid.strip_prefix(ARC)? {
            "1" => Some(Self::Quote),
            "2" => Some(Self::EventLog),
            "3" => Some(Self::AppId),
            "4" => Some(Self::Usage),
            "8" => Some(Self::Attestation),
            "9" => Some(Self::AppInfo),
            _ => None,
        }
    }

    /// The last component of the object identifier.
    pub const fn number(self) -> u8 {
        match self {
            Self::Quote => 1,
            Self::EventLog => 2,
            Self::AppId => 3,
            Self::Usage => 4,
            Self::Attestation => 8,
            Self::AppInfo => 9,
        }
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ARC}{}", self.number())
    }
}

/// The content of an OCTET STRING that the value consists of. `None` when the value is something else.
pub(super) fn octet_string(value: &[u8]) -> Option<&[u8]> {
    let [0x04, length, rest @ ..] = value else { return None };
    let (length, content) = match length {
        0..=0x7f => (usize::from(*length), rest),
        // One byte more than the length has.
        0x81..=0x84 => {
            let (digits, content) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), content)
        }
        _ => return None,
    };
    (content.len() == length).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        for extension in [
            Extension::Quote,
            Extension::EventLog,
            Extension::AppId,
            Extension::Usage,
            Extension::Attestation,
            Extension::AppInfo,
        ] {
            assert_eq!(Extension::from_oid(&extension.to_string()), Some(extension));
        }
        assert_eq!(Extension::from_oid("1.3.6.1.4.1.62397.1.5"), None);
        assert_eq!(Extension::from_oid("2.5.29.15"), None);
    }

    #[test]
    fn octet_strings_must_be_the_whole_value() {
        assert_eq!(octet_string(b"\x04\x02ab"), Some(b"ab".as_slice()));
        assert_eq!(octet_string(b"\x04\x00"), Some(b"".as_slice()));
        assert_eq!(
            octet_string(&[[0x04, 0x81, 0x80].as_slice(), &[7; 0x80]].concat()),
            Some([7; 0x80].as_slice())
        );
        assert_eq!(octet_string(b"\x04\x02a"), None);
        assert_eq!(octet_string(b"\x04\x02abc"), None);
        assert_eq!(octet_string(b"\x04\x84\xff\xff\xff\xffa"), None);
        assert_eq!(octet_string(b"\x04\x85\0\0\0\0\x01a"), None);
        // What a bare quote of version 4 begins with.
        assert_eq!(octet_string(&[4, 0, 2, 0]), None);
    }
}
