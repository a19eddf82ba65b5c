//! Registers as fields.

use serde::Serialize;

/// Bits `low..=high` of a value.
const fn bits(value: u64, low: u32, high: u32) -> u64 {
    value >> low & (u64::MAX >> (63 - (high - low)))
}

/// Is bit `n` set?
const fn bit(value: u64, n: u32) -> bool {
    bits(value, n, n) == 1
}

/// `IA32_MKTME_KEYID_PARTITIONING`, MSR 0x87 (SDM volume 4; Linux, `arch/x86/virt/vmx/tdx/tdx.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct KeyIdPartitioning {
    /// Bits 31 to 0: keys that the host may use for multi-key encryption; 0 gives all to TDX and is fine.
    pub mktme: u32,
    /// Bits 63 to 32: keys that only TDX may use. One is the module's own; each TD takes one of the others.
    pub tdx: u32,
}

impl KeyIdPartitioning {
    /// Takes the value apart.
    pub const fn decode(value: u64) -> Self {
        Self { mktme: bits(value, 0, 31) as u32, tdx: bits(value, 32, 63) as u32 }
    }

    /// The key ids that only TDX may use, as the kernel logs them: `[32, 64)`.
    pub const fn private_range(self) -> std::ops::Range<u64> {
        let first = self.mktme as u64 + 1;
        first..first + self.tdx as u64
    }

    /// TDs that can run at a time: one key is the module's own.
    pub const fn guests(self) -> u32 {
        self.tdx.saturating_sub(1)
    }
}

/// `IA32_TME_CAPABILITY`, MSR 0x981. What the silicon has, not what is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TmeCapability {
    /// Bit 0: AES-XTS with 128-bit keys.
    pub aes_xts_128: bool,
    /// Bit 31: encryption can be bypassed for key id 0.
    pub bypass: bool,
    /// Bits 35 to 32: the most address bits that can be used for key ids.
    pub max_key_id_bits: u8,
    /// Bits 50 to 36: the most keys.
    pub max_keys: u16,
}

impl TmeCapability {
    /// Takes the value apart.
    pub const fn decode(value: u64) -> Self {
        Self {
            aes_xts_128: bit(value, 0),
            bypass: bit(value, 31),
            max_key_id_bits: bits(value, 32, 35) as u8,
            max_keys: bits(value, 36, 50) as u16,
        }
    }
}

/// `IA32_TME_ACTIVATE`, MSR 0x982: what the firmware set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TmeActivate {
    /// Bit 0: it cannot be changed before the next reset.
    pub locked: bool,
    /// Bit 1: memory encryption is on.
    pub enabled: bool,
    /// Bits 7 to 4: the algorithm; 0 is AES-XTS-128.
    pub policy: u8,
    /// Bit 31: key id 0 is not encrypted.
    pub bypass: bool,
    /// Bits 35 to 32: address bits that are used for key ids.
    pub key_id_bits: u8,
    /// Bits 39 to 36: how many of them are kept for TDX. Key ids in which none of these is set are the host's: of six
    /// bits with one kept, 31 key ids are the host's and 32 are TDX's.
    pub tdx_key_id_bits: u8,
    /// Bits 63 to 48: algorithms that software may choose, a bit each.
    pub algorithms: u16,
}

impl TmeActivate {
    /// Takes the value apart.
    pub const fn decode(value: u64) -> Self {
        Self {
            locked: bit(value, 0),
            enabled: bit(value, 1),
            policy: bits(value, 4, 7) as u8,
            bypass: bit(value, 31),
            key_id_bits: bits(value, 32, 35) as u8,
            tdx_key_id_bits: bits(value, 36, 39) as u8,
            algorithms: bits(value, 48, 63) as u16,
        }
    }

    /// Key ids that can be used: one less than the bits can count, because 0 is the host's own. The kernel logs this
    /// number as `x86/mktme: 63 KeyIDs available`.
    pub const fn key_ids(self) -> u32 {
        (1 << self.key_id_bits) - 1
    }
}

/// `IA32_SEAMRR_PHYS_MASK`, MSR 0x1401: the range in which the TDX module lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SeamrrMask {
    /// Bit 10: the range is locked. The SEAM loader does it; clear, it never ran.
    pub locked: bool,
    /// Bit 11: the range is on.
    pub enabled: bool,
}

impl SeamrrMask {
    /// Takes the value apart.
    pub const fn decode(value: u64) -> Self {
        Self { locked: bit(value, 10), enabled: bit(value, 11) }
    }
}

/// `IA32_FEATURE_CONTROL`, MSR 0x3A (SDM volume 4; Linux, `arch/x86/kernel/cpu/feat_ctl.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FeatureControl {
    /// Bit 0: it cannot be changed before the next reset.
    pub locked: bool,
    /// Bit 1: VMX inside of trusted execution technology.
    pub vmx_in_smx: bool,
    /// Bit 2: VMX outside of it, which is the one that counts.
    pub vmx: bool,
    /// Bit 17: the launch control keys of SGX may be changed.
    pub sgx_launch_control: bool,
    /// Bit 18: SGX.
    pub sgx: bool,
}

impl FeatureControl {
    /// Takes the value apart.
    pub const fn decode(value: u64) -> Self {
        Self {
            locked: bit(value, 0),
            vmx_in_smx: bit(value, 1),
            vmx: bit(value, 2),
            sgx_launch_control: bit(value, 17),
            sgx: bit(value, 18),
        }
    }
}

/// `SYSCFG`, MSR 0xC0010010 (APM volume 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Syscfg {
    /// Bit 23: memory encryption is on. The firmware sets it.
    pub smee: bool,
    /// Bit 24: SEV-SNP is on. The kernel sets it while it boots.
    pub snp: bool,
    /// Bit 25: privilege levels in guests are on. The kernel sets it while it boots.
    pub vmpl: bool,
}

impl Syscfg {
    /// Takes the value apart.
    pub const fn decode(value: u64) -> Self {
        Self { smee: bit(value, 23), snp: bit(value, 24), vmpl: bit(value, 25) }
    }
}

/// `RMP_BASE` and `RMP_END`, MSRs 0xC0010132 and 0xC0010133 (APM volume 2, section 15.36; Linux,
/// `arch/x86/virt/svm/sev.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RmpTable {
    /// The first byte.
    pub base: u64,
    /// The last byte. The low 13 bits of the register read as ones.
    pub end: u64,
}

impl RmpTable {
    /// Bytes at the beginning of the table that are for the processor.
    pub const BOOKKEEPING: u64 = 16 << 10;
    /// Bytes for each page of 4 KiB.
    pub const ENTRY: u64 = 16;
    /// Bits 51 to 13 of both registers are addresses.
    const ADDRESS: u64 = ((1 << 52) - 1) & !0x1fff;

    /// Puts the two values together.
    pub const fn decode(base: u64, end: u64) -> Self {
        Self { base: base & Self::ADDRESS, end: end & Self::ADDRESS | 0x1fff }
    }

    /// Did the firmware reserve memory for the table? Without, both registers have no address in them.
    pub const fn is_reserved(self) -> bool {
        self.base != 0 && self.base < self.end
    }

    /// Bytes.
    pub const fn size(self) -> u64 {
        if self.base < self.end { self.end - self.base + 1 } else { 0 }
    }

    /// The end of the memory that the table covers: it has an entry for every page from address 0 on.
    pub const fn covers(self) -> u64 {
        self.size().saturating_sub(Self::BOOKKEEPING) / Self::ENTRY * 4096
    }

    /// The size of a table that covers memory up to this address.
    pub const fn size_for(end_of_memory: u64) -> u64 {
        end_of_memory.div_ceil(4096).saturating_mul(Self::ENTRY).saturating_add(Self::BOOKKEEPING)
    }
}
