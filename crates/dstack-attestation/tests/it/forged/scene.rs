//! An honest app on a platform of the test authority, to be tampered with.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::SystemTime;

use dstack_attestation::event_log::{DigestVersion, EventLog, KeyProviderKind, RuntimeEvent};
use dstack_attestation::known_good::KnownGood;
use dstack_attestation::quote::Collateral;
use dstack_attestation::quote::verify::TrustRoot;
use dstack_attestation::{
    CreatorFields, CvmEvidence, Digest32, Digest48, Measurements, MrConfigId, Policy, Verifier,
};
use dstack_check::{Report, Status, Verdict};
use serde_json::Value;

use crate::authority::{Authority, Contents, DAY, Platform, now};
use crate::evidence::{APP, CHALLENGE, COMPOSE, INSTANCE, boot_events, compose_hash};

/// The MRTD of the scene's image.
pub(super) const MRTD: [u8; 48] = [0xd0; 48];

/// Everything a verifier is given.
pub(super) struct Scene {
    /// What the quote says. [`Scene::sign`] makes the quote anew from it.
    pub(super) contents: Contents,
    pub(super) evidence: CvmEvidence,
    pub(super) policy: Policy,
    pub(super) collateral: Vec<Collateral>,
    pub(super) root: TrustRoot,
    pub(super) now: SystemTime,
}

/// The authority of all scenes: making keys takes time.
pub(super) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new(now()))
}

/// The platform of the honest app.
pub(super) fn platform() -> &'static Platform {
    static PLATFORM: OnceLock<Platform> = OnceLock::new();
    PLATFORM.get_or_init(|| authority().platform())
}

/// The platform's device id.
pub(super) fn device_id() -> Digest32 {
    // The policy hashes what it is given, as anything else that is SHA-256.
    Policy::new().compose(platform().spec().ppid).compose_hashes.into_iter().next().unwrap()
}

impl Scene {
    /// An app that booted, asked with a fresh challenge, under a policy that asks for everything it has.
    pub(super) fn honest() -> Self {
        Self::of(boot_events(), MrConfigId::v1(compose_hash()))
    }

    /// The same app, with other events and another MRCONFIGID.
    pub(super) fn of(events: Vec<RuntimeEvent>, mr_config_id: MrConfigId) -> Self {
        let entries = events.into_iter().map(|event| event.entry(DigestVersion::V1));
        Self::of_log(&EventLog::from_entries(entries.collect()), mr_config_id)
    }

    /// The same app with this log.
    pub(super) fn of_log(log: &EventLog, mr_config_id: MrConfigId) -> Self {
        let contents = Contents {
            measurements: Measurements::new(MRTD.into(), &log.replay()),
            creator: CreatorFields { mr_config_id: mr_config_id.to_bytes(), ..CreatorFields::default() },
            report_data: CHALLENGE.into(),
            ..Contents::default()
        };
        let mut evidence = CvmEvidence::new();
        evidence.event_log = Some(log.to_json());
        evidence.app_compose = Some(COMPOSE.to_owned());
        evidence.app_id = Some(APP.to_string());
        evidence.instance_id = Some(INSTANCE.to_string());
        evidence.device_id = Some(device_id().to_string());
        let mut image = KnownGood::default();
        image.name = "the demo image".to_owned();
        image.source = "the test".to_owned();
        image.mrtd = Some(MRTD.into());
        image.rtmr0 = Some(Digest48::ZERO);
        image.rtmr1 = Some(Digest48::ZERO);
        image.rtmr2 = Some(Digest48::ZERO);
        let mut policy = Policy::new()
            .compose(COMPOSE)
            .app_id(APP)
            .instance_id(INSTANCE)
            .key_provider(KeyProviderKind::Kms, Some(vec![0x30, 0x59]))
            .os_image([0x44; 32].into())
            .known_good(image)
            .report_data(CHALLENGE.into());
        policy.device_ids.insert(device_id());
        let mut scene = Self {
            contents,
            evidence,
            policy,
            collateral: vec![authority().collateral(platform())],
            root: authority().trust_root(),
            now: now(),
        };
        scene.sign();
        scene
    }

    /// Has the platform sign what [`Scene::contents`] says.
    pub(super) fn sign(&mut self) {
        self.sign_on(platform());
    }

    /// Has another platform sign it.
    pub(super) fn sign_on(&mut self, platform: &Platform) {
        self.evidence.quote = Some(platform.quote(&self.contents));
    }

    /// Edits the log as JSON.
    pub(super) fn edit_log(&mut self, edit: impl FnOnce(&mut Vec<Value>)) {
        let text = self.evidence.event_log.as_deref().unwrap();
        let mut log: Vec<Value> = serde_json::from_str(text).unwrap();
        edit(&mut log);
        self.evidence.event_log = Some(Value::from(log).to_string());
    }

    /// Edits the quote's bytes.
    pub(super) fn edit_quote(&mut self, edit: impl FnOnce(&mut Vec<u8>)) {
        edit(self.evidence.quote.as_mut().unwrap());
    }

    /// Has another collateral in the place of the honest one.
    pub(super) fn only_collateral(&mut self, collateral: Collateral) {
        self.collateral = vec![collateral];
    }

    /// Collateral that is in date at [`Scene::now`].
    pub(super) fn only_collateral_in_date(&mut self) {
        let now = self.now;
        self.only_collateral(authority().collateral_with(platform(), |says| {
            says.issued = now - DAY;
            says.next_update = now + DAY;
        }));
    }

    pub(super) fn verifier(&self) -> Verifier {
        let verifier = Verifier::new(self.policy.clone(), self.now).danger_root(self.root.clone());
        self.collateral.iter().cloned().fold(verifier, Verifier::collateral)
    }

    pub(super) fn report(&self) -> Report {
        self.verifier().app("app", &self.evidence)
    }
}

/// What the report says otherwise than that of the honest app, in one line: `fail` and `unknown` with the ids, and `warn`
/// where the honest app passes. What is skipped follows from these.
pub(super) fn changes(report: &Report) -> String {
    static HONEST: OnceLock<Report> = OnceLock::new();
    let honest = HONEST.get_or_init(|| Scene::honest().report());
    changes_from(honest, report)
}

/// The same against any other report.
pub(super) fn changes_from(honest: &Report, report: &Report) -> String {
    let mut by_word: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for finding in report.findings() {
        let before = honest.get(finding.id.as_str()).map(|finding| finding.status.word());
        let word = finding.status.word();
        let matters = matches!(finding.status, Status::Fail | Status::Warn | Status::Unknown { .. });
        // What is required follows from the others, and is looked at through the verdict.
        if matters && before != Some(word) && finding.id.as_str() != "policy.required" {
            by_word.entry(word).or_default().push(finding.id.as_str());
        }
    }
    let lines: Vec<String> =
        by_word.into_iter().map(|(word, ids)| format!("{word} {}", ids.join(" "))).collect();
    lines.join("; ")
}

/// One attack: what it is, what it does to the scene, and what the report then says.
pub(super) type Attack = (&'static str, fn(&mut Scene), &'static str);

/// Carries the attacks out, and compares every answer before it says which are wrong.
pub(super) fn carry_out(attacks: &[Attack]) {
    let mut wrong = Vec::new();
    for (name, forge, expected) in attacks {
        let mut scene = Scene::honest();
        forge(&mut scene);
        let report = scene.report();
        let found = changes(&report);
        if found != *expected {
            wrong.push(format!("{name}:\n  expected {expected}\n  found    {found}"));
        }
        if matches!(report.verdict(), Verdict::Ok | Verdict::Warnings) && !expected.starts_with("warn") {
            wrong.push(format!("{name}: the verdict is {}", report.verdict()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), attacks.len(), wrong.join("\n"));
}

/// The honest app is taken for what it is, so that the attacks start from where nothing else is wrong. A root CA other
/// than Intel's, which the caller trusts, leaves a warning; nothing else does.
#[test]
fn the_honest_app_is_found_honest() {
    let report = Scene::honest().report();
    let not_passed: Vec<String> = report
        .findings()
        .iter()
        .filter(|finding| !matches!(finding.status, Status::Pass | Status::NotApplicable))
        .map(|finding| format!("{} {} {:?}", finding.status.word(), finding.id, finding.observed))
        .collect();
    assert_eq!(report.verdict(), Verdict::Warnings, "{not_passed:#?}");
    assert_eq!(report.get("quote.signature").unwrap().status, Status::Warn);
    assert_eq!(
        report.counts().fail + report.counts().unknown + report.counts().skipped,
        0,
        "{not_passed:#?}"
    );
}
