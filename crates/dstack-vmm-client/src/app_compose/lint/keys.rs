//! Where keys come from, and who is let in.

use std::collections::BTreeSet;

use dstack_check::{CheckDef, Finding};

use super::{Doc, Troubles};
use crate::DstackVersion;
use crate::app_compose::KeyProvider;
use crate::app_compose::syntax::{Kind, Node};
use crate::env::check_name;

/// Platforms that `requirements.platforms` may name (upstream `vmm_rpc.proto`, `simulated_tee`).
const PLATFORMS: [&str; 5] =
    ["dstack-tdx", "dstack-gcp-tdx", "dstack-amd-sev-snp", "dstack-nitro-enclave", "dstack-aws-nitro-tpm"];

/// The key provider that the guest uses; none where the name is not one.
fn effective(doc: &Doc<'_>) -> KeyProvider {
    match doc.text_of("key_provider") {
        Some("kms") => KeyProvider::Kms,
        Some("local") => KeyProvider::Local,
        Some("tpm") => KeyProvider::Tpm,
        Some(_) => KeyProvider::None,
        None if doc.flag("kms_enabled", false) => KeyProvider::Kms,
        None if doc.flag("local_key_provider_enabled", false) => KeyProvider::Local,
        None => KeyProvider::None,
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn key_provider(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let (kms, local) = (doc.flag("kms_enabled", false), doc.flag("local_key_provider_enabled", false));
    let named = doc.text_of("key_provider");
    let at = doc.value("key_provider").map_or(0, |node| node.span.start);
    match named {
        None if kms && local => troubles.warn(
            doc.at("local_key_provider_enabled"),
            "kms_enabled and local_key_provider_enabled are both on, and the KMS wins",
        ),
        None | Some("none" | "kms" | "local") => {}
        Some("tpm") if doc.version == DstackVersion::V0_5 => {
            troubles.fail(at, "guests of dstack 0.5 do not support the key provider tpm");
        }
        Some("tpm") => {}
        Some(other) => troubles.fail(at, format!("there is no key provider {other:?}")),
    }
    if let Some(named) = named {
        for (flag, on, provider) in
            [("kms_enabled", kms, "kms"), ("local_key_provider_enabled", local, "local")]
        {
            if on && named != provider {
                troubles
                    .warn(doc.at(flag), format!("{flag} is on and key_provider is {named:?}, which wins"));
            }
        }
        if named == "kms" && !kms {
            troubles.warn(at, "key_provider is \"kms\" and kms_enabled is not on, which older tools look at");
        }
    }
    let finding =
        troubles.conclude(check, doc, "name one key provider: kms_enabled for a KMS, else key_provider");
    let effective = effective(doc);
    if finding.observed.is_some() { finding } else { finding.observed(format!("key provider: {effective}")) }
}

pub(super) fn key_provider_id(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(id) = doc.text_of("key_provider_id").filter(|id| !id.is_empty()) else {
        return check.not_applicable();
    };
    let at = doc.value("key_provider_id").map_or(0, |node| node.span.start);
    if id.starts_with("0x") || id.starts_with("0X") {
        troubles.fail(at, "dstack reads plain hex digits here, without 0x");
    } else if let Err(error) = hex::decode(id) {
        troubles.fail(at, format!("not hex: {}", lower_first(&error.to_string())));
    }
    if effective(doc) == KeyProvider::None {
        troubles.warn(at, "there is no key provider to pin");
    }
    troubles.conclude(check, doc, "write the id as hex digits; it is the DER public key of the KMS root CA, or the provider's measurement")
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

pub(super) fn gateway(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let flags = ["gateway_enabled", "tproxy_enabled"].into_iter().find(|flag| doc.flag(flag, false));
    let feature = doc.texts("features").any(|(_, text)| text == "tproxy-net").then_some("features");
    let Some(by) = flags.or(feature) else { return check.not_applicable() };
    if effective(doc) != KeyProvider::Kms {
        troubles.warn(doc.at(by), "the gateway knows apps by certificates of the KMS, and this app has none");
    }
    troubles.conclude(check, doc, "switch kms_enabled on, or gateway_enabled off and map ports on the host")
}

pub(super) fn allowed_envs(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let mut seen = BTreeSet::new();
    for (node, name) in doc.texts("allowed_envs") {
        if let Err(error) = check_name(name) {
            troubles.fail(node.span.start, error.to_string());
        }
        if !seen.insert(name) {
            troubles.warn(node.span.start, format!("{name} is there twice"));
        }
    }
    if seen.is_empty() {
        return check.not_applicable();
    }
    if effective(doc) != KeyProvider::Kms {
        troubles.warn(
            doc.at("allowed_envs"),
            "without a KMS there is no key to seal an environment to, so these are never set",
        );
    }
    troubles.conclude(
        check,
        doc,
        "use names of letters, digits and _ that do not begin with a digit, each once, and a KMS to seal them to",
    )
}

pub(super) fn launch_token(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(hash) = doc.text_of("launch_token_hash") else { return check.not_applicable() };
    let at = doc.value("launch_token_hash").map_or(0, |node| node.span.start);
    if !is_hex(hash, 64) {
        troubles.fail(at, "this is no SHA-256 as 64 hex digits");
    }
    if doc.text_of("pre_launch_script").is_none_or(|script| !script.contains("LAUNCH_TOKEN")) {
        troubles.warn(at, "no pre_launch_script looks at a LAUNCH_TOKEN, and dstack itself does not");
    }
    if !doc.texts("allowed_envs").any(|(_, name)| name.ends_with("LAUNCH_TOKEN")) {
        troubles.warn(at, "allowed_envs lets no LAUNCH_TOKEN in");
    }
    troubles.conclude(
        check,
        doc,
        "let pre_launch_script compare the hash of APP_LAUNCH_TOKEN, or use requirements.launch_token_hash on next",
    )
}

pub(super) fn requirements(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(requirements) = doc.value("requirements").filter(|node| matches!(node.kind, Kind::Object(_)))
    else {
        return check.not_applicable();
    };
    let manifest = doc.text_of("manifest_version").and_then(|text| text.trim().parse::<u32>().ok());
    if manifest.unwrap_or(0) < 3 {
        troubles.fail(
            doc.at("requirements"),
            "without manifest_version \"3\" an older guest boots and ignores the requirements",
        );
    }
    if let Some(platforms) = requirements.get("platforms") {
        if matches!(&platforms.kind, Kind::Array(list) if list.is_empty()) {
            troubles.fail(platforms.span.start, "an empty list of platforms allows none");
        }
        for (node, name) in platforms.elements().iter().filter_map(|one| Some((one, one.as_str()?))) {
            if !PLATFORMS.contains(&name) {
                troubles.fail(node.span.start, format!("there is no platform {name:?}"));
            }
        }
    }
    let text =
        |name: &str| requirements.get(name).and_then(|node: &Node| Some((node.span.start, node.as_str()?)));
    if let Some((at, hash)) = text("launch_token_hash")
        && !is_hex(hash, 64)
    {
        troubles.fail(at, "launch_token_hash is no SHA-256 as 64 hex digits");
    }
    if let Some((at, version)) = text("os_version")
        && !looks_like_version_requirement(version)
    {
        troubles.fail(at, format!("{version:?} is no requirement on a version, such as \">=0.6.0, <0.7.0\""));
    }
    troubles.conclude(check, doc, "write requirements that an older guest refuses and a fitting one can meet")
}

/// Whether the text has the form of a semver requirement: comparators with a version of one to three numbers, separated by
/// commas. A first look; the guest's own reader decides.
fn looks_like_version_requirement(text: &str) -> bool {
    let comparator = |part: &str| {
        let version = part.trim().trim_start_matches(['=', '>', '<', '~', '^']).trim_start();
        let numbers = version.split(['-', '+']).next().unwrap_or_default();
        let number = |n: &str| {
            !n.is_empty() && (n.bytes().all(|b| b.is_ascii_digit()) || matches!(n, "*" | "x" | "X"))
        };
        numbers.split('.').all(number) && numbers.split('.').count() <= 3
    };
    text.split(',').all(comparator)
}
