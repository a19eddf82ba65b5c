//! Other bytes in the place of a quote: cut, of another kind, or of the wrong length.

use dstack_check::Verdict;

use super::scene::{Attack, Scene, carry_out};
use crate::evidence::emulated;

fn put(scene: &mut Scene, bytes: Vec<u8>) {
    scene.evidence.quote = Some(bytes);
}

/// An SGX quote of version 3: header, report body of 384 bytes, a signature of no length.
fn sgx(version: u8) -> Vec<u8> {
    let mut bytes = vec![version, 0, 2, 0, 0, 0, 0, 0];
    bytes.extend([0; 40 + 384]);
    bytes.extend(64u32.to_le_bytes());
    bytes.extend([1; 64]);
    bytes
}

const ATTACKS: &[Attack] = &[
    ("no quote", |scene| scene.evidence.quote = None, "unknown quote.present"),
    ("an SGX quote of version 3", |scene| put(scene, sgx(3)), "unknown quote.readable"),
    ("an SGX quote of version 4", |scene| put(scene, sgx(4)), "unknown quote.readable"),
    (
        "an SEV-SNP report",
        |scene| put(scene, [&2u32.to_le_bytes()[..], &[0x11; 1180]].concat()),
        "unknown quote.readable",
    ),
    (
        "the hex of a quote",
        |scene| {
            let text = hex::encode(scene.evidence.quote.as_deref().unwrap());
            put(scene, text.into_bytes());
        },
        "unknown quote.readable",
    ),
    (
        "a Nitro document",
        |scene| put(scene, [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0][..], &[0x59; 900]].concat()),
        "unknown quote.readable",
    ),
    ("zeros", |scene| put(scene, vec![0; 5000]), "unknown quote.readable"),
    (
        "another TEE type in the header",
        |scene| scene.edit_quote(|quote| quote[4] = 0),
        "unknown quote.readable",
    ),
    (
        "another version in the header",
        |scene| scene.edit_quote(|quote| quote[0] = 6),
        "unknown quote.readable",
    ),
    (
        "bytes behind the quote that are not zero",
        |scene| scene.edit_quote(|quote| quote.extend(*b"more")),
        "warn quote.readable",
    ),
];

#[test]
fn each_is_found() {
    carry_out(ATTACKS);
}

/// Guests hand quotes out in a larger buffer.
#[test]
fn zeros_behind_the_quote_do_not_matter() {
    let mut scene = Scene::honest();
    scene.edit_quote(|quote| quote.extend([0; 70]));
    assert_eq!(super::scene::changes(&scene.report()), "");
}

#[test]
fn a_quote_cut_anywhere_is_never_taken() {
    let whole = Scene::honest().evidence.quote.unwrap();
    // Every length in the header and around the ends of fields, and every 97th in the certificates.
    let ends = [48, 48 + 584, 632, 636, 700, 764, 770, 770 + 384, 770 + 448, 770 + 450, 770 + 482, 770 + 488];
    let near = ends.into_iter().flat_map(|end| end - 2..=end + 2);
    let lengths =
        (0..60).chain(near).chain((800..whole.len()).step_by(97)).chain(whole.len() - 3..whole.len());
    for length in lengths {
        let mut scene = Scene::honest();
        scene.edit_quote(|quote| quote.truncate(length));
        let report = scene.report();
        assert!(
            matches!(report.verdict(), Verdict::Undetermined | Verdict::Failed),
            "{length} bytes: {}",
            report.verdict()
        );
        let signature = report.get("quote.signature").unwrap().status.word();
        assert!(matches!(signature, "skipped" | "unknown" | "fail"), "{length} bytes: {signature}");
    }
}

/// Every bit of the signed part, and of what the signature itself consists of.
#[test]
fn a_flipped_bit_in_the_quote_is_never_taken() {
    let whole = Scene::honest().evidence.quote.unwrap();
    for at in (0..636).step_by(7).chain((636..whole.len()).step_by(41)) {
        let mut scene = Scene::honest();
        scene.edit_quote(|quote| quote[at] ^= 1 << (at % 8));
        let report = scene.report();
        // A bit in the armour of a certificate can leave the certificate as it was.
        let in_text = at > 1300;
        let verdict = report.verdict();
        assert!(
            in_text || matches!(verdict, Verdict::Undetermined | Verdict::Failed),
            "byte {at}: {verdict}"
        );
    }
}

#[test]
fn emulated_evidence_is_refused_with_any_collateral() {
    let mut scene = Scene::honest();
    scene.evidence = emulated();
    let report = scene.report();
    assert_eq!(report.get("quote.signature").unwrap().status.word(), "fail");
    assert_eq!(report.meta().get("evidence").map(String::as_str), Some("EMULATED"));
    assert_eq!(report.verdict(), Verdict::Failed);
    for id in
        ["quote.debug", "quote.module-signer", "quote.attributes", "quote.tcb-status", "quote.collateral"]
    {
        assert_ne!(report.get(id).unwrap().status.word(), "pass", "{id}");
    }
}
