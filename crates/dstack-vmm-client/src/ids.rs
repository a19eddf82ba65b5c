//! Identities of apps, instances, devices and network cards, and how each is made.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use crate::app_compose::ComposeHash;

/// Why a text or a byte string is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseIdError {
    /// The text has another length.
    #[error("{} {what} has {expected} hex digits, this text has {found}", article(.what))]
    Digits {
        /// What it should have been.
        what: &'static str,
        /// Digits it has.
        expected: usize,
        /// Digits found, without `0x`.
        found: usize,
    },
    /// Something in the text is no hex digit.
    #[error("character {character:?} at position {position} of the {what} is no hex digit")]
    NotHex {
        /// What it should have been.
        what: &'static str,
        /// The character.
        character: char,
        /// Which character it is, from 1, not counting `0x`.
        position: usize,
    },
    /// The byte string has another length.
    #[error("{} {what} has {expected} bytes, not {found}", article(.what))]
    Bytes {
        /// What it should have been.
        what: &'static str,
        /// Bytes it has.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
}

fn article(what: &str) -> &'static str {
    if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Reads `2 * N` hex digits, in either case, with or without `0x`.
pub(crate) fn read_hex<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], ParseIdError> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let found = digits.chars().count();
    if found != 2 * N {
        return Err(ParseIdError::Digits { what, expected: 2 * N, found });
    }
    if let Some((at, character)) = digits.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
        return Err(ParseIdError::NotHex { what, character, position: at + 1 });
    }
    let mut bytes = [0; N];
    // Length and digits were looked at, so this cannot fail; the error is the same in kind if it ever does.
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseIdError::Digits {
        what,
        expected: 2 * N,
        found,
    })?;
    Ok(bytes)
}

/// Deserializes through [`FromStr`].
pub(crate) fn deserialize_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err = ParseIdError>,
{
    let text = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn first_20(hash: [u8; 32]) -> [u8; 20] {
    let mut head = [0; 20];
    head.copy_from_slice(&hash[..20]);
    head
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// An identity from elsewhere.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            /// Lower-case hex digits without `0x`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Reads hex digits, in either case, with or without `0x`.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                read_hex(text, $what).map(Self)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = ParseIdError;

            fn try_from(bytes: &[u8]) -> Result<Self, ParseIdError> {
                let found = bytes.len();
                let bytes = bytes.try_into();
                bytes.map(Self).map_err(|_| ParseIdError::Bytes { what: $what, expected: $len, found })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize_text(deserializer)
            }
        }
    };
}

id! {
    /// The identity of an app: 20 bytes, 40 hex digits.
    ///
    /// Unless one is given at creation, it is the head of the first compose hash. An update of the compose does not change
    /// the app id of a VM; what has to change is the list of compose hashes that the policy allows for it. 0.5 measures a
    /// given id only with a KMS (see [`crate::Capabilities::explicit_app_id_always_measured`]).
    ///
    /// ```
    /// use dstack_vmm_client::{app_compose::ComposeHash, ids::AppId};
    ///
    /// let id = AppId::from_compose_hash(&ComposeHash::of(b"{}"));
    /// assert_eq!(id.to_string(), "44136fa355b3678a1146ad16f7e8649e94fb4fc2");
    /// assert_eq!("0x44136FA355B3678A1146AD16F7E8649E94FB4FC2".parse(), Ok(id));
    /// ```
    AppId, 20, "app id"
}

impl AppId {
    /// The id of an app that was not given one: the first 20 bytes of its compose hash.
    pub fn from_compose_hash(hash: &ComposeHash) -> Self {
        Self(first_20(*hash.as_bytes()))
    }
}

id! {
    /// The identity of one instance of an app: 20 bytes, 40 hex digits.
    InstanceId, 20, "instance id"
}

impl InstanceId {
    /// The id that a guest derives from its seed, which is 20 random bytes kept on the data disk.
    ///
    /// Without a key provider the disk does not survive, so seed and id are new at every boot. Some clouds bind the id to
    /// the machine: `binding` is then the SHA-256 of the public area of a TPM key (next, upstream
    /// `dstack-util/src/system_setup.rs`). With `no_instance_id` there is no instance id at all.
    pub fn derive(seed: &[u8], app_id: &AppId, binding: Option<&[u8; 32]>) -> Self {
        let binding: &[u8] = binding.map_or(&[], |hash| hash);
        Self(first_20(sha256(&[seed, app_id.as_bytes(), binding])))
    }
}

id! {
    /// The identity of a machine: 32 bytes, 64 hex digits.
    DeviceId, 32, "device id"
}

impl DeviceId {
    /// The id of a machine from what its platform calls itself: the PPID on TDX, the chip id on SEV-SNP.
    pub fn from_platform_id(platform_id: &[u8]) -> Self {
        Self(sha256(&[platform_id]))
    }

    /// Whether it is the placeholder that a guest reports as long as no verifier filled the id in: the hash of nothing.
    pub fn is_placeholder(&self) -> bool {
        *self == Self::from_platform_id(&[])
    }
}

/// The address of a network card, shown as `96:b1:d8:b9:08:e6`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The six bytes.
    pub const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacAddress({self})")
    }
}

/// The address of a VM's network card: from the VM's id, the number of the card (from 0), and the node's `mac_prefix`
/// of at most three bytes. More bytes of the prefix are not used.
///
/// The result is always a locally administered unicast address, whatever the prefix says (upstream
/// `vmm/src/app/network.rs`).
///
/// ```
/// assert_eq!(dstack_vmm_client::ids::mac_address("vm-123", 0, &[]).to_string(), "96:b1:d8:b9:08:e6");
/// ```
pub fn mac_address(vm_id: &str, nic_index: usize, prefix: &[u8]) -> MacAddress {
    let hash = match nic_index {
        0 => sha256(&[vm_id.as_bytes()]),
        n => sha256(&[format!("{vm_id}:{n}").as_bytes()]),
    };
    let prefix = &prefix[..prefix.len().min(3)];
    let mut bytes = [0; 6];
    bytes[..prefix.len()].copy_from_slice(prefix);
    bytes[prefix.len()..].copy_from_slice(&hash[..6 - prefix.len()]);
    bytes[0] = (bytes[0] & 0xfe) | 0x02;
    MacAddress(bytes)
}

/// The shortest launch token a guest accepts, in bytes.
pub const MIN_LAUNCH_TOKEN_BYTES: usize = 32;

/// What `requirements.launch_token_hash` must be for a launch token, as bytes; the document has it as hex.
///
/// The hash is public, so the token must not be one that can be guessed; guests refuse any below
/// [`MIN_LAUNCH_TOKEN_BYTES`]. Next only (upstream `dstack-types/src/lib.rs`).
pub fn launch_token_hash(token: &str) -> [u8; 32] {
    sha256(&[b"dstack-launch-token/v1:", token.as_bytes()])
}

/// SHA-256 as hex, as scripts have it: the form of the top-level `launch_token_hash` that tools and apps agree on.
pub fn legacy_launch_token_hash(token: &str) -> String {
    hex::encode(digest(&SHA256, token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_of_the_reference_and_of_recorded_vms() {
        let mac = |id, nic| mac_address(id, nic, &[]).to_string();
        assert_eq!(mac("vm-123", 0), "96:b1:d8:b9:08:e6");
        assert_eq!(mac("vm-123", 1), "c6:74:2c:65:14:b9");
        assert_eq!(mac("8fccd788-b7df-4f90-b33d-f4c988f79ec3", 0), "a6:a9:c5:af:84:ed");
        assert_eq!(mac("b30f87f4-9d02-416c-8099-768e01ddd2dc", 0), "aa:9f:68:c1:26:8f");
    }

    #[test]
    fn a_prefix_takes_the_place_of_the_first_bytes_and_stays_local() {
        // The card's own bytes start at the head of the hash, behind the prefix.
        let hash = sha256(&[b"vm-123"]);
        let mac = mac_address("vm-123", 0, &[0x53, 0x54, 0x00]);
        assert_eq!(mac.as_bytes()[..3], [0x52, 0x54, 0x00]);
        assert_eq!(mac.as_bytes()[3..], hash[..3]);
        assert_eq!(mac, mac_address("vm-123", 0, &[0x52, 0x54, 0x00, 0xff]));
    }

    #[test]
    fn launch_tokens() {
        assert_eq!(
            hex::encode(launch_token_hash("unit-test-launch-token-0000000001")),
            "28faa1319055d733ad9651f5ab7689c15b04609846bcd27b3c5bc8df6246f5a3"
        );
        assert_eq!(
            legacy_launch_token_hash(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn instance_ids_mix_seed_app_and_machine() {
        let app = AppId::from_bytes([0x11; 20]);
        let plain = InstanceId::derive(&[0x33; 20], &app, None);
        let whole: Vec<u8> = [[0x33u8; 20], [0x11; 20]].concat();
        assert_eq!(plain.as_bytes()[..], digest(&SHA256, &whole).as_ref()[..20]);
        let bound = InstanceId::derive(&[0x33; 20], &app, Some(&[0x44; 32]));
        assert_ne!(plain, bound);
        let whole = [whole, vec![0x44; 32]].concat();
        assert_eq!(bound.as_bytes()[..], digest(&SHA256, &whole).as_ref()[..20]);
    }

    #[test]
    fn the_placeholder_of_a_device_is_recognised() {
        let placeholder: DeviceId =
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".parse().unwrap();
        assert!(placeholder.is_placeholder());
        assert!(!DeviceId::from_platform_id(b"ppid").is_placeholder());
    }

    #[test]
    fn texts_and_bytes_that_are_no_id() {
        let said = |text: &str| text.parse::<AppId>().unwrap_err().to_string();
        assert_eq!(said("0x00"), "an app id has 40 hex digits, this text has 2");
        assert_eq!(said(&"ab漢".repeat(20)), "an app id has 40 hex digits, this text has 60");
        assert_eq!(
            said(&format!("{}x", "0".repeat(39))),
            "character 'x' at position 40 of the app id is no hex digit"
        );
        let bytes = AppId::try_from(&[0u8; 19][..]).unwrap_err();
        assert_eq!(bytes.to_string(), "an app id has 20 bytes, not 19");
        let device = "00".parse::<DeviceId>().unwrap_err();
        assert_eq!(device.to_string(), "a device id has 64 hex digits, this text has 2");
    }

    #[test]
    fn ids_are_hex_in_json() {
        let id = AppId::from_bytes([0xab; 20]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{}\"", "ab".repeat(20)));
        assert_eq!(serde_json::from_str::<AppId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<AppId>("\"ab\"").is_err());
    }
}
