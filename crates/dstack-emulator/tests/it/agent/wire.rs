//! Readers of the two attestation encodings, tried on recorded attestations and then on ours.

use dstack_attestation::event_log::EventLog;
use dstack_attestation::quote::TdxQuote;
use dstack_vmm_client::DstackVersion;
use serde_json::{Map, Value, json};

use super::{COMPOSE, Guest, bytes, recorded_answer};
use crate::golden_shape::difference;

/// A versioned attestation of variant 0 (SCALE).
#[derive(Debug)]
pub(super) struct Attestation {
    pub(super) quote: Vec<u8>,
    pub(super) log: Vec<LogEntry>,
    /// Name, payload.
    pub(super) runtime: Vec<(String, Vec<u8>)>,
    pub(super) report_data: Vec<u8>,
    pub(super) config: String,
}

/// Register, type, digest, name, payload.
type LogEntry = (u32, u32, Vec<u8>, String, Vec<u8>);

struct Scale<'a>(&'a [u8]);

impl<'a> Scale<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn length(&mut self) -> usize {
        let width = 1 << (self.0[0] & 3);
        assert!(width <= 4, "no big integer is a length here");
        let mut bytes = [0; 4];
        bytes[..width].copy_from_slice(self.take(width));
        (u32::from_le_bytes(bytes) >> 2) as usize
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.length();
        self.take(length).to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Attestation {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut scale = Scale(bytes);
        assert_eq!(scale.take(2), [0, 0], "version and platform");
        let quote = scale.bytes();
        let entries = scale.length();
        let log = (0..entries)
            .map(|_| (scale.u32(), scale.u32(), scale.bytes(), scale.text(), scale.bytes()))
            .collect();
        let events = scale.length();
        let runtime = (0..events).map(|_| (scale.text(), scale.bytes())).collect();
        let report_data = scale.take(64).to_vec();
        let config = scale.text();
        assert!(scale.0.is_empty(), "{} bytes left", scale.0.len());
        Self { quote, log, runtime, report_data, config }
    }
}

/// MessagePack as JSON, byte strings as hex.
fn unpack(bytes: &mut &[u8]) -> Value {
    fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(length);
        *bytes = rest;
        taken
    }
    fn number(bytes: &mut &[u8], width: usize) -> usize {
        take(bytes, width).iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }
    let head = take(bytes, 1)[0];
    let text = |bytes: &mut &[u8], length| json!(std::str::from_utf8(take(bytes, length)).unwrap());
    let list = |bytes: &mut &[u8], length: usize| Value::Array((0..length).map(|_| unpack(bytes)).collect());
    match head {
        0..0x80 => json!(head),
        0x80..0x90 => {
            let entries = (0..head & 15).map(|_| {
                let key = unpack(bytes).as_str().unwrap().to_owned();
                (key, unpack(bytes))
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
        0x90..0xa0 => list(bytes, usize::from(head & 15)),
        0xa0..0xc0 => text(bytes, usize::from(head & 31)),
        0xc4 | 0xc5 => {
            let length = number(bytes, if head == 0xc4 { 1 } else { 2 });
            json!(hex::encode(take(bytes, length)))
        }
        0xcc => json!(number(bytes, 1)),
        0xcd => json!(number(bytes, 2)),
        0xce => json!(number(bytes, 4)),
        0xd9 | 0xda => {
            let length = number(bytes, if head == 0xd9 { 1 } else { 2 });
            text(bytes, length)
        }
        0xdc => {
            let length = number(bytes, 2);
            list(bytes, length)
        }
        other => panic!("type {other:#x}"),
    }
}

fn unpack_all(mut bytes: &[u8]) -> Value {
    let value = unpack(&mut bytes);
    assert!(bytes.is_empty(), "{} bytes left", bytes.len());
    value
}

#[tokio::test]
async fn attest_has_the_encoding_of_the_recorded_one() {
    let recorded = Attestation::read(&bytes(&recorded_answer("attest")["attestation"]));
    assert_eq!(recorded.log.len(), 33);
    assert_eq!(recorded.runtime.len(), 9);
    for version in DstackVersion::ALL {
        let guest = Guest::with_compose(version, COMPOSE);
        let ours = guest.ask("Attest", &json!({ "report_data": "1234" })).await;
        let ours = Attestation::read(&bytes(&ours["attestation"]));
        assert_eq!(ours.report_data, recorded.report_data);
        let quote = TdxQuote::parse(&ours.quote).unwrap();
        assert_eq!(quote.report.report_data.as_ref(), ours.report_data);
        let names = |attestation: &Attestation| -> Vec<String> {
            attestation.runtime.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&ours), names(&recorded));
        let config: Value = serde_json::from_str(&ours.config).unwrap();
        let like: Value = serde_json::from_str(&recorded.config).unwrap();
        let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(&config), members(&like));
        // The log in it is the log of the agent.
        let log = guest.agent.event_log();
        assert_eq!(ours.log.len(), log.entries().len());
        for (entry, (imr, event_type, digest, name, payload)) in log.entries().iter().zip(&ours.log) {
            assert_eq!((entry.rtmr().index(), entry.event_type()), (*imr as usize, *event_type));
            assert_eq!((entry.digest().as_ref(), entry.name()), (digest.as_slice(), name.as_str()));
            assert_eq!(entry.payload(), payload);
        }
    }
}

#[tokio::test]
async fn the_attestation_of_a_quote_has_the_encoding_of_the_recorded_one() {
    let recorded = unpack_all(&bytes(&recorded_answer("quote")["attestation"]));
    let guest = Guest::with_compose(DstackVersion::Next, COMPOSE);
    let answer = guest.ask("GetQuote", &json!({ "report_data": "1234" })).await;
    let ours = unpack_all(&bytes(&answer["attestation"]));
    assert_eq!(difference("attestation", &recorded, &ours), None);
    let quote: Vec<u8> = serde_json::from_value(ours["platform"]["data"]["quote"].clone()).unwrap();
    assert_eq!(hex::encode(quote), answer["quote"].as_str().unwrap());
    let log: EventLog = serde_json::from_value(ours["platform"]["data"]["event_log"].clone()).unwrap();
    assert_eq!(log, guest.agent.event_log());
    let old = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let answer = old.ask("GetQuote", &json!({ "report_data": "1234" })).await;
    assert_eq!(answer.get("attestation"), None);
}

#[tokio::test]
async fn certificates_carry_the_short_form_of_the_log() {
    let guest = Guest::with_compose(DstackVersion::Next, COMPOSE);
    let answer = guest.ask("GetTlsKey", &json!({ "subject": "x", "usage_ra_tls": true })).await;
    let pem = answer["certificate_chain"][0].as_str().unwrap();
    let ours = crate::x509::Certificate::from_pem(pem).dstack_extension(8).unwrap();
    let pem = recorded_answer("tls")["certificate_chain"][0].as_str().unwrap().to_owned();
    let recorded = crate::x509::Certificate::from_pem(&pem).dstack_extension(8).unwrap();
    // Register, type, whether there is a digest, and the payload of what is not dstack's.
    let form = |attestation: &Attestation| -> Vec<(u32, u32, bool, String)> {
        let mut form = Vec::new();
        for (imr, event_type, digest, _, payload) in &attestation.log {
            let payload = if *imr < 3 { hex::encode(payload) } else { String::new() };
            form.push((*imr, *event_type, digest.is_empty(), payload));
        }
        form
    };
    assert_eq!(form(&Attestation::read(&ours)), form(&Attestation::read(&recorded)));
}
