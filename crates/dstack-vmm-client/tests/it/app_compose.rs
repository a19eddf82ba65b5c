//! App-composes: recorded answers of the servers, and properties of documents.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::app_compose::{
    AppCompose, AppComposeBuilder, AppComposeDocument, CHECKS, ComposeHash, KeyProvider, Layout, lint,
};
use dstack_vmm_client::ids::{AppId, mac_address};
use proptest::prelude::*;
use serde_json::{Value, json};

fn fixture(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn recorded_answers_are_given_again() {
    let answers = fixture(include_str!("../fixtures/app_compose/answers.json"));
    assert!(answers.len() > 10);
    for answer in &answers {
        let version: DstackVersion = answer["version"].as_str().unwrap().parse().unwrap();
        let text = answer["compose_file"].as_str().unwrap();
        let (name, hash) = (&answer["name"], ComposeHash::of(text.as_bytes()));
        let read = AppCompose::parse_as_server(text, version);
        match answer["error"].as_str() {
            Some(words) => assert_eq!(read.unwrap_err().to_string(), words, "{version} {name}"),
            None => assert!(read.is_ok(), "{version} {name}"),
        }
        if let Some(recorded) = answer["hash"].as_str() {
            assert_eq!(hash.to_string(), recorded, "{version} {name}");
        }
        if let Some(recorded) = answer["app_id"].as_str() {
            assert_eq!(AppId::from_compose_hash(&hash).to_string(), recorded, "{version} {name}");
        }
    }
}

#[test]
fn recorded_mac_addresses() {
    let macs = fixture(include_str!("../fixtures/app_compose/macs.json"));
    assert!(!macs.is_empty());
    for one in macs {
        let id = one["vm_id"].as_str().unwrap();
        assert_eq!(mac_address(id, 0, &[]).to_string(), one["mac"].as_str().unwrap(), "{id}");
    }
}

#[test]
fn every_check_has_a_page() {
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
    for check in CHECKS {
        let page = pages.join(format!("{}.md", check.id));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.starts_with(&format!("# `{}`\n", check.id)), "{}", page.display());
        assert!(
            text.to_lowercase().contains(&check.title.to_lowercase()),
            "{}: {}",
            page.display(),
            check.title
        );
    }
}

#[test]
fn unknown_fields_and_bytes_survive_an_update() {
    let text = "{\"manifest_version\": 2,\n \"name\": \"n\", \"runner\": \"bash\", \"x-own\" : [1.0, {\"a\":1e3}]}\r\n";
    let old = AppComposeDocument::from_bytes(text).unwrap();
    let new = old.set("name", &json!("m")).unwrap();
    assert_eq!(new.text(), text.replace("\"n\"", "\"m\""));
    assert_eq!(new.unknown_fields(), old.unknown_fields());
    assert_ne!(new.hash(), old.hash());
}

fn builders() -> impl Strategy<Value = AppComposeBuilder> {
    let flags = any::<[bool; 6]>();
    let texts = (any::<String>(), any::<String>(), prop::option::of(any::<String>()));
    let provider = prop::sample::select(vec![KeyProvider::None, KeyProvider::Kms, KeyProvider::Local]);
    let envs = prop::collection::vec("[A-Za-z_][A-Za-z0-9_]{0,9}", 0..4);
    let own = prop::collection::btree_map("x-[a-z]{1,5}", any::<i64>(), 0..3);
    (flags, texts, provider, envs, own, any::<u64>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(
        |([a, b, c, d, e, bash], (name, content, script), provider, envs, own, swap, id)| {
            let builder = if bash {
                AppComposeBuilder::bash(name, content)
            } else {
                AppComposeBuilder::docker_compose(name, content)
            };
            let builder = builder
                .key_provider(provider)
                .key_provider_id(id)
                .gateway(a)
                .public_logs(b)
                .public_sysinfo(c)
                .public_tcbinfo(d)
                .secure_time(e)
                .no_instance_id(e)
                .allowed_envs(envs)
                .swap_size(swap);
            let builder = script.into_iter().fold(builder, AppComposeBuilder::pre_launch_script);
            own.into_iter().fold(builder, |builder, (name, value)| builder.field(name, json!({ "n": value })))
        },
    )
}

fn layouts() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Compact), Just(Layout::Normalized), (0u8..9).prop_map(Layout::Indented)]
}

proptest! {
    #[test]
    fn the_hash_is_sha256_of_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let expected = ring::digest::digest(&ring::digest::SHA256, &bytes);
        prop_assert_eq!(ComposeHash::of(&bytes).as_bytes().to_vec(), expected.as_ref());
    }

    #[test]
    fn a_document_is_its_bytes(builder in builders(), layout in layouts(), version in prop::sample::select(DstackVersion::ALL.to_vec())) {
        let built = builder.build(version, layout).unwrap();
        let expected = ring::digest::digest(&ring::digest::SHA256, built.bytes());
        prop_assert_eq!(built.hash().as_bytes().to_vec(), expected.as_ref());

        // Reading it, building it again from what was read, and reading that gives the same.
        let read = AppComposeDocument::from_bytes_as(built.bytes(), version).unwrap();
        let again = AppComposeBuilder::from_fields(read.fields().clone()).build(version, layout).unwrap();
        prop_assert_eq!(again.text(), built.text());
        prop_assert_eq!(again.fields(), built.fields());

        // The layout is all that differs after a rewrite.
        let rewritten = built.rewritten(Layout::Normalized).unwrap();
        prop_assert_eq!(rewritten.fields(), built.fields());
        prop_assert_eq!(rewritten.rewritten(Layout::Normalized).unwrap().into_text(), rewritten.text());
        prop_assert_eq!(builder.build(version, Layout::Normalized).unwrap().into_text(), rewritten.text());
    }

    #[test]
    fn what_is_built_has_no_failures_of_form(builder in builders(), layout in layouts()) {
        for version in DstackVersion::ALL {
            let built = builder.build(version, layout).unwrap();
            let fields = ["document", "fields"].map(Some);
            for finding in lint(built.bytes(), version) {
                let form = fields.contains(&finding.layer.as_deref());
                prop_assert!(!form || finding.status != dstack_check::Status::Fail, "{:?}", finding);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(document) = AppComposeDocument::from_bytes(bytes.clone()) {
            prop_assert_eq!(document.bytes(), &bytes[..]);
        }
    }

    #[test]
    fn an_edit_touches_one_value(builder in builders(), layout in layouts(), name in "[ -~ä]{0,12}") {
        let old = builder.build(DstackVersion::Next, layout).unwrap();
        let new = old.set("name", &json!(name)).unwrap();
        prop_assert_eq!(&new.fields().name, &name);
        let back = new.set("name", &json!(old.fields().name)).unwrap();
        prop_assert_eq!(back.text(), old.text());
    }
}
