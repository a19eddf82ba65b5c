//! What the forms are made of: maps, texts, numbers, reasons.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Reading, Unread};

/// Reads something with named fields from a map alone. A list of values without names would do for serde too.
pub(super) fn named<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    struct Named<T>(PhantomData<T>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Named<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Named(PhantomData))
}

/// `0x` and hex digits.
pub(super) fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

pub(super) fn not_hex(text: &str) -> String {
    format!("`{text}` is not a number in hex with 0x in front")
}

/// A map in which a key that is there twice is an error, and not whichever came last.
pub(super) struct Unique<V>(pub(super) BTreeMap<String, V>);

impl<V> Unique<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for Unique<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> FromIterator<(String, V)> for Unique<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<V: Serialize> Serialize for Unique<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Unique<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    match entries.entry(key) {
                        Entry::Vacant(entry) => {
                            entry.insert(map.next_value()?);
                        }
                        Entry::Occupied(entry) => {
                            return Err(A::Error::custom(format_args!("`{}` is there twice", entry.key())));
                        }
                    }
                }
                Ok(Unique(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// `{"unread": ...}` on its own.
#[derive(Serialize, Deserialize)]
pub(super) struct Why {
    unread: Unread,
}

/// A string, a list of strings, or why there is none.
pub(super) enum Plain {
    Text(String),
    Many(Vec<String>),
    Unread(Unread),
}

impl From<Reading<String>> for Plain {
    fn from(reading: Reading<String>) -> Self {
        match reading {
            Ok(text) => Self::Text(text),
            Err(why) => Self::Unread(why),
        }
    }
}

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Many(texts) => texts.serialize(serializer),
            Self::Unread(unread) => Why { unread: unread.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a list of strings or {\"unread\": ...}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Plain, E> {
                Ok(Plain::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Plain, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = texts.next_element()? {
                    all.push(text);
                }
                Ok(Plain::Many(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Plain, A::Error> {
                let why = Why::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Plain::Unread(why.unread))
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

/// A text: a string, or a list of lines that each end with a line end.
pub(super) struct Text(pub(super) String);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.strip_suffix('\n') {
            Some(lines) if lines.contains('\n') => serializer.collect_seq(lines.split('\n')),
            _ => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Plain::deserialize(deserializer)? {
            Plain::Text(text) => Ok(Self(text)),
            Plain::Many(lines) => {
                let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
                for line in lines {
                    text.push_str(&line);
                    text.push('\n');
                }
                Ok(Self(text))
            }
            Plain::Unread(_) => Err(D::Error::custom("a text is a string or a list of lines")),
        }
    }
}

/// A 32-bit register.
pub(super) struct Register(pub(super) u32);

impl Serialize for Register {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Register {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = hex(&text).and_then(|value| u32::try_from(value).ok());
        value.map(Self).ok_or_else(|| D::Error::custom(not_hex(&text)))
    }
}

/// A value or why there is none, and not both and not neither.
pub(super) fn one_of<T>(value: Option<T>, unread: Option<Unread>) -> Result<Reading<T>, ()> {
    match (value, unread) {
        (Some(value), None) => Ok(Ok(value)),
        (None, Some(why)) => Ok(Err(why)),
        _ => Err(()),
    }
}
