//! Writing a policy as TOML.

use std::fmt::{Display, Write as _};

use super::VERSION;
use super::values::{MAX_NAME, duration_text, provider_word};
use crate::known_good::KnownGood;
use crate::policy::{Policy, TcbPolicy, TcbStatus};

/// The policy as the text of a file. What a file cannot say is left out: the bytes of app-composes (their hashes are
/// there), and that emulated evidence is let through.
pub(in crate::policy) fn to_toml(policy: &Policy) -> String {
    let mut text = Writer::default();
    text.line("version", VERSION);
    text.list("require", policy.require.iter());
    text.table("code");
    text.list("compose_hashes", policy.compose_hashes.iter());
    text.list("app_ids", policy.app_ids.iter());
    text.list("instance_ids", policy.instance_ids.iter());
    text.table("os");
    text.list("images", policy.os_images.iter());
    text.list("mr_system", policy.mr_system.iter());
    text.list("mr_aggregated", policy.mr_aggregated.iter());
    hardware(&mut text, policy);
    text.table("freshness");
    text.some("report_data", policy.report_data.as_ref());
    text.some("max_evidence_age", policy.max_evidence_age.map(duration_text).as_ref());
    // Lists of tables stand last: a plain key after one would belong to it.
    for known in policy.known_good.iter().filter(|known| !known.is_empty()) {
        known_good(&mut text, known);
    }
    for rule in &policy.key_providers {
        text.list_table("keys.provider");
        text.string("kind", provider_word(rule.kind));
        text.some("id", rule.id.as_ref().map(hex::encode).as_ref());
    }
    text.text
}

fn hardware(text: &mut Writer, policy: &Policy) {
    let TcbPolicy { statuses, allowed_advisories, rejected_advisories, min_evaluation_number } = &policy.tcb;
    text.table("hardware");
    let acceptable: Vec<&TcbStatus> =
        statuses.iter().filter(|status| **status != TcbStatus::Revoked).collect();
    text.list("tcb_statuses", acceptable.into_iter());
    if let Some(allowed) = allowed_advisories {
        text.list_even_if_empty("allowed_advisories", allowed.iter());
    }
    text.list("rejected_advisories", rejected_advisories.iter());
    if let Some(number) = min_evaluation_number {
        text.line("min_evaluation_number", number);
    }
    text.list("device_ids", policy.device_ids.iter());
    text.some("max_collateral_age", policy.max_collateral_age.map(duration_text).as_ref());
}

fn known_good(text: &mut Writer, known: &KnownGood) {
    text.list_table("os.known_good");
    text.some("name", cleaned(&known.name).as_ref());
    text.some("source", cleaned(&known.source).as_ref());
    for ((_, value), key) in known.by_name().iter().zip(["mrtd", "rtmr0", "rtmr1", "rtmr2"]) {
        text.some(key, value.as_ref());
    }
    text.some("os_image_hash", known.os_image_hash.as_ref());
}

/// A name as files have it: some text on one line. `None` for an empty one.
fn cleaned(name: &str) -> Option<String> {
    let mut cleaned = name.replace(char::is_control, " ");
    while cleaned.len() > MAX_NAME {
        cleaned.pop();
    }
    (!cleaned.is_empty()).then_some(cleaned)
}

/// The text so far; the head of a table is written before its first key.
#[derive(Default)]
struct Writer {
    text: String,
    head: Option<String>,
}

impl Writer {
    fn table(&mut self, name: &str) {
        self.head = Some(format!("\n[{name}]\n"));
    }

    fn list_table(&mut self, name: &str) {
        self.head = None;
        self.text.push_str(&format!("\n[[{name}]]\n"));
    }

    fn line(&mut self, key: &str, value: impl Display) {
        self.text.extend(self.head.take());
        // A string takes every write.
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn string(&mut self, key: &str, value: &str) {
        self.line(key, quoted(value));
    }

    fn some(&mut self, key: &str, value: Option<&impl ToString>) {
        if let Some(value) = value {
            self.string(key, &value.to_string());
        }
    }

    fn list(&mut self, key: &str, values: impl ExactSizeIterator<Item = impl ToString>) {
        if values.len() > 0 {
            self.list_even_if_empty(key, values);
        }
    }

    fn list_even_if_empty(&mut self, key: &str, values: impl ExactSizeIterator<Item = impl ToString>) {
        let values: Vec<String> = values.map(|value| quoted(&value.to_string())).collect();
        match values.as_slice() {
            [] | [_] => self.line(key, format!("[{}]", values.join(""))),
            several => self.line(key, format!("[\n    {},\n]", several.join(",\n    "))),
        }
    }
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}
