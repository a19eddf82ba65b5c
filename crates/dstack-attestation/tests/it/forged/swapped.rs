//! Something genuine in the place of something else that is.

use dstack_attestation::event_log::{Event, KeyProviderKind};
use dstack_attestation::{Aspect, MrConfigDocument, MrConfigId};

use super::scene::{Attack, Scene, authority, carry_out, changes};
use crate::authority::PlatformSpec;
use crate::evidence::{APP, COMPOSE, boot_events, compose_hash};

const ATTACKS: &[Attack] = &[
    (
        "another app-compose is shown",
        |scene| scene.evidence.app_compose = Some(COMPOSE.replace("demo", "evil")),
        "fail app.compose.hash",
    ),
    (
        "the app-compose ends with a newline",
        |scene| scene.evidence.app_compose = Some(format!("{COMPOSE}\n")),
        "fail app.compose.hash",
    ),
    (
        "the app-compose has a byte order mark",
        |scene| scene.evidence.app_compose = Some(format!("\u{feff}{COMPOSE}")),
        "fail app.compose.hash",
    ),
    (
        "another compose hash is expected",
        |scene| scene.policy.compose_hashes = [[9; 32].into()].into(),
        "fail app.compose.deployed",
    ),
    (
        "the report data is another",
        |scene| {
            scene.contents.report_data = [0x5b; 64].into();
            scene.sign();
        },
        "fail quote.report-data",
    ),
    (
        "an older quote is replayed to a new challenge",
        |scene| scene.policy.report_data = Some([0x77; 64].into()),
        "fail quote.report-data",
    ),
    (
        "the challenge is answered in its first half only",
        |scene| {
            let mut data = [0x5a; 64];
            data[32..].fill(0);
            scene.contents.report_data = data.into();
            scene.sign();
        },
        "fail quote.report-data",
    ),
    (
        "the quote is of another app with this app's log",
        |scene| {
            let mut events = boot_events();
            events[1] = Event::AppId([0x22; 20].into()).to_runtime();
            events[2] = Event::ComposeHash([9; 32].into()).to_runtime();
            scene.evidence.quote = Scene::of(events, MrConfigId::v1([9; 32].into())).evidence.quote;
        },
        "fail eventlog.replay-rtmr3 app.mrconfigid.compose",
    ),
    (
        "MRCONFIGID commits to another compose, version 1",
        |scene| {
            scene.contents.creator.mr_config_id = MrConfigId::v1([9; 32].into()).to_bytes();
            scene.sign();
        },
        "fail app.mrconfigid.compose",
    ),
    (
        "MRCONFIGID commits to another key provider, version 2",
        |scene| {
            let id = MrConfigId::v2(&compose_hash(), &APP, KeyProviderKind::Kms, &[0x30, 0x58]);
            scene.contents.creator.mr_config_id = id.to_bytes();
            scene.sign();
        },
        "fail app.mrconfigid.compose",
    ),
    (
        "MRCONFIGID commits to another app, version 2",
        |scene| {
            let id = MrConfigId::v2(&compose_hash(), &[0x22; 20].into(), KeyProviderKind::Kms, &[0x30, 0x59]);
            scene.contents.creator.mr_config_id = id.to_bytes();
            scene.sign();
        },
        "fail app.mrconfigid.compose",
    ),
    (
        "MRCONFIGID of version 3 without its document",
        |scene| {
            let document = MrConfigDocument::new(compose_hash(), "kms").to_bytes();
            scene.contents.creator.mr_config_id = MrConfigId::v3(&document).to_bytes();
            scene.sign();
        },
        "unknown app.mrconfigid.compose",
    ),
    (
        "the document of MRCONFIGID version 3 was edited",
        |scene| {
            let document = MrConfigDocument::new(compose_hash(), "kms");
            scene.contents.creator.mr_config_id = MrConfigId::v3(&document.to_bytes()).to_bytes();
            scene.sign();
            let text = String::from_utf8(document.to_bytes()).unwrap();
            scene.evidence.mr_config_document = Some(text.replace("\"kms\"", "\"none\""));
        },
        "fail app.mrconfigid.compose",
    ),
    (
        "MRCONFIGID of version 3 commits to another compose",
        |scene| {
            let document = MrConfigDocument::new([9; 32].into(), "kms").to_bytes();
            scene.contents.creator.mr_config_id = MrConfigId::v3(&document).to_bytes();
            scene.sign();
            scene.evidence.mr_config_document = Some(String::from_utf8(document).unwrap());
        },
        "fail app.mrconfigid.compose",
    ),
    (
        "MRCONFIGID has bytes after its digest",
        |scene| {
            let mut bytes = *scene.contents.creator.mr_config_id.as_bytes();
            bytes[40] = 1;
            scene.contents.creator.mr_config_id = bytes.into();
            scene.sign();
        },
        "unknown app.mrconfigid.compose",
    ),
    (
        "MRTD of another image",
        |scene| {
            scene.contents.measurements.mrtd = [0xd1; 48].into();
            scene.sign();
        },
        "fail os.measurements",
    ),
    (
        "RTMR0 of another VM shape",
        |scene| {
            scene.contents.measurements.rtmr0 = [0xd1; 48].into();
            scene.sign();
        },
        "fail eventlog.replay-boot os.measurements",
    ),
    (
        "the kernel's command line was another",
        |scene| {
            scene.contents.measurements.rtmr2 = [0xd1; 48].into();
            scene.sign();
        },
        "fail eventlog.replay-boot os.measurements",
    ),
    (
        "another OS image hash is expected",
        |scene| scene.policy.os_images = [[9; 32].into()].into(),
        "fail os.image-hash",
    ),
    (
        "the aggregated measurement is that of another deployment",
        |scene| scene.policy.mr_aggregated = [[9; 32].into()].into(),
        "fail os.mr-aggregated",
    ),
    (
        "the aggregated measurement that the guest reports is another",
        |scene| scene.evidence.mr_aggregated = Some("09".repeat(32)),
        "fail os.mr-aggregated",
    ),
    (
        "the system measurement is that of another",
        |scene| scene.policy.mr_system = [[9; 32].into()].into(),
        "fail os.mr-system",
    ),
    (
        "the vm_config names another image",
        |scene| scene.evidence.vm_config = Some(format!(r#"{{"os_image_hash":"{}"}}"#, "09".repeat(32))),
        "fail os.vm-config",
    ),
    (
        "the machine is another one of the operator's",
        |scene| {
            let other = PlatformSpec { ppid: *b"test platform 02", serial: 0x52, ..PlatformSpec::default() };
            scene.sign_on(&authority().platform_with(other));
        },
        "fail app.id.device-id",
    ),
    (
        "the guest says the device id of another machine",
        |scene| scene.evidence.device_id = Some("09".repeat(32)),
        "fail app.id.device-id",
    ),
    ("the app id is another", |scene| scene.policy.app_ids = [[9; 20].into()].into(), "fail app.id.app-id"),
    (
        "the guest says another app id",
        |scene| scene.evidence.app_id = Some("09".repeat(20)),
        "fail app.id.app-id",
    ),
    (
        "the instance is another",
        |scene| scene.policy.instance_ids = [[9; 20].into()].into(),
        "fail app.id.instance-id",
    ),
    (
        "the keys come from another KMS",
        |scene| {
            scene.policy.key_providers.clear();
            scene.policy = scene.policy.clone().key_provider(KeyProviderKind::Kms, Some(vec![0x30, 0x58]));
        },
        "fail app.key-provider",
    ),
];

#[test]
fn each_is_found() {
    carry_out(ATTACKS);
}

/// The right documents of versions 2 and 3 pass, so that the attacks on them fail for their reason only.
#[test]
fn honest_forms_of_mr_config_id() {
    let v2 = MrConfigId::v2(&compose_hash(), &APP, KeyProviderKind::Kms, &[0x30, 0x59]);
    assert_eq!(changes(&Scene::of(boot_events(), v2).report()), "");
    let document = MrConfigDocument::new(compose_hash(), "kms").app_id(APP).key_provider_id(&[0x30, 0x59]);
    let mut scene = Scene::of(boot_events(), MrConfigId::v3(&document.to_bytes()));
    scene.evidence.mr_config_document = Some(String::from_utf8(document.to_bytes()).unwrap());
    assert_eq!(changes(&scene.report()), "");
}

/// An attack on one aspect refutes what the caller required, whatever else passes.
#[test]
fn what_is_required_is_refuted() {
    for (aspect, forge) in [
        (Aspect::Code, (|scene| scene.policy.compose_hashes = [[9; 32].into()].into()) as fn(&mut Scene)),
        (Aspect::Os, |scene| {
            scene.contents.measurements.mrtd = [0xd1; 48].into();
            scene.sign();
        }),
        (Aspect::Identity, |scene| scene.policy.app_ids = [[9; 20].into()].into()),
        (Aspect::Freshness, |scene| scene.policy.report_data = Some([0x77; 64].into())),
    ] {
        let mut scene = Scene::honest();
        scene.policy.require = [aspect].into();
        let word = |scene: &Scene| scene.report().get("policy.required").unwrap().status.word();
        assert!(matches!(word(&scene), "pass" | "warn"), "{aspect} {}", word(&scene));
        forge(&mut scene);
        assert_eq!(word(&scene), "fail", "{aspect}");
    }
}
