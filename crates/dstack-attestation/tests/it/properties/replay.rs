//! Replay against a fold that shares no code with the crate: the log's text, the digests and the registers are written
//! here from the description of the format.

use std::fmt::Write as _;

use dstack_attestation::event_log::{EventLog, Rtmr};
use proptest::prelude::*;
use ring::digest::{SHA384, digest};

/// How a runtime event says its digest.
#[derive(Clone, Copy, Debug)]
enum Stated {
    Digest,
    Nothing,
}

#[derive(Clone, Debug)]
enum Line {
    Firmware { imr: usize, kind: u32, digest: [u8; 48], payload: Vec<u8> },
    Runtime { version: u8, spelled: bool, stated: Stated, name: String, payload: Vec<u8> },
}

/// A JSON string as RFC 8785 has it: only what must be escaped is.
fn json_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out + "\""
}

impl Line {
    fn imr(&self) -> usize {
        match self {
            Self::Firmware { imr, .. } => *imr,
            Self::Runtime { .. } => 3,
        }
    }

    fn preimage(&self) -> Vec<u8> {
        match self {
            Self::Firmware { .. } => Vec::new(),
            Self::Runtime { version: 1, name, payload, .. } => {
                [&[1, 0, 0, 8, b':'], name.as_bytes(), b":", payload].concat()
            }
            Self::Runtime { name, payload, .. } => format!(
                "{{\"name\":{},\"payload\":\"{}\",\"type\":134217729}}",
                json_string(name),
                hex::encode(payload)
            )
            .into_bytes(),
        }
    }

    fn digest(&self) -> Vec<u8> {
        match self {
            Self::Firmware { digest, .. } => digest.to_vec(),
            Self::Runtime { .. } => digest(&SHA384, &self.preimage()).as_ref().to_vec(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Firmware { imr, kind, digest, payload } => format!(
                r#"{{"imr":{imr},"event_type":{kind},"digest":"{}","event":"","event_payload":"{}"}}"#,
                hex::encode(digest),
                hex::encode(payload)
            ),
            Self::Runtime { version, spelled, stated, name, payload } => {
                let digest = match stated {
                    Stated::Digest => hex::encode(self.digest()),
                    Stated::Nothing => String::new(),
                };
                let mut text = format!(
                    r#"{{"imr":3,"event_type":134217729,"digest":"{digest}","event":{},"event_payload":"{}""#,
                    json_string(name),
                    hex::encode(payload)
                );
                if *version == 2 {
                    text.push_str(r#","version":2"#);
                }
                if *spelled {
                    write!(text, r#","preimage":"{}""#, hex::encode(self.preimage())).unwrap();
                }
                text + "}"
            }
        }
    }
}

fn line() -> impl Strategy<Value = Line> {
    let payload = || prop::collection::vec(any::<u8>(), 0..48);
    let firmware = (0usize..3, any::<u32>(), any::<[u8; 48]>(), payload())
        .prop_map(|(imr, kind, digest, payload)| Line::Firmware { imr, kind, digest, payload });
    let name = prop_oneof![
        prop::sample::select(vec!["compose-hash", "app-id", "system-ready", "key-provider"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    let stated = prop_oneof![Just(Stated::Digest), Just(Stated::Nothing)];
    let runtime = (1u8..3, any::<bool>(), stated, name, payload()).prop_map(
        |(version, spelled, stated, name, payload)| Line::Runtime { version, spelled, stated, name, payload },
    );
    prop_oneof![firmware, runtime]
}

proptest! {
    #[test]
    fn replay_is_the_fold_of_another_implementation(lines in prop::collection::vec(line(), 0..24)) {
        let mut registers = [[0u8; 48]; 4];
        for line in &lines {
            let register = &mut registers[line.imr()];
            let extended = digest(&SHA384, &[register.as_slice(), &line.digest()].concat());
            register.copy_from_slice(extended.as_ref());
        }
        let text = format!("[{}]", lines.iter().map(Line::text).collect::<Vec<_>>().join(","));
        let log = EventLog::parse(&text).unwrap();
        prop_assert_eq!(log.entries().len(), lines.len());
        prop_assert_eq!(log.divergences().next(), None);
        let replayed = log.replay();
        for (rtmr, expected) in Rtmr::ALL.into_iter().zip(registers) {
            prop_assert_eq!(replayed.get(rtmr), expected.into());
        }
    }

    /// What the digest of a runtime entry says is compared, never believed.
    #[test]
    fn a_stated_digest_does_not_move_the_replay(
        lines in prop::collection::vec(line(), 1..12),
        at in any::<prop::sample::Index>(),
        bit in 0usize..384,
    ) {
        let runtime: Vec<Line> = lines
            .into_iter()
            .filter_map(|line| match line {
                Line::Runtime { version, spelled, name, payload, .. } => {
                    Some(Line::Runtime { version, spelled, stated: Stated::Digest, name, payload })
                }
                Line::Firmware { .. } => None,
            })
            .collect();
        prop_assume!(!runtime.is_empty());
        let at = at.index(runtime.len());
        let texts: Vec<String> = runtime.iter().map(Line::text).collect();
        let honest = EventLog::parse(&format!("[{}]", texts.join(","))).unwrap();
        let stated = runtime[at].digest();
        let mut forged = stated.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        let mut texts = texts;
        texts[at] = texts[at].replace(&hex::encode(stated), &hex::encode(forged));
        let log = EventLog::parse(&format!("[{}]", texts.join(","))).unwrap();
        prop_assert_eq!(log.replay(), honest.replay());
        prop_assert!(log.divergences().next().is_some());
    }
}
