//! `bytes` fields in JSON: lower-case hex out, hex with any number of `0x` in (`prpc-serde-bytes` upstream).

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serializer, de};

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    // The error text is the hex crate's, as it is in the server's answer to a bad digit.
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    hex::decode(text.trim_start_matches("0x")).map_err(de::Error::custom)
}

/// `repeated bytes`: an array of hex texts.
pub(crate) mod list {
    use serde::ser::SerializeSeq as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Item(#[serde(with = "super")] Vec<u8>);

    pub(crate) fn serialize<S: Serializer>(items: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(items.len()))?;
        for item in items {
            sequence.serialize_element(&hex::encode(item))?;
        }
        sequence.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let items = Vec::<Item>::deserialize(deserializer)?;
        Ok(items.into_iter().map(|Item(bytes)| bytes).collect())
    }
}
