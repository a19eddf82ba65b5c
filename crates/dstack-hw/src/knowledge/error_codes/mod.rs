//! Error codes and messages of the quote stack, the TDX module, the registration agent, QEMU and the kernel.
//!
//! Numbers and names are those of the headers named at each [`Family`]; what they mean, where they come from and what to do
//! is in our words. [`crate::explain`] searches the tables.

mod aesm;
mod attest;
mod messages;
mod qcnl;
mod quote;
mod registration;
mod seamcall;

use std::fmt;

use serde::Serialize;

/// The date of the tables.
pub const AS_OF: &str = "2026-11";

/// A code or a message, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Where it comes from.
    pub family: Family,
    /// The number. `None` for a message without one.
    pub code: Option<u64>,
    /// The symbolic name; for a message a name of ours.
    pub name: &'static str,
    /// Parts of the message in lower case, all of which a line has to have, in this order. Empty for a code that is recognised by number
    /// and name alone.
    pub fragments: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
    /// Where it usually comes from. Empty where the meaning says it.
    pub cause: &'static str,
    /// What to do. Empty where nothing is known to help.
    pub fix: &'static str,
    /// How sure that is.
    pub certainty: Certainty,
    /// It follows from an error that was reported before it, and says nothing of its own.
    pub follow_on: bool,
    /// The check that looks at the cause. Empty where none does.
    pub check: &'static str,
}

/// How sure an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Number and name are those of a header, and cause and fix were seen in reports.
    Certain,
    /// The cause or the number was inferred.
    Likely,
}

/// Where a code or message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Family {
    /// The SGX quote library, `quote3_error_t` (Intel DCAP, `sgx_ql_lib_common.h`).
    QuoteLibrary,
    /// The TDX quote library inside QGS, `tee_att_error_t` (Intel DCAP, `td_ql_wrapper.h`).
    TdxQuoteLibrary,
    /// The collateral client, `sgx_qcnl_error_t` (Intel DCAP, `sgx_default_qcnl_wrapper.h`).
    Qcnl,
    /// `curl`, whose codes the collateral client prints (libcurl, `curl.h`).
    Curl,
    /// HTTP statuses of PCCS and of Intel's service (Intel DCAP, PCCS API).
    Pccs,
    /// The enclave service daemon, `aesm_error_t` (Intel SGX PSW, `aesm_error.h`), in decimal.
    Aesm,
    /// The quote generation service's answers, `qgs_msg_error_t` (Intel DCAP, `qgs_msg_lib.h`).
    Qgs,
    /// The guest's quote library, `tdx_attest_error_t` (Intel DCAP, `tdx_attest.h`).
    TdxAttest,
    /// The TDX module's answers to SEAMCALL: class and details in the upper half of RAX (TDX module ABI; Linux `tdx_errno.h`).
    Seamcall,
    /// The functions of the TDX module, by leaf number (TDX module ABI; Linux `arch/x86/virt/vmx/tdx/tdx.h`).
    SeamcallLeaf,
    /// The loader of the TDX module (P-SEAMLDR).
    SeamLoader,
    /// The registration agent and server, in the variable `SgxRegistrationStatus` (Intel DCAP, `MultiPackageDefs.h`).
    Registration,
    /// MCHECK, in MSR 0xA0.
    Mcheck,
    /// The error number that the kernel prints behind `module initialization failed` (Linux `errno-base.h`).
    KernelErrno,
    /// A message of the kernel.
    Kernel,
    /// A message of QEMU.
    Qemu,
    /// A message of one of the quote services.
    Service,
}

impl Family {
    /// What the code belongs to, to follow a code: `0xe011 of the SGX quote library`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::QuoteLibrary => "the SGX quote library",
            Self::TdxQuoteLibrary => "the TDX quote library of QGS",
            Self::Qcnl => "the collateral client (QCNL)",
            Self::Curl => "curl",
            Self::Pccs => "a collateral service (HTTP)",
            Self::Aesm => "the enclave service daemon (AESM)",
            Self::Qgs => "the quote generation service (QGS)",
            Self::TdxAttest => "the guest's quote library",
            Self::Seamcall => "the TDX module (SEAMCALL status)",
            Self::SeamcallLeaf => "the TDX module (SEAMCALL function)",
            Self::SeamLoader => "the loader of the TDX module",
            Self::Registration => "the registration agent",
            Self::Mcheck => "MCHECK",
            Self::KernelErrno => "the kernel's bring-up of TDX",
            Self::Kernel => "the kernel",
            Self::Qemu => "QEMU",
            Self::Service => "the quote services",
        }
    }

    /// Are its codes written in decimal?
    pub const fn is_decimal(self) -> bool {
        matches!(self, Self::Curl | Self::Pccs | Self::Aesm | Self::KernelErrno)
    }

    /// The code as logs write it.
    pub fn write(self, code: u64) -> String {
        match self {
            Self::KernelErrno => format!("-{code}"),
            Self::Seamcall | Self::SeamLoader => format!("{code:#018x}"),
            Self::SeamcallLeaf => format!("{code:#x} (leaf {code})"),
            Self::Registration => format!("{code:#04x}"),
            family if family.is_decimal() => code.to_string(),
            _ => format!("{code:#x}"),
        }
    }

    /// Words one of which a longer text has to have before a small number in it is taken for a code of this family.
    pub(crate) const fn context(self) -> &'static [&'static str] {
        match self {
            Self::Curl => &["curl"],
            Self::Pccs => &["pccs", "pcs server", "http"],
            Self::Aesm => &["aesm"],
            Self::TdxAttest => &["tdx_att"],
            Self::SeamcallLeaf => &["seamcall"],
            Self::Registration => &["registration", "sgxregistration", "mpa"],
            Self::Mcheck => &["mcheck", "msr 0xa0"],
            Self::KernelErrno => &["module initialization failed", "tdx: initialization failed"],
            _ => &[],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl Entry {
    const fn new(family: Family, code: Option<u64>, name: &'static str, meaning: &'static str) -> Self {
        Self {
            family,
            code,
            name,
            fragments: &[],
            meaning,
            cause: "",
            fix: "",
            certainty: Certainty::Certain,
            follow_on: false,
            check: "",
        }
    }

    const fn cause(mut self, cause: &'static str) -> Self {
        self.cause = cause;
        self
    }

    const fn fix(mut self, fix: &'static str) -> Self {
        self.fix = fix;
        self
    }

    const fn check(mut self, check: &'static str) -> Self {
        self.check = check;
        self
    }

    const fn seen_as(mut self, fragments: &'static [&'static str]) -> Self {
        self.fragments = fragments;
        self
    }

    const fn likely(mut self) -> Self {
        self.certainty = Certainty::Likely;
        self
    }

    const fn follow_on(mut self) -> Self {
        self.follow_on = true;
        self
    }

    /// The code as logs write it. `None` for a message.
    pub fn written(&self) -> Option<String> {
        self.code.map(|code| self.family.write(code))
    }

    /// Is this number the entry's code? See [`by_code`].
    pub(crate) fn has_code(&self, code: u64) -> bool {
        let Some(own) = self.code else { return false };
        match self.family {
            Family::Seamcall => code >> 32 != 0 && own & seamcall::SAME_MASK == code & seamcall::SAME_MASK,
            _ => own == code,
        }
    }

    /// Has the line all parts of the message, in order and in any case?
    pub fn is_in(&self, line: &str) -> bool {
        !self.fragments.is_empty() && self.is_in_lower(&line.to_lowercase())
    }

    pub(crate) fn is_in_lower(&self, lower: &str) -> bool {
        let mut rest = lower;
        !self.fragments.is_empty()
            && self.fragments.iter().all(|fragment| {
                let found = rest.find(fragment).map(|at| at + fragment.len());
                rest = found.and_then(|end| rest.get(end..)).unwrap_or_default();
                found.is_some()
            })
    }
}

/// Every entry, family by family, codes in order.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    [
        quote::SGX,
        quote::TDX,
        qcnl::CODES,
        qcnl::CURL,
        qcnl::HTTP,
        aesm::CODES,
        attest::QGS,
        attest::TDX_ATTEST,
        seamcall::STATUSES,
        seamcall::LEAVES,
        seamcall::LOADER,
        registration::CODES,
        registration::MCHECK,
        messages::ERRNO,
        messages::KERNEL,
        messages::QEMU,
        messages::SERVICES,
    ]
    .into_iter()
    .flatten()
}

/// The entry of this family with this code. A SEAMCALL status is looked up by its upper half: the lower half names the
/// operand. Modules of different age set bits 61 and 60, which say how far an error reaches, differently; they are the
/// same error.
pub fn by_code(family: Family, code: u64) -> Option<&'static Entry> {
    entries().find(|entry| entry.family == family && entry.has_code(code))
}

/// What a line of a log says: entries whose code or message is in it, causes before what follows from them. Numbers are
/// only taken for codes where the line leaves no doubt.
pub fn in_line(line: &str) -> Vec<&'static Entry> {
    let lower = line.to_lowercase();
    let mut found: Vec<&'static Entry> = entries().filter(|entry| entry.is_in_lower(&lower)).collect();
    for code in hex_numbers(&lower) {
        let families = [Family::QuoteLibrary, Family::TdxQuoteLibrary, Family::Qcnl, Family::Qgs];
        let plain = families.into_iter().filter_map(|family| by_code(family, code));
        let status = (code >> 32 != 0).then(|| by_code(Family::Seamcall, code)).flatten();
        for entry in plain.chain(status) {
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
    }
    found.sort_by_key(|entry| entry.follow_on);
    found
}

/// The numbers of a text in lower case that are written `0x...`, at most 64.
pub(crate) fn hex_numbers(lower: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut rest = lower;
    while let Some(at) = rest.find("0x") {
        rest = rest.get(at + 2..).unwrap_or_default();
        let end = rest.find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(rest.len());
        if let Ok(value) = u64::from_str_radix(rest.get(..end).unwrap_or_default(), 16) {
            found.push(value);
        }
        if found.len() == 64 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_tables_are_well_formed() {
        let mut codes = BTreeSet::new();
        let mut names = BTreeSet::new();
        for entry in entries() {
            assert!(names.insert((entry.family, entry.name)), "{} twice", entry.name);
            assert!(
                entry.fragments.iter().all(|fragment| fragment.to_lowercase() == *fragment),
                "{}",
                entry.name
            );
            if let Some(code) = entry.code {
                let code = if entry.family == Family::Seamcall { code & seamcall::SAME_MASK } else { code };
                assert!(codes.insert((entry.family, code)), "{:#x} of {} twice", code, entry.family);
            } else {
                assert!(!entry.fragments.is_empty(), "{} has neither code nor message", entry.name);
            }
            for text in [entry.meaning, entry.cause, entry.fix] {
                assert!(!text.ends_with('.') && text.trim() == text, "{}: `{text}`", entry.name);
            }
            assert!(!entry.meaning.is_empty(), "{}", entry.name);
            if !entry.check.is_empty() {
                assert!(
                    crate::checks::get(entry.check).is_some(),
                    "{}: no check {}",
                    entry.name,
                    entry.check
                );
            }
        }
        assert!(entries().count() >= 350, "{}", entries().count());
    }

    #[test]
    fn the_operand_of_a_status_is_masked() {
        let entry = by_code(Family::Seamcall, 0xc000_0505_0000_0000).unwrap();
        assert_eq!(entry.name, "TDX_SYS_NOT_READY");
        assert_eq!(by_code(Family::Seamcall, 0xc000_0100_0000_0092).unwrap().name, "TDX_OPERAND_INVALID");
        assert_eq!(by_code(Family::Seamcall, 0x4000_0002_0000_0000).unwrap().name, "TDX_NON_RECOVERABLE_TD");
        assert_eq!(by_code(Family::Seamcall, 0xc000_4321_0000_0000), None);
    }

    #[test]
    fn causes_come_before_what_follows() {
        let line = "[get_platform_quote_cert_data ../td_ql_logic.cpp:302] Error returned from the p_sgx_get_quote_config API. 0xe011";
        assert_eq!(in_line(line)[0].name, "SGX_QL_NO_PLATFORM_CERT_DATA");
        assert!(in_line("tee_att_init_quote return 0x11001").iter().all(|entry| entry.follow_on));
        assert!(in_line("handle_read: status [system:0]").is_empty());
    }

    #[test]
    fn numbers_are_found_in_text() {
        assert_eq!(
            hex_numbers("a 0x22) failed: 0xc000050500000000 0x 0xfffffffffffffffff"),
            [0x22, 0xc000_0505_0000_0000]
        );
    }

    #[test]
    fn recorded_lines_have_entries() {
        for (line, name) in [
            ("virt/tdx: module not loaded", "tdx-module-not-loaded"),
            ("x86/tme: not enabled by BIOS", "tme-off"),
            ("virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000", "TDX_SYS_NOT_READY"),
            (
                "virt/tdx: initialization failed: TDMR [0x40000000, 0x80000000): reserved areas exhausted.",
                "tdmr-reserved-areas",
            ),
            ("sgx: There are zero EPC sections.", "sgx-zero-epc"),
            ("qemu-system-x86_64: vm-type TDX not supported by KVM", "qemu-vm-type"),
            ("AESM service returned error 44", "aesm-returned-error"),
            ("[QPL] No certificate data for this platform.", "qpl-no-certificate"),
            ("Intel PCS server returns error(401)", "pcs-401"),
        ] {
            assert!(in_line(line).iter().any(|entry| entry.name == name), "{line}: {:?}", in_line(line));
        }
    }
}
