//! The shape of a VM as its VMM writes it down: `vm_config`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fixed_bytes::parse_hex;
use crate::{Digest32, HexError};

/// The longest `vm_config` text that is read, in bytes. The largest member, the measurement of TDX lite, is a few KiB.
const MAX_TEXT: usize = 1 << 20;

/// The VM's shape and image, by which an OS image's registers are computed.
///
/// The VMM writes it, the guest agent passes it on, and nothing measures it: it is the host's word. Every member may be
/// missing. Members of dstack 0.5 and of branch next stand side by side; what is not known here is kept in
/// [`other`](Self::other). Source: upstream `dstack-types`, `VmConfig`.
///
/// ```
/// let config = dstack_attestation::VmConfig::parse(r#"{"cpu_count":2,"memory_size":4294967296}"#)?;
/// assert_eq!(config.shape(), "2 vCPUs, 4 GiB");
/// # Ok::<(), dstack_attestation::VmConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct VmConfig {
    /// The version of this format; 1.
    pub spec_version: Option<u64>,
    /// The OS image hash in hex; empty or missing where the VMM has none.
    pub os_image_hash: Option<String>,
    /// How many vCPUs.
    pub cpu_count: Option<u32>,
    /// The memory in bytes.
    pub memory_size: Option<u64>,
    /// The version of QEMU.
    pub qemu_version: Option<String>,
    /// How QEMU adds the TD's pages; the member's name and meaning changed between versions of upstream.
    pub qemu_single_pass_add_pages: Option<bool>,
    /// Whether the VM has a legacy interrupt controller.
    pub pic: Option<bool>,
    /// The size of the 64-bit PCI window in bytes; 0 for QEMU's own.
    pub pci_hole64_size: Option<u64>,
    /// Whether the memory is on huge pages.
    pub hugepages: Option<bool>,
    /// How many GPUs are passed through.
    pub num_gpus: Option<u32>,
    /// How many NVSwitches are passed through.
    pub num_nvswitches: Option<u32>,
    /// How many network cards there are; missing for 1. Branch next.
    pub num_nics: Option<u32>,
    /// How many volumes with dm-verity there are; missing for none. Branch next.
    pub num_verity_volumes: Option<u32>,
    /// Whether there is an emulated TPM. Branch next.
    pub swtpm: Option<bool>,
    /// Whether hot plugging is off.
    pub hotplug_off: Option<bool>,
    /// The image's name on the host.
    pub image: Option<String>,
    /// How the host hands its files to the guest.
    pub host_share_mode: Option<String>,
    /// Which layout the virtual firmware has.
    pub ovmf_variant: Option<String>,
    /// How the OS is to be verified: `legacy` (missing means that) or `lite`. Branch next.
    pub tdx_attestation_variant: Option<String>,
    /// What `lite` is verified by. Branch next.
    pub tdx_measurement: Option<TdxMeasurement>,
    /// Everything else.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The material of TDX lite: an image's list of checksums and the measurement document that one of its lines names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TdxMeasurement {
    /// The image's `sha256sum.txt`, in base64.
    pub checksum_file: String,
    /// The image's `measurement.tdx.cbor`, in base64.
    pub measurement: String,
}

/// Why a text is not a `vm_config`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmConfigError {
    /// The text is too long.
    #[error("vm_config has {length} bytes, more than the {MAX_TEXT} that are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The text is not the JSON object it should be.
    #[error("vm_config is not the JSON it should be: {0}")]
    Json(#[from] serde_json::Error),
}

impl VmConfig {
    /// Reads the JSON text of `vm_config`.
    ///
    /// # Errors
    ///
    /// [`VmConfigError`].
    pub fn parse(json: &str) -> Result<Self, VmConfigError> {
        if json.len() > MAX_TEXT {
            return Err(VmConfigError::TooLong { length: json.len() });
        }
        Ok(serde_json::from_str(json)?)
    }

    /// The OS image hash; `None` where the VMM names none.
    ///
    /// # Errors
    ///
    /// [`HexError`] when it is not the hex of 32 bytes.
    pub fn image_hash(&self) -> Result<Option<Digest32>, HexError> {
        match self.os_image_hash.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => parse_hex(text).map(Some),
        }
    }

    /// The shape in a few words, such as `2 vCPUs, 4 GiB, QEMU 9.2.1`; empty where nothing is said about it.
    pub fn shape(&self) -> String {
        let mut words = Vec::new();
        match self.cpu_count {
            Some(1) => words.push("1 vCPU".to_owned()),
            Some(count) => words.push(format!("{count} vCPUs")),
            None => {}
        }
        words.extend(self.memory_size.map(memory));
        words.extend(self.qemu_version.as_ref().map(|version| format!("QEMU {version}")));
        let devices = [(self.num_gpus, "GPU"), (self.num_nvswitches, "NVSwitch")];
        for (count, name) in devices {
            words.extend(count.filter(|count| *count > 0).map(|count| format!("{name} x{count}")));
        }
        words.join(", ")
    }
}

/// Bytes in the largest binary unit of which there is a whole number.
fn memory(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |shift: &u32| bytes != 0 && bytes.trailing_zeros() >= *shift;
    match units.iter().find(|(shift, _)| whole(shift)) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_members_are_kept_and_written_again() {
        let text = r#"{"cpu_count":1,"memory_size":2147483648,"num_gpus":8,"new_thing":{"a":[1]}}"#;
        let config = VmConfig::parse(text).unwrap();
        assert_eq!(config.other["new_thing"]["a"][0], 1);
        assert_eq!(config.shape(), "1 vCPU, 2 GiB, GPU x8");
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(VmConfig::parse(&again).unwrap(), config);
    }

    #[test]
    fn hostile_texts_are_refused() {
        for text in ["", "[]", "{", r#"{"cpu_count":-1}"#, r#"{"cpu_count":1,"cpu_count":2}"#] {
            assert!(matches!(VmConfig::parse(text), Err(VmConfigError::Json(_))), "{text}");
        }
        assert!(VmConfig::parse(&"[".repeat(2000)).is_err());
        assert!(matches!(VmConfig::parse(&" ".repeat(MAX_TEXT + 1)), Err(VmConfigError::TooLong { .. })));
    }

    #[test]
    fn the_image_hash_is_read_or_refused() {
        let hash =
            |text: &str| VmConfig { os_image_hash: Some(text.into()), ..VmConfig::default() }.image_hash();
        assert_eq!(hash(""), Ok(None));
        assert_eq!(hash(&format!("0x{}", "AB".repeat(32))), Ok(Some(Digest32::new([0xab; 32]))));
        assert!(hash("abcd").is_err());
        assert_eq!(VmConfig::default().image_hash(), Ok(None));
    }

    #[test]
    fn memory_is_said_in_whole_units() {
        let texts = [0, 1536 << 20, 3 << 30, 2048, 1000].map(memory);
        assert_eq!(texts, ["0 bytes", "1536 MiB", "3 GiB", "2 KiB", "1000 bytes"]);
    }
}
