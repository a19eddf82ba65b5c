//! What holds for every log, quote, text and policy.

mod flips;
mod never;
mod policies;
mod replay;

use dstack_attestation::agent::TcbInfo;
use dstack_attestation::event_log::{
    DigestVersion, Entry, Event, EventLog, EventLogBuilder, EventLogError, Limits, OrderProblem, Rtmr,
    RuntimeEvent, extend,
};
use dstack_attestation::quote::TdxQuote;
use dstack_attestation::{Digest48, MrConfigId};
use proptest::prelude::*;

fn runtime() -> impl Strategy<Value = Entry> {
    let name = prop_oneof![
        Just("system-ready".to_owned()),
        Just("compose-hash".to_owned()),
        Just("boot-mr-done".to_owned()),
        any::<String>()
    ];
    let version = prop_oneof![Just(DigestVersion::V1), Just(DigestVersion::V2)];
    (name, prop::collection::vec(any::<u8>(), 0..40), version, any::<bool>(), any::<bool>()).prop_map(
        |(name, payload, version, strip, spell_out)| {
            let entry = RuntimeEvent::new(name, payload).entry(version);
            let entry = if strip { entry.without_stated_digest() } else { entry };
            if spell_out { entry.with_preimage() } else { entry }
        },
    )
}

fn measured() -> impl Strategy<Value = Entry> {
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    (0u64..4, 0u32..0x0800_0000, any::<[u8; 48]>(), ".{0,8}", payload).prop_map(
        |(imr, event_type, digest, name, payload)| {
            Entry::measured(Rtmr::from_index(imr).unwrap(), event_type, digest.into(), name, payload).unwrap()
        },
    )
}

fn log() -> impl Strategy<Value = EventLog> {
    prop::collection::vec(prop_oneof![runtime(), measured()], 0..20).prop_map(EventLog::from_entries)
}

proptest! {
    #[test]
    fn a_log_is_read_back_as_it_was_written(log in log()) {
        let read = EventLog::parse(&log.to_json()).unwrap();
        prop_assert_eq!(&read, &log);
        prop_assert_eq!(read.divergences().next(), None);
        let value: EventLog = serde_json::from_str(&log.to_json()).unwrap();
        prop_assert_eq!(value, log);
    }

    /// An independent fold over the JSON: only stated digests, register by register.
    #[test]
    fn replay_is_the_fold_of_the_digests(log in log()) {
        let replayed = log.replay();
        for rtmr in Rtmr::ALL {
            let mut register = Digest48::ZERO;
            for entry in log.entries().iter().filter(|entry| entry.rtmr() == rtmr) {
                let digest = entry.stated_digest().unwrap_or_else(|| {
                    RuntimeEvent::new(entry.name(), entry.payload()).digest(entry.version())
                });
                register = extend(&register, &digest);
            }
            prop_assert_eq!(replayed.get(rtmr), register);
            prop_assert!(log.prefix_with(rtmr, &register).is_some());
        }
    }

    #[test]
    fn flipping_any_bit_of_a_payload_or_a_name_changes_rtmr3(
        names in prop::collection::vec("[a-z-]{1,12}", 1..8),
        payload in prop::collection::vec(any::<u8>(), 1..40),
        entry in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
        in_name in any::<bool>(),
        version in prop_oneof![Just(DigestVersion::V1), Just(DigestVersion::V2)],
    ) {
        let entry = entry.index(names.len());
        let build = |flip: bool| {
            let mut builder = EventLogBuilder::new(version);
            for (index, name) in names.iter().enumerate() {
                let (mut name, mut payload) = (name.clone().into_bytes(), payload.clone());
                if flip && index == entry {
                    let target = if in_name { &mut name } else { &mut payload };
                    // Names stay text: of a lower-case letter or hyphen, bits 0 to 4 can be flipped.
                    let bits = if in_name { 5 } else { 8 };
                    let bit = bit.index(target.len() * bits);
                    target[bit / bits] ^= 1 << (bit % bits);
                }
                builder = builder.runtime(RuntimeEvent::new(String::from_utf8(name).unwrap(), payload));
            }
            builder.build()
        };
        prop_assert_ne!(build(true).replay().get(Rtmr::Rtmr3), build(false).replay().get(Rtmr::Rtmr3));
    }

    /// Whatever byte of the log's text is changed, it is no longer read, or it has a divergence, or it replays to
    /// other registers, or what changed is not measured: the remarks on entries of the firmware.
    #[test]
    fn a_changed_byte_of_the_text_is_noticed(log in log(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut json = log.to_json().into_bytes();
        let at = at.index(json.len());
        json[at] ^= 1 << bit;
        let Ok(changed) = EventLog::parse_within(&json, &Limits::default()) else { return Ok(()) };
        if changed == log || changed.divergences().next().is_some() || changed.replay() != log.replay() {
            return Ok(());
        }
        prop_assert_eq!(changed.entries().len(), log.entries().len());
        for (a, b) in changed.entries().iter().zip(log.entries()) {
            // Digests that were dropped or preimages that are read no more leave the content as it was; a runtime
            // entry told as another kind of entry is a problem of its own.
            let hidden = b.is_runtime() && !a.is_runtime();
            let noticed = changed.system_events().problems.iter().any(OrderProblem::is_ambiguous);
            let same = (a.name(), a.payload()) == (b.name(), b.payload());
            prop_assert!(!b.is_runtime() || same || (hidden && noticed));
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        let _ = EventLog::parse_within(&bytes, &Limits::default());
        let _ = TdxQuote::parse(&bytes);
        let _ = serde_json::from_slice::<TcbInfo>(&bytes);
        for name in dstack_attestation::event_log::EventName::ALL {
            let _ = Event::read(name.as_str(), &bytes);
        }
    }

    #[test]
    fn quotes_with_random_insides_do_not_panic(tail in prop::collection::vec(any::<u8>(), 0..800), version in 3u8..6) {
        let mut bytes = vec![version, 0, 2, 0, 0x81, 0, 0, 0];
        bytes.extend(tail);
        if let Ok(quote) = TdxQuote::parse(&bytes) {
            prop_assert!(quote.signature_data.len() + quote.trailing_bytes <= bytes.len() - 632);
        }
    }

    #[test]
    fn mr_config_id_is_read_back(bytes in any::<[u8; 48]>(), version in 0u8..5, pad in any::<bool>()) {
        let mut bytes = bytes;
        bytes[0] = version;
        if !pad {
            bytes[33..].fill(0);
        }
        if let Ok(read) = MrConfigId::parse(&bytes.into()) {
            prop_assert_eq!(read.to_bytes(), Digest48::new(bytes));
        }
    }

    #[test]
    fn every_event_is_read_back(payload in prop::collection::vec(any::<u8>(), 0..64), name in 0usize..13) {
        let name = dstack_attestation::event_log::EventName::ALL[name];
        if let Some(Ok(event)) = Event::read(name.as_str(), &payload) {
            prop_assert_eq!(event.payload(), payload);
            prop_assert_eq!(event.name(), name);
        }
    }
}

#[test]
fn limits_are_kept() {
    let log = EventLog::from_entries(vec![RuntimeEvent::new("a", []).entry(DigestVersion::V1); 3]).to_json();
    let within = |bytes, entries| EventLog::parse_within(log.as_bytes(), &Limits::new(bytes, entries));
    assert!(within(log.len(), 3).is_ok());
    assert!(matches!(within(log.len() - 1, 3), Err(EventLogError::TooLong { .. })));
    assert!(matches!(within(log.len(), 2), Err(EventLogError::TooManyEntries { limit: 2 })));
}
