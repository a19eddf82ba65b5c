//! Values of keys, and whether they fit.

use std::fmt;
use std::net::IpAddr;

use super::port_range::{PortRange, Protocol};
use super::tree::{Node, Place};
use super::{EditError, KeyDef, KeyDefault, KeyType};

/// A value for a key. `Debug` shows its kind and length alone, because it may be a token.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigValue {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
    /// A list of integers.
    Ints(Vec<u32>),
    /// A list of port ranges.
    Ranges(Vec<PortRange>),
}

impl fmt::Debug for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind())
    }
}

impl From<bool> for ConfigValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u16> for ConfigValue {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for ConfigValue {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for ConfigValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for ConfigValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<String>> for ConfigValue {
    fn from(value: Vec<String>) -> Self {
        Self::Texts(value)
    }
}

impl From<Vec<PortRange>> for ConfigValue {
    fn from(value: Vec<PortRange>) -> Self {
        Self::Ranges(value)
    }
}

impl ConfigValue {
    /// The default of a key, where it has one.
    pub fn default_of(key: &KeyDef) -> Option<Self> {
        Some(match key.default {
            KeyDefault::Unset => return None,
            KeyDefault::Bool(flag) => Self::Bool(flag),
            KeyDefault::Int(number) => Self::Int(i64::try_from(number).ok()?),
            KeyDefault::Text(text) => Self::Text(text.to_owned()),
            KeyDefault::Texts(texts) => Self::Texts(texts.iter().map(|&text| text.to_owned()).collect()),
            KeyDefault::Ranges(ranges) => Self::Ranges(
                ranges
                    .iter()
                    .filter_map(|&(protocol, from, to)| {
                        Some(PortRange { protocol: Protocol::from_name(protocol)?, from, to })
                    })
                    .collect(),
            ),
        })
    }

    /// Reads a value as a person writes it on a command line: `true`, `1000`, `https://kms.example.com`, a list as
    /// `a,b`, port ranges as `tcp:1-20000,udp:9202`. An empty text is the empty list where the key takes a list.
    ///
    /// ```
    /// use dstack_vmm_client::config::{ConfigValue, key_def};
    ///
    /// let ranges = key_def("cvm.port_mapping.range").unwrap();
    /// let value = ConfigValue::parse_for(ranges, "tcp:1-20000,udp:9202")?;
    /// assert_eq!(
    ///     value.to_string(),
    ///     r#"[{ protocol = "tcp", from = 1, to = 20000 }, { protocol = "udp", from = 9202, to = 9202 }]"#
    /// );
    /// # Ok::<(), dstack_vmm_client::config::EditError>(())
    /// ```
    ///
    /// # Errors
    /// [`EditError::WrongType`] when the text is none for this key. A secret is not quoted in it.
    pub fn parse_for(key: &KeyDef, text: &str) -> Result<Self, EditError> {
        let wrong = || {
            EditError::wrong_type(key, if key.secret { "that text".to_owned() } else { format!("{text:?}") })
        };
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let value = match key.kind {
            KeyType::Bool => Self::Bool(text.parse().map_err(|_| wrong())?),
            KeyType::Int { .. } => Self::Int(text.parse().map_err(|_| wrong())?),
            KeyType::Size => match text.parse() {
                Ok(number) => Self::Int(number),
                Err(_) => Self::Text(text.to_owned()),
            },
            KeyType::Text | KeyType::Path | KeyType::Url | KeyType::Ip | KeyType::OneOf(_) | KeyType::Any => {
                Self::Text(text.to_owned())
            }
            KeyType::Texts | KeyType::Urls => Self::Texts(items().map(str::to_owned).collect()),
            KeyType::Ints => {
                Self::Ints(items().map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?)
            }
            KeyType::Ranges => {
                Self::Ranges(items().map(PortRange::parse).collect::<Option<_>>().ok_or_else(wrong)?)
            }
            KeyType::Table => return Err(wrong()),
        };
        if value.fits(key.kind) { Ok(value) } else { Err(wrong()) }
    }

    /// Whether a key of this type takes the value.
    pub fn fits(&self, kind: KeyType) -> bool {
        match (kind, self) {
            (KeyType::Bool, Self::Bool(_)) => true,
            (KeyType::Int { max }, Self::Int(number)) => u64::try_from(*number).is_ok_and(|n| n <= max),
            (KeyType::Text | KeyType::Path | KeyType::Url, Self::Text(_)) => true,
            (KeyType::Ip, Self::Text(text)) => text.parse::<IpAddr>().is_ok(),
            (KeyType::OneOf(words), Self::Text(text)) => words.contains(&text.as_str()),
            (KeyType::Texts | KeyType::Urls, Self::Texts(_)) => true,
            (KeyType::Ints, Self::Ints(_)) => true,
            (KeyType::Texts | KeyType::Urls, Self::Ints(numbers)) => numbers.is_empty(),
            (KeyType::Ints, Self::Texts(texts)) => texts.is_empty(),
            (KeyType::Size, Self::Int(number)) => *number >= 0,
            (KeyType::Size, Self::Text(text)) => parse_size(text).is_some(),
            (KeyType::Ranges, Self::Ranges(ranges)) => ranges.iter().all(|range| range.from <= range.to),
            // An empty list has no items to tell its kind by.
            (KeyType::Ranges, Self::Texts(texts)) => texts.is_empty(),
            (KeyType::Any, _) => true,
            _ => false,
        }
    }

    /// What kind of value it is, without the value.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Bool(_) => "a boolean".to_owned(),
            Self::Int(_) => "an integer".to_owned(),
            Self::Text(_) => "a string".to_owned(),
            Self::Texts(texts) => list_of(texts.len(), "string"),
            Self::Ints(numbers) => list_of(numbers.len(), "integer"),
            Self::Ranges(ranges) => list_of(ranges.len(), "port range"),
        }
    }

    /// The value in TOML, or its kind for a secret.
    pub(crate) fn shown(&self, secret: bool) -> String {
        if secret { format!("({})", self.kind()) } else { self.to_string() }
    }

    /// The value a file has, where it is of a form this type knows.
    pub(crate) fn from_node(node: &Node) -> Option<Self> {
        Some(match node {
            Node::Bool(flag) => Self::Bool(*flag),
            Node::Int(number) => Self::Int(*number),
            Node::Text(text) => Self::Text(text.clone()),
            Node::List(items) => return Self::from_list(items),
            Node::Float(_) | Node::Other(_) | Node::Table(_) => return None,
        })
    }

    fn from_list(items: &[(Place, Node)]) -> Option<Self> {
        let texts: Option<Vec<String>> = items
            .iter()
            .map(|(_, node)| if let Node::Text(text) = node { Some(text.clone()) } else { None })
            .collect();
        if let Some(texts) = texts {
            return Some(Self::Texts(texts));
        }
        let numbers: Option<Vec<u32>> = items
            .iter()
            .map(|(_, node)| if let Node::Int(number) = node { u32::try_from(*number).ok() } else { None })
            .collect();
        if let Some(numbers) = numbers {
            return Some(Self::Ints(numbers));
        }
        items.iter().map(|(_, node)| PortRange::from_node(node).ok()).collect::<Option<_>>().map(Self::Ranges)
    }
}

/// The value as TOML has it.
impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
            f.write_str("[")?;
            for (at, item) in items.enumerate() {
                write!(f, "{}{item}", if at == 0 { "" } else { ", " })?;
            }
            f.write_str("]")
        }
        match self {
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Texts(texts) => list(f, texts.iter().map(|text| quoted(text))),
            Self::Ints(numbers) => list(f, numbers.iter()),
            Self::Ranges(ranges) => list(f, ranges.iter().map(|range| range.to_toml())),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Int { max } if *max == i64::MAX.unsigned_abs() => f.write_str("an integer from 0"),
            Self::Int { max } => write!(f, "an integer from 0 to {max}"),
            Self::Text => f.write_str("a string"),
            Self::Path => f.write_str("a path"),
            Self::Url => f.write_str("a URL"),
            Self::Ip => f.write_str("an IP address"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::Texts => f.write_str("a list of strings"),
            Self::Urls => f.write_str("a list of URLs"),
            Self::Ints => f.write_str("a list of integers from 0 to 4294967295"),
            Self::Size => f.write_str("a size such as 4096 or \"4M\""),
            Self::Ranges => {
                f.write_str("a list of port ranges such as { protocol = \"tcp\", from = 1, to = 20000 }")
            }
            Self::Table => f.write_str("a table"),
            Self::Any => f.write_str("any value"),
        }
    }
}

fn list_of(number: usize, what: &str) -> String {
    format!("a list of {number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The text as a TOML string on one line.
pub(crate) fn quoted(text: &str) -> String {
    let value = toml_edit::Value::from(text);
    let shown = value.to_string();
    // Line breaks would give a multi-line string, which is one value on several lines; `\n` keeps it on one.
    if shown.contains('\n') || shown.contains('\r') {
        let escaped: String = text
            .chars()
            .map(|c| match c {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect();
        return format!("\"{escaped}\"");
    }
    shown
}

/// Reads a size in bytes: digits, `0x` and hexadecimal digits, or digits and one of `K M G T P` for powers of 1024.
///
/// ```
/// use dstack_vmm_client::config::parse_size;
///
/// assert_eq!(parse_size("4M"), Some(4 * 1024 * 1024));
/// assert_eq!(parse_size("0x1000"), Some(4096));
/// assert_eq!(parse_size("4 MB"), None);
/// ```
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = |text: &str, radix| {
        text.starts_with(|c: char| c.is_digit(radix)).then(|| u64::from_str_radix(text, radix).ok()).flatten()
    };
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return digits(hexadecimal, 16);
    }
    let last = text.chars().next_back()?;
    let power = match last.to_ascii_uppercase() {
        'K' => 1,
        'M' => 2,
        'G' => 3,
        'T' => 4,
        'P' => 5,
        _ => return digits(text, 10),
    };
    digits(&text[..text.len() - 1], 10)?.checked_mul(1024_u64.pow(power))
}

/// What is there instead of what the key takes, and where; `None` when the value fits.
///
/// The bounds of port ranges are not looked at here: [`faults`](super::port_range::faults) does.
pub(crate) fn mismatch(kind: KeyType, secret: bool, place: &Place, node: &Node) -> Option<(Place, String)> {
    let got = |node: &Node| match node {
        _ if secret => node.type_name().to_owned(),
        Node::Text(text) => format!("the string {}", quoted(&dstack_check::text::bounded(text.as_str(), 80))),
        Node::Int(number) => format!("the integer {number}"),
        node => node.type_name().to_owned(),
    };
    let here = || Some((place.clone(), got(node)));
    match (kind, node) {
        (KeyType::Any, _) | (KeyType::Table, Node::Table(_)) => None,
        (KeyType::Ranges, Node::List(items)) => items.iter().find_map(|(place, item)| match item {
            Node::Table(_) => None,
            other => Some((place.clone(), format!("{} in the list", got(other)))),
        }),
        (KeyType::Texts | KeyType::Urls | KeyType::Ints, Node::List(items)) => {
            items.iter().find_map(|(place, item)| {
                let fits = match (kind, item) {
                    (KeyType::Ints, Node::Int(number)) => u32::try_from(*number).is_ok(),
                    (KeyType::Texts | KeyType::Urls, Node::Text(_)) => true,
                    _ => false,
                };
                (!fits).then(|| (place.clone(), format!("{} in the list", got(item))))
            })
        }
        (_, node) => match ConfigValue::from_node(node) {
            Some(value) if value.fits(kind) => None,
            _ => here(),
        },
    }
}
