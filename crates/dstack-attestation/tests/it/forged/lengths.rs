//! Lengths that lie: nothing is allocated for them and nothing is read past the end. What is allocated is measured in
//! the fuzz package, which has an allocator that counts.

use dstack_attestation::ra_tls::RaTlsCertificate;
use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{Policy, quote::Collateral};

use super::scene::Scene;

#[test]
fn in_quotes() {
    // The signature's length; that of the certification data of type 6; of the authentication data; of the chain.
    let honest = Scene::honest().evidence.quote.unwrap();
    let chain = honest.windows(11).position(|part| part == b"-----BEGIN ").unwrap();
    for (at, width) in [(632, 4), (636 + 130, 4), (770 + 448, 2), (chain - 4, 4)] {
        for fill in [0x00, 0x7f, 0xff] {
            let mut scene = Scene::honest();
            scene.edit_quote(|quote| quote[at..at + width].fill(fill));
            let report = scene.report();
            let signature = report.get("quote.signature").unwrap().status.word();
            assert!(matches!(signature, "skipped" | "unknown" | "fail"), "{at} {fill:#x}: {signature}");
        }
    }
    // The body of version 5 says its own length.
    for size in [0u32, 583, 585, 0x7fff_ffff, u32::MAX] {
        let mut scene = Scene::honest();
        scene.edit_quote(|quote| {
            quote[0] = 5;
            let body: Vec<u8> = 2u16.to_le_bytes().into_iter().chain(size.to_le_bytes()).collect();
            quote.splice(48..48, body);
        });
        assert_eq!(scene.report().get("quote.readable").unwrap().status.word(), "unknown", "{size}");
    }
}

#[test]
fn in_attestations() {
    let scale = |head: &[u8]| [&[0, 0], head, &[0; 40]].concat();
    for bytes in [
        // SCALE: 2^30 - 1 in four bytes, 2^32 - 1 and 2^64 - 1 in the long form, 2^536 - 1 in the longest.
        scale(&(((1u32 << 30) - 1) << 2 | 2).to_le_bytes()),
        scale(&[0x03, 0xff, 0xff, 0xff, 0xff]),
        scale(&[0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        scale(&[0xff; 70]),
        // An empty quote, and then as many events.
        scale(&[0x00, 0x03, 0xff, 0xff, 0xff, 0xff]),
        scale(&[0x00, 0xfe, 0xff, 0xff, 0xff]),
        // MessagePack: arrays, maps, strings, binaries and extensions of 4 GB.
        [
            &b"\x83\xa7version\x01\xa8platform\x82\xa4kind\xa3tdx\xa4data\x82\xa5quote"[..],
            &[0xdd, 0xff, 0xff, 0xff, 0xff, 1],
        ]
        .concat(),
        vec![0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, b'a', 1],
        vec![0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
        vec![0x81, 0xa1, b'a', 0xc6, 0xff, 0xff, 0xff, 0xff, 1],
        vec![0x81, 0xa1, b'a', 0xc9, 0xff, 0xff, 0xff, 0xff, 1, 1],
        // Depth instead of length.
        [vec![0x81, 0xa1, b'a'], vec![0x91; 100_000]].concat(),
        vec![0x91; 100_000],
    ] {
        let head = hex::encode(&bytes[..bytes.len().min(12)]);
        assert!(VersionedAttestation::decode(&bytes).is_err(), "{head}");
    }
}

#[test]
fn in_certificates_and_texts() {
    for bytes in [
        vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30, 0x80],
        vec![0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        [0x30, 0x80].repeat(20_000),
        [0x30, 0x83, 0x01, 0x00, 0x00].repeat(20_000),
    ] {
        assert!(RaTlsCertificate::from_der(&bytes).is_err());
    }
    assert!(Collateral::from_json(&"[".repeat(100_000), "the test").is_err());
    assert!(Collateral::from_json(&format!("{{\"tcb_info\":\"{}", "a".repeat(100_000)), "the test").is_err());
    assert!(Policy::from_toml(&"[".repeat(100_000)).is_err());
    assert!(Policy::from_toml(&format!("version = 1\na = {}", "[".repeat(100_000))).is_err());
}

#[test]
fn in_logs() {
    for text in [
        "[".repeat(100_000),
        r#"[{"imr":3,"#.repeat(50_000),
        format!(
            r#"[{{"imr":3,"event_type":134217729,"digest":"","event":"a","event_payload":"","x":{}}}]"#,
            "[".repeat(100_000)
        ),
    ] {
        let mut scene = Scene::honest();
        scene.evidence.event_log = Some(text);
        assert_eq!(scene.report().get("eventlog.readable").unwrap().status.word(), "unknown");
    }
}
