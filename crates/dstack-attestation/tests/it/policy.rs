//! Policy files: read, refused with reasons, written and read again.

use std::io;
use std::time::Duration;

use dstack_attestation::event_log::KeyProviderKind;
use dstack_attestation::known_good::KnownGood;
use dstack_attestation::policy::{KeyProviderRule, TcbStatus};
use dstack_attestation::{Aspect, Digest32, Digest48, Id20, Policy, PolicyFile};
use dstack_check::Hinted;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

/// What is wrong with a text, one problem a line, each with its hint.
fn problems(text: &str) -> String {
    let error = Policy::from_toml(text).unwrap_err();
    assert_eq!(error.to_string().lines().count(), error.problems.len());
    let line = |problem: &dstack_attestation::policy::PolicyProblem| match &problem.hint {
        Some(hint) => format!("{problem}\n  hint: {hint}"),
        None => problem.to_string(),
    };
    error.problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_template_requires_little_and_its_comments_are_right() {
    let policy = Policy::from_toml(Policy::TEMPLATE).unwrap();
    let mut expected = Policy::new();
    expected.max_collateral_age = Some(Duration::from_secs(30 * 86_400));
    assert_eq!(policy, expected);
    // Every key that is commented out is one: only the abbreviated values are not.
    let text = Policy::TEMPLATE.lines().map(|line| match line.strip_prefix('#') {
        Some(code)
            if code.starts_with(['[', '_'])
                || code.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) =>
        {
            code
        }
        _ => line,
    });
    let text: String = text.map(|line| format!("{line}\n")).collect();
    let hex = |digits: usize| "ab".repeat(digits / 2);
    let text = ["mrtd", "rtmr0", "rtmr1", "rtmr2"].into_iter().fold(text, |text, key| {
        text.replace(&format!("\n{key} = \"...\""), &format!("\n{key} = \"{}\"", hex(96)))
    });
    let text = text.replace("os_image_hash = \"...\"", &format!("os_image_hash = \"{}\"", hex(64)));
    let text = text.replace("4200...\"", &format!("4200{}\"", hex(128)));
    let file = PolicyFile::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!((file.compose_files.len(), file.known_good_files.len()), (1, 1));
    let policy = file.policy;
    assert_eq!(policy.require.len(), 3);
    assert_eq!((policy.known_good.len(), policy.key_providers.len(), policy.device_ids.len()), (1, 1, 1));
    assert!(policy.report_data.is_some() && policy.max_evidence_age.is_some());
}

const EVERYTHING: &str = include_str!("../fixtures/policies/everything.toml");

#[test]
fn a_whole_policy() {
    let policy = Policy::from_toml(EVERYTHING).unwrap();
    assert_eq!(policy.require, [Aspect::Hardware, Aspect::Os, Aspect::Code].into());
    assert_eq!(policy.tcb.statuses, [TcbStatus::UpToDate, TcbStatus::SwHardeningNeeded].into());
    assert_eq!(policy.tcb.allowed_advisories, Some(["INTEL-SA-00837".to_owned()].into()));
    assert_eq!(policy.tcb.min_evaluation_number, Some(18));
    assert_eq!(policy.key_providers.len(), 2);
    assert_eq!(policy.key_providers[1], KeyProviderRule { kind: KeyProviderKind::Local, id: None });
    assert_eq!(policy.report_data.unwrap().as_bytes()[..2], [0, 0x11]);
    assert_eq!(policy.max_evidence_age, Some(Duration::from_secs(5400)));
    let text = policy.to_toml();
    insta::assert_snapshot!("policy_written", text);
    assert_eq!(Policy::from_toml(&text).unwrap(), policy);
}

#[test]
fn mistakes_are_named_with_place_and_remedy() {
    let text = r#"
require = ["hardwear", "code", 3]
colour = 1
[code]
compose_hash = ["00"]
compose_hashes = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
app_ids = ["0x1234", "zz"]
instance_ids = []
[os]
images = ["0000000000000000000000000000000000000000000000000000000000000000"]
[[os.known_good]]
name = "nothing"
[hardware]
tcb_statuses = ["uptodate", "Revoked"]
rejected_advisories = ["intel-sa-1"]
min_evaluation_number = -1
device_ids = ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
max_collateral_age = "a month"
danger_accept_emulated = true
[[keys.provider]]
id = "3059"
[[keys.provider]]
kind = "kms"
id = "04aa"
[freshness]
nonce = "00"
report_data = "00"
"#;
    insta::assert_snapshot!("policy_mistakes", problems(text));
    let hints = Policy::from_toml(text).unwrap_err().hints();
    assert!(hints.len() > 5 && hints.iter().all(|hint| !hint.as_str().ends_with('.')));
}

#[test]
fn other_mistakes() {
    let texts = [
        "",
        "version = 2",
        "version = \"1\"",
        "version = 1\nversion = 1",
        "version = 1\n[code",
        "version = 1\ncode = 3",
        "version = 1\n[keys]\nprovider = 3",
        "version = 1\n[keys]\nprovider = [3]",
        "version = 1\ndanger_accept_emulated = true",
        "version = 1\n[code]\ncompose_files = [\"a.json\"]",
    ];
    let all: Vec<String> = texts.iter().map(|text| format!("{text:?}\n{}", problems(text))).collect();
    insta::assert_snapshot!("policy_other_mistakes", all.join("\n\n"));
    let long = format!("version = 1\n#{}", "x".repeat(4 << 20));
    assert!(problems(&long).contains("more than the"));
    let deep = format!("version = 1\nrequire = {}", "[".repeat(10_000));
    assert!(Policy::from_toml(&deep).is_err());
}

#[test]
fn named_files_are_read_by_the_caller() {
    let text =
        "version = 1\n[code]\ncompose_files = [\"app.json\"]\n[os]\nknown_good_files = [\"mr.json\"]\n";
    let file = PolicyFile::parse(text).unwrap();
    assert_eq!((file.compose_files[0].line, file.compose_files[0].column), (3, 18));
    let measurements =
        format!(r#"{{"mrtd":"{0}","rtmr0":"{0}","rtmr1":"{0}","rtmr2":"{0}"}}"#, "ab".repeat(48));
    let policy = file
        .clone()
        .resolve(|path| match path {
            "app.json" => Ok(b"{}".to_vec()),
            _ => Ok(measurements.clone().into_bytes()),
        })
        .unwrap();
    let hash =
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".parse::<Digest32>().unwrap();
    assert_eq!((policy.compose_hashes, policy.composes), ([hash].into(), vec![b"{}".to_vec()]));
    assert_eq!(
        (policy.known_good[0].name.as_str(), policy.known_good[0].unknown_registers().len()),
        ("mr.json", 0)
    );
    let error = file.clone().resolve(|_| Err(io::Error::from(io::ErrorKind::NotFound))).unwrap_err();
    assert_eq!(error.problems.len(), 2);
    assert!(error.to_string().starts_with("line 3, column 18: code.compose_files: app.json: "), "{error}");
    // A file that says nothing allows nothing, rather than an app-compose without a byte.
    let error = file.resolve(|_| Ok(Vec::new())).unwrap_err();
    assert_eq!(error.problems.len(), 2, "{error}");
}

/// Each ```toml block of the guide is a policy.
#[test]
fn the_guides_examples_are_policies() {
    let guide = include_str!("../../../../docs/guides/verification-policy.md");
    let blocks: Vec<&str> =
        guide.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 6, "{}", blocks.len());
    for block in blocks {
        let text =
            if block.contains("version =") { block.to_owned() } else { format!("version = 1\n{block}") };
        PolicyFile::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    for key in [
        "compose_hashes",
        "compose_files",
        "app_ids",
        "instance_ids",
        "images",
        "mr_system",
        "mr_aggregated",
        "known_good",
        "known_good_files",
        "tcb_statuses",
        "allowed_advisories",
        "rejected_advisories",
        "min_evaluation_number",
        "device_ids",
        "max_collateral_age",
        "provider",
        "nonce",
        "report_data",
        "max_evidence_age",
        "require",
    ] {
        assert!(guide.contains(&format!("`{key}`")), "the guide does not explain `{key}`");
    }
}

fn known_good() -> impl Strategy<Value = KnownGood> {
    let register = || option::of(any::<[u8; 48]>().prop_map(Digest48::new));
    ("[a-zA-Z0-9 ,.\"'\\\\é]{1,20}", any::<[u8; 48]>(), register(), register(), option::of(any::<[u8; 32]>()))
        .prop_map(|(name, mrtd, rtmr0, rtmr2, hash)| {
            let mut known = KnownGood::new(name, "proptest");
            known.mrtd = Some(Digest48::new(mrtd));
            known.rtmr0 = rtmr0;
            known.rtmr2 = rtmr2;
            known.os_image_hash = hash.map(Digest32::new).filter(|hash| !hash.is_zero());
            known
        })
}

fn provider() -> impl Strategy<Value = KeyProviderRule> {
    let spki = vec(any::<u8>(), 1..40).prop_map(|mut bytes| {
        bytes[0] = 0x30;
        bytes
    });
    prop_oneof![
        option::of(spki).prop_map(|id| KeyProviderRule { kind: KeyProviderKind::Kms, id }),
        option::of(vec(any::<u8>(), 32)).prop_map(|id| KeyProviderRule { kind: KeyProviderKind::Local, id }),
        Just(KeyProviderRule { kind: KeyProviderKind::None, id: None }),
    ]
}

prop_compose! {
    fn a_policy()(
        hashes in (btree_set(any::<[u8; 32]>(), 0..3), btree_set(any::<[u8; 32]>(), 0..3), btree_set(any::<[u8; 32]>(), 0..3)),
        images in btree_set(1..=255u8, 0..3),
        ids in (btree_set(any::<[u8; 20]>(), 0..3), btree_set(any::<[u8; 20]>(), 0..3)),
        known in vec(known_good(), 0..3),
        providers in vec(provider(), 0..3),
        statuses in btree_set(0..8usize, 1..4),
        advisories in (option::of(btree_set("INTEL-SA-[0-9]{5}", 0..3)), btree_set("INTEL-SA-[0-9]{5}", 0..3)),
        number in option::of(any::<u32>()),
        data in option::of(any::<[u8; 32]>()),
        ages in (option::of(1..u64::from(u32::MAX)), option::of(1..u64::from(u32::MAX))),
        require in btree_set(0..6usize, 0..6),
    ) -> Policy {
        let mut policy = Policy::new();
        policy.compose_hashes = hashes.0.into_iter().map(Digest32::new).collect();
        policy.mr_system = hashes.1.into_iter().map(Digest32::new).collect();
        policy.mr_aggregated = hashes.2.into_iter().map(Digest32::new).collect();
        policy.os_images = images.iter().map(|byte| Digest32::new([*byte; 32])).collect();
        policy.device_ids = images.iter().map(|byte| Digest32::new([!*byte; 32])).collect();
        policy.app_ids = ids.0.into_iter().map(Id20::new).collect();
        policy.instance_ids = ids.1.into_iter().map(Id20::new).collect();
        policy.known_good = known;
        policy.key_providers = providers;
        policy.tcb.statuses = statuses.into_iter().map(|at| TcbStatus::ALL[at]).collect();
        policy.tcb.allowed_advisories = advisories.0;
        policy.tcb.rejected_advisories = advisories.1;
        policy.tcb.min_evaluation_number = number;
        policy.report_data = data.map(|half| {
            let mut data = [0; 64];
            data[..32].copy_from_slice(&half);
            data.into()
        });
        policy.max_collateral_age = ages.0.map(Duration::from_secs);
        policy.max_evidence_age = ages.1.map(Duration::from_secs);
        policy.require = require.into_iter().map(|at| Aspect::ALL[at]).collect();
        policy
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(policy in a_policy()) {
        let text = policy.to_toml();
        let read = Policy::from_toml(&text);
        prop_assert_eq!(read, Ok(policy), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}") {
        let _ = PolicyFile::parse(&text);
    }

    #[test]
    fn an_edited_policy_is_read_or_refused(at in 0..EVERYTHING.len(), with in "[ -~]{0,3}") {
        if EVERYTHING.is_char_boundary(at) {
            let text = format!("{}{with}{}", &EVERYTHING[..at], &EVERYTHING[at..]);
            match PolicyFile::parse(&text) {
                Ok(file) => prop_assert_eq!(Policy::from_toml(&file.policy.to_toml()), Ok(file.policy)),
                Err(error) => prop_assert!(!error.problems.is_empty()),
            }
        }
    }
}
