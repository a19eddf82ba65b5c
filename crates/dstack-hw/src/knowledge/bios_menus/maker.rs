//! Who made the firmware's menus.

use std::fmt;

use crate::facts::firmware::Firmware;

/// Whose menus a firmware has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Maker {
    /// Dell: iDRAC and System BIOS.
    Dell,
    /// Supermicro.
    Supermicro,
    /// Lenovo: XClarity.
    Lenovo,
    /// Hewlett Packard Enterprise: RBSU. No names are known here.
    Hpe,
    /// AIVRES.
    Aivres,
    /// Boards with the menus of Intel's and AMI's reference firmware, as the guides show them.
    Reference,
    /// Anybody else.
    Other,
}

/// Words in the vendor's name, in lower case.
const WORDS: &[(&str, Maker)] = &[
    ("dell", Maker::Dell),
    ("supermicro", Maker::Supermicro),
    ("super micro", Maker::Supermicro),
    ("lenovo", Maker::Lenovo),
    ("hewlett", Maker::Hpe),
    ("hpe", Maker::Hpe),
    ("aivres", Maker::Aivres),
    ("inspur", Maker::Aivres),
    ("ieit", Maker::Aivres),
    ("intel", Maker::Reference),
    ("american megatrends", Maker::Reference),
    ("ami", Maker::Reference),
    ("insyde", Maker::Other),
];

impl Maker {
    /// Whose menus this firmware has, by the vendor of the system, then of the board, then of the firmware: makers of
    /// systems put their own menus over a firmware that they buy.
    pub fn of(firmware: &Firmware) -> Self {
        [&firmware.sys_vendor, &firmware.board_vendor, &firmware.bios_vendor]
            .into_iter()
            .filter_map(|vendor| vendor.known())
            .find_map(|vendor| Self::from_name(vendor))
            .unwrap_or(Self::Other)
    }

    fn from_name(vendor: &str) -> Option<Self> {
        let vendor = vendor.to_lowercase();
        let is_in = |word: &str| {
            if word.contains(' ') || word.len() > 3 {
                vendor.contains(word)
            } else {
                // Short words only whole: `ami` is in many names.
                vendor.split(|character: char| !character.is_alphanumeric()).any(|part| part == word)
            }
        };
        WORDS.iter().find(|(word, _)| is_in(word)).map(|(_, maker)| *maker)
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dell => "Dell",
            Self::Supermicro => "Supermicro",
            Self::Lenovo => "Lenovo",
            Self::Hpe => "HPE",
            Self::Aivres => "AIVRES",
            Self::Reference => "reference firmware",
            Self::Other => "other",
        })
    }
}
