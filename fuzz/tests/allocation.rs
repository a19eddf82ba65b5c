//! Lengths that lie do not make anybody allocate: what a parser holds at its peak is bounded by the size of its input.
//!
//! One test in a process of its own, since the allocator counts for the whole process.

use dstack_attestation::event_log::{EventLog, Limits};
use dstack_attestation::quote::{Collateral, TdxQuote};
use dstack_attestation::ra_tls::RaTlsCertificate;
use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{CvmEvidence, PolicyFile};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How many bytes may be held for each byte of evidence.
const FACTOR: usize = 16;
/// The same for a policy, which its owner writes: the editable document of toml_edit holds some 110 bytes for each byte
/// of a file with nothing but short keys, and the reader takes files of a bounded length only.
const FACTOR_OF_A_POLICY: usize = 160;
/// What may be held beside: tables, messages, a certificate's fields.
const CONSTANT: usize = 64 << 10;

/// What reading the input holds at its peak, in bytes.
fn peak(input: &[u8], read: fn(&[u8])) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    read(input);
    ALLOCATOR.peak_usage().saturating_sub(before)
}

const READERS: [(&str, fn(&[u8])); 8] = [
    ("quote", |bytes| drop(TdxQuote::parse(bytes))),
    ("attestation", |bytes| drop(VersionedAttestation::decode(bytes))),
    ("event log", |bytes| drop(EventLog::parse_within(bytes, &Limits::default()))),
    ("certificate", |bytes| drop(RaTlsCertificate::from_der(bytes))),
    ("certificates", |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            drop(RaTlsCertificate::all_from_pem(text));
        }
    }),
    ("collateral", |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            drop(Collateral::from_json(text, "a test"));
        }
    }),
    ("policy", |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            drop(PolicyFile::parse(text));
        }
    }),
    ("document", |bytes| drop(CvmEvidence::from_document(bytes))),
];

/// Inputs that claim to be much longer than they are, or that have many small parts.
fn inputs() -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for target in [
        "quote",
        "versioned_attestation",
        "event_log",
        "certificate",
        "collateral",
        "policy_toml",
        "document",
    ] {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        for entry in std::fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            inputs.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    let many = 100_000;
    let scale_events = {
        // As many empty events as there are bytes for: a count of 4 bytes, and 20 bytes each.
        let count = u32::try_from(many).unwrap() << 2 | 2;
        [&[0, 0, 0][..], &count.to_le_bytes(), &[0; 11].repeat(many)].concat()
    };
    let head = b"\x83\xa7version\x01\xa8platform\x82\xa4kind\xa3tdx\xa4data\x82\xa5quote";
    for (name, input) in [
        ("many empty events in SCALE", scale_events),
        ("a MessagePack array of integers", [&head[..], &[0xdd, 0, 1, 0x86, 0xa0], &vec![1; many]].concat()),
        (
            "a MessagePack array of empty maps",
            [&head[..], &[0xdd, 0, 1, 0x86, 0xa0], &vec![0x80; many]].concat(),
        ),
        ("deep MessagePack", vec![0x91; many]),
        ("deep maps", [&[0x81, 0xa0][..], &[0x81, 0xa0].repeat(many)].concat()),
        ("empty objects", format!("[{}{{}}]", "{},".repeat(many)).into_bytes()),
        ("nulls", format!("[{}null]", "null,".repeat(many)).into_bytes()),
        ("deep JSON", "[".repeat(many).into_bytes()),
        ("members", format!("{{{}\"a\":0}}", "\"a\":0,".repeat(many)).into_bytes()),
        (
            "an event log in an object",
            format!("{{\"quote\":\"\",\"event_log\":[{}0]}}", "0,".repeat(many)).into_bytes(),
        ),
        ("TOML keys", (0..20_000).map(|n| format!("a{n}=1\n")).collect::<String>().into_bytes()),
        ("TOML tables", (0..20_000).map(|n| format!("[a{n}]\n")).collect::<String>().into_bytes()),
        (
            "empty PEM blocks",
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".repeat(5_000).into_bytes(),
        ),
        ("DER sequences", [0x30, 0x00].repeat(many)),
        ("nested DER", [0x30, 0x80].repeat(many)),
    ] {
        inputs.push((name.to_owned(), input));
    }
    inputs
}

#[test]
fn what_is_held_is_bounded_by_the_input() {
    let mut worst: Vec<(&str, usize, String)> =
        READERS.iter().map(|(name, _)| (*name, 0, String::new())).collect();
    let mut wrong = Vec::new();
    for (input_name, input) in inputs() {
        for ((reader_name, read), worst) in READERS.iter().zip(&mut worst) {
            let held = peak(&input, *read);
            if held > worst.1 {
                *worst = (reader_name, held, format!("{input_name} ({} bytes)", input.len()));
            }
            let factor = if *reader_name == "policy" { FACTOR_OF_A_POLICY } else { FACTOR };
            if held > factor * input.len() + CONSTANT {
                wrong.push(format!(
                    "{reader_name} holds {held} bytes for {} bytes of {input_name}",
                    input.len()
                ));
            }
        }
    }
    for (reader, held, input) in worst {
        println!("{reader}: at most {held} bytes, for {input}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
