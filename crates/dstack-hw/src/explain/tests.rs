//! What people ask, and what they are told.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// The answer as text, for people to read in a snapshot.
fn told(query: &str) -> String {
    let mut text = String::new();
    for found in explain(query) {
        let code = found.code.as_deref().unwrap_or("-");
        writeln!(text, "{} [{code}] {} ({:?})", found.name, found.origin, found.matched).unwrap();
        for (label, words) in [("means", found.meaning), ("cause", found.cause), ("fix", found.fix)] {
            if !words.is_empty() {
                writeln!(text, "  {label}: {words}").unwrap();
            }
        }
        if let Some(note) = found.note {
            writeln!(text, "  note: {note}").unwrap();
        }
        if let Some(page) = found.page {
            writeln!(text, "  page: {page}").unwrap();
        }
    }
    text
}

fn first(query: &str) -> &'static str {
    explain(query).first().map_or("", |found| found.name)
}

#[test]
fn a_code_in_every_way_to_write_it() {
    for query in ["0xe011", "0xE011", "e011", "E011", " 0x0000e011 ", "57361", "`0xe011`", "0xE011ul"] {
        assert_eq!(first(query), "SGX_QL_NO_PLATFORM_CERT_DATA", "{query}");
    }
    assert_eq!(first("0x1861"), "MCHECK_SGX_REGISTRATION_VARIABLES");
    assert_eq!(first("44"), "AESM_NO_PLATFORM_CERT_DATA");
    assert_eq!(first("-28"), "ENOSPC");
    assert_eq!(first("c000050500000000"), "TDX_SYS_NOT_READY");
    assert_eq!(first("0xC000010000000092"), "TDX_OPERAND_INVALID");
}

#[test]
fn lines_of_logs_find_their_entries() {
    for (line, name) in [
        ("[    0.000000] x86/tme: not enabled by BIOS", "tme-off"),
        (
            "[    9.1] virt/tdx: SEAMCALL (0x0000000000000021) failed: 0xc000090000000000",
            "TDX_INCORRECT_CPUID_VALUE",
        ),
        ("[    9.2] virt/tdx: module initialization failed (-28)", "ENOSPC"),
        (
            "virt/tdx: initialization failed: TDMR [0x40000000, 0x80000000): reserved areas exhausted.",
            "tdmr-reserved-areas",
        ),
        (
            "May 09 13:24:16 host qgsd[6732]: [QPL] Failed to get quote config. Error code is 0xb011",
            "SGX_QCNL_ERROR_STATUS_UNEXPECTED",
        ),
        ("tee_att_init_quote return 0x11001", "TEE_ATT_ERROR_UNEXPECTED"),
        (
            "[QCNL] Encountered CURL error: (60) SSL peer certificate or SSH remote key was not OK",
            "CURLE_PEER_FAILED_VERIFICATION",
        ),
        ("error: AESM service returned error 44", "AESM_NO_PLATFORM_CERT_DATA"),
        ("1: TDX_ATTEST_ERROR_UNEXPECTED", "TDX_ATTEST_ERROR_UNEXPECTED"),
        ("Error: QGS error code: 0x12001", "QGS_MSG_ERROR_UNEXPECTED"),
        ("qemu-system-x86_64: vm-type tdx not supported by KVM", "qemu-vm-type"),
        ("[   14.8] tdx: [firmware bug]: TDX is not enabled by BIOS.", "seamrr-off"),
        ("SgxRegistrationStatus error 0xa5", "MPA_RS_PM_INVALID_PLATFORM_MANIFEST"),
    ] {
        assert_eq!(first(line), name, "{line}: {}", told(line));
    }
}

#[test]
fn a_check_is_explained_by_its_id() {
    let found = explain("hw.sgx.epc");
    assert_eq!((found[0].kind, found[0].name), (Kind::Check, "hw.sgx.epc"));
    assert_eq!(found[0].page.as_deref(), Some("docs/checks/hw.sgx.epc.md"));
}

#[test]
fn numbers_in_a_text_are_not_taken_for_codes_without_reason() {
    assert!(explain("BIOS-e820: [mem 0x0000000000000022-0x000000000009ffff] usable").is_empty());
    assert!(explain("usb 1-14: new high-speed USB device number 44 using xhci_hcd").is_empty());
}

#[test]
fn words_and_near_misses() {
    assert!(explain("module not loaded").iter().any(|found| found.name == "tdx-module-not-loaded"));
    assert!(
        explain("platform not registered").iter().any(|found| found.name == "AESM_NO_PLATFORM_CERT_DATA")
    );
    assert!(explain("zero epc").iter().any(|found| found.name == "sgx-zero-epc"));
    assert!(explain("launch control locked").iter().any(|found| found.name == "sgx-lc-locked"));
    assert_eq!(explain("xyzzy plugh"), []);
    assert!(suggestions("TDX_SYS_NOT_REDY").contains(&"TDX_SYS_NOT_READY"));
    assert!(suggestions("hw.sgx.epd").contains(&"hw.sgx.epc"));
    assert!(suggestions("").is_empty());
}

#[test]
fn what_is_told() {
    let mut text = String::new();
    for query in [
        "0xe011",
        "tee_att_init_quote return 0x11001",
        "virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000",
        "0xC000010000000092",
        "12",
        "AESM service returned error 44",
    ] {
        writeln!(text, "> {query}\n{}", told(query)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_entry_is_found_by_its_name_and_its_code() {
    for entry in error_codes::entries() {
        let by_name = explain(entry.name);
        assert!(by_name.iter().any(|found| found.name == entry.name), "{}", entry.name);
        let Some(written) = entry.written() else {
            let message = entry.fragments.join(" ... ");
            assert!(explain(&message).iter().any(|found| found.name == entry.name), "{message}");
            continue;
        };
        let code = written.split(' ').next().unwrap_or_default();
        let by_code = explain(code);
        assert!(
            by_code.iter().any(|found| found.name == entry.name),
            "{code} of {}: {}",
            entry.family,
            told(code)
        );
    }
}

proptest! {
    // Each case searches all tables for several queries.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_query_has_an_answer_or_none(query in "(?s).{0,120}") {
        let found = explain(&query);
        prop_assert!(found.len() <= MAX_EXPLANATIONS);
        prop_assert_eq!(&found, &explain(&query));
        prop_assert!(suggestions(&query).len() <= 5);
    }

    #[test]
    fn any_number_has_an_answer_or_none(value: u64) {
        for query in [format!("{value:#x}"), format!("{value:X}"), value.to_string(), format!("a 0x{value:x} b")] {
            let _ = explain(&query);
        }
    }
}
