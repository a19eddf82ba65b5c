//! What can the operator of the app still do?
//!
//! The answers come from the app-compose whose hash was measured, so that nobody can change them without changing the
//! measurements. Nothing here fails: what an app-compose leaves open is a fact to know, not a contradiction.

mod images;
mod settings;

use dstack_check::{CheckDef, Finding, Fix};

use crate::event_log::KeyProviderKind;
use crate::verify::cvm::subject::{Subject, list};
use crate::{Aspect, hash};
use images::Reference;
use settings::Settings;

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    check("operator.environment", "the operator chooses no environment variable of the app")
        .why("a value can point the app elsewhere, or switch a safeguard off, without changing a measurement")
        .proves("the measured app-compose allows no environment variable to be set from outside")
        .leaves_open(
            "what the app takes from elsewhere: the VM's user_config, the network and DNS are the operator's as well",
        ),
    check("operator.upgrades", "nobody can put another app-compose in the place of this one")
        .parents(&["eventlog.readable", "eventlog.replay-rtmr3"])
        .needs("the key-provider event of the log")
        .why("with the same keys, another app-compose reads everything that this one stored")
        .proves("the keys that the CVM was given go to no other app-compose")
        .leaves_open("whether the operator starts another app under another id and sends users there"),
    check("operator.logs", "the logs of the containers are not public")
        .why("an app may write what its users entrust to it into its logs")
        .proves("the guest agent serves no container log to the outside")
        .leaves_open("what the app itself sends elsewhere"),
    check("operator.clock", "the guest takes the time from an authenticated source")
        .why("with a wrong clock, expired certificates and tokens are valid again")
        .proves("the measured app-compose tells the guest to secure its clock")
        .leaves_open("whether the OS image carries it out"),
    check("operator.pre-launch", "nothing runs in the guest besides the containers")
        .why("scripts of the app-compose run as root in the guest, outside every container")
        .proves("the measured app-compose brings no script that runs before or beside the containers")
        .leaves_open("what the containers themselves run"),
    check("operator.images", "every container image is pinned by its digest")
        .needs("the Compose file in the app-compose")
        .why("a tag names whatever the registry serves when the guest starts, which no measurement shows")
        .proves("every image line that a scan of the Compose file found names the image by its digest")
        .leaves_open(
            "what a full reading of the YAML would find (includes, aliases, escapes), and what is in the images",
        ),
];

const fn check(id: &'static str, title: &'static str) -> CheckDef {
    CheckDef::new(id, title)
        .layer("operator")
        .parents(&["eventlog.readable", "eventlog.replay-rtmr3"])
        .needs("the text of the measured app-compose")
}

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    let judge = match check.id {
        "operator.upgrades" => return Some(upgrades(check, subject)),
        "operator.environment" => environment,
        "operator.logs" => logs,
        "operator.clock" => clock,
        "operator.pre-launch" => pre_launch,
        "operator.images" => images,
        _ => return None,
    };
    Some(match measured_settings(subject) {
        Ok(settings) => judge(check, &settings),
        // Nobody asked what the operator can do; then its absence leaves no question open.
        Err(why) if !subject.policy.require.contains(&Aspect::Operator) => {
            check.not_applicable().observed(why)
        }
        Err(why) => check.unknown(why).fix(Fix::new(
            "give the text of the app-compose: set public_tcbinfo in it, or ask the operator for the bytes",
        )),
    })
}

/// The app-compose whose hash is the measured one: the text that the guest shows, or one that the policy names.
fn measured_settings(subject: &Subject<'_>) -> Result<Settings, String> {
    let measured = subject.system.compose_hash.ok_or("the log has no readable compose-hash event")?;
    let shown = subject.app_compose().map(str::as_bytes);
    let named = subject.policy.composes.iter().map(Vec::as_slice);
    let text = shown
        .into_iter()
        .chain(named)
        .find(|bytes| hash::sha256(&[bytes]) == measured)
        .ok_or("the text of the measured app-compose is not at hand")?;
    serde_json::from_slice(text).map_err(|error| format!("the measured app-compose cannot be read: {error}"))
}

fn environment(check: &CheckDef, settings: &Settings) -> Finding {
    let names = &settings.allowed_envs;
    if names.is_empty() {
        return check.pass().observed("allowed_envs is empty");
    }
    check
        .warn()
        .observed(format!("{} names in allowed_envs\n{}", names.len(), list(names)))
        .expected("names that can carry secrets and nothing else")
        .fix(Fix::new(
            "look up in the Compose file what each of these variables does, since the operator chooses its value",
        ))
}

fn upgrades(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Some(provider) = &subject.system.key_provider else {
        return check.unknown("the log has no readable key-provider event");
    };
    let kind = provider.kind();
    let finding = match kind {
        Some(KeyProviderKind::None) => check.pass(),
        // The local provider derives the key from MRTD and RTMR0 to RTMR3, the compose hash among them.
        Some(KeyProviderKind::Local) => {
            check.pass().trusting("the local key provider's enclave, which derives the keys from the measurements")
        }
        Some(KeyProviderKind::Kms) => check
            .warn()
            .expected("an app whose upgrades are disabled, or in the hands of people you trust")
            .fix(Fix::new(
                "look up at the KMS, in the app's contract or in the policy file, who may allow other app-composes",
            )),
        Some(KeyProviderKind::Tpm) | None => {
            return check
                .unknown(format!("nothing is known here about keys from the provider {:?}", provider.name));
        }
    };
    finding.observed(provider.to_json())
}

fn logs(check: &CheckDef, settings: &Settings) -> Finding {
    let observed = format!(
        "public_logs {}, public_sysinfo {}, public_tcbinfo {}",
        settings.public_logs, settings.public_sysinfo, settings.public_tcbinfo
    );
    let finding = if settings.public_logs {
        check.warn().expected("public_logs false").fix(Fix::new(
            "make sure that the app logs nothing that its users entrust to it: anybody can read its logs",
        ))
    } else {
        check.pass()
    };
    finding.observed(observed)
}

fn clock(check: &CheckDef, settings: &Settings) -> Finding {
    if settings.secure_time {
        return check.pass().observed("secure_time true");
    }
    check.warn().observed("secure_time false").expected("secure_time true").fix(Fix::new(
        "do not rely on what the app says about times and expiries: the host decides what time it is in the guest",
    ))
}

fn pre_launch(check: &CheckDef, settings: &Settings) -> Finding {
    let scripts = settings.scripts();
    if scripts.is_empty() {
        return check.pass();
    }
    let sizes: Vec<String> =
        scripts.iter().map(|(name, text)| format!("{name}, {} bytes", text.len())).collect();
    let finding = check.warn().observed(list(&sizes)).expected("no script, or one that was read").fix(
        Fix::new("read the scripts: they are measured, and they can do in the guest whatever they like"),
    );
    scripts.iter().fold(finding, |finding, (name, text)| finding.evidence(*name, text.clone()))
}

fn images(check: &CheckDef, settings: &Settings) -> Finding {
    let Some(compose) = settings.compose_file() else {
        return check.not_applicable().observed(format!("runner {}", settings.runner));
    };
    let found = images::scan(compose);
    let loose: Vec<String> =
        found.iter().filter(|reference| !reference.is_pinned()).map(Reference::to_string).collect();
    if found.is_empty() {
        return check
            .warn()
            .observed("the scan found no image in the Compose file")
            .expected("image lines with a digest")
            .fix(Fix::new("read the Compose file in the app-compose yourself"));
    }
    if loose.is_empty() {
        return check.pass().observed(format!("{} images, each with its digest", found.len()));
    }
    check.warn().observed(list(&loose)).expected("name@sha256:DIGEST").fix(Fix::new(
        "pin every image by its digest, so that the compose hash stands for the code that runs",
    ))
}
