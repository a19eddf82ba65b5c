//! The platforms that attestations name.

use std::fmt;

/// The TEE that an attestation is from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// Intel TDX, as dstack runs it on bare metal.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
    /// Intel TDX on Google Cloud, with a vTPM.
    GcpTdx,
    /// AWS Nitro Enclaves.
    NitroEnclave,
    /// AWS Nitro with a TPM.
    NitroTpm,
    /// A platform that this crate does not know, by its name in the attestation, at most 64 bytes of it.
    Other(String),
}

impl Platform {
    /// The platform with this name in an attestation of version 1. Only `tdx` was seen in recordings; the other
    /// spellings are those that suggest themselves, with `-` or `_` and in any case of letters.
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "tdx" => Self::Tdx,
            "sev-snp" | "snp" | "amd-sev-snp" => Self::SevSnp,
            "gcp-tdx" => Self::GcpTdx,
            "nitro-enclave" | "nitro" | "aws-nitro-enclave" => Self::NitroEnclave,
            "nitro-tpm" | "aws-nitro-tpm" => Self::NitroTpm,
            _ => {
                let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 64);
                Self::Other(name.get(..end.last().unwrap_or(0)).unwrap_or_default().to_owned())
            }
        }
    }

    /// The name in attestations.
    pub fn name(&self) -> &str {
        match self {
            Self::Tdx => "tdx",
            Self::SevSnp => "sev-snp",
            Self::GcpTdx => "gcp-tdx",
            Self::NitroEnclave => "nitro-enclave",
            Self::NitroTpm => "nitro-tpm",
            Self::Other(name) => name,
        }
    }

    /// Whether evidence of the platform is verified here.
    pub const fn is_verified_here(&self) -> bool {
        matches!(self, Self::Tdx)
    }
}

impl fmt::Display for Platform {
    /// The name that people know it by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tdx => "Intel TDX",
            Self::SevSnp => "AMD SEV-SNP",
            Self::GcpTdx => "Intel TDX on Google Cloud",
            Self::NitroEnclave => "AWS Nitro Enclaves",
            Self::NitroTpm => "AWS Nitro with a TPM",
            Self::Other(name) => return write!(f, "a platform named {name:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_long_ones_cut() {
        for platform in
            [Platform::Tdx, Platform::SevSnp, Platform::GcpTdx, Platform::NitroEnclave, Platform::NitroTpm]
        {
            assert_eq!(Platform::from_name(platform.name()), platform);
            assert_eq!(Platform::from_name(&platform.name().replace('-', "_").to_uppercase()), platform);
        }
        let cut = Platform::from_name(&"\u{fc}".repeat(40));
        assert_eq!(cut, Platform::Other("\u{fc}".repeat(32)));
        assert!(!cut.is_verified_here() && Platform::Tdx.is_verified_here());
    }
}
