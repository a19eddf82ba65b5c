//! What differs between what runs and what should, and what follows.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::diff::LineDiff;
use crate::app_compose::ComposeHash;

/// One difference between what runs and what should.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// A text of the app-compose of several lines: the Compose file or a script.
    ComposeText {
        /// Where it stands, such as `docker_compose_file`.
        path: String,
        /// How it changes.
        diff: LineDiff,
    },
    /// Another field of the app-compose.
    ComposeField {
        /// Where it stands, such as `port_policy.restrict_mode`.
        path: String,
        /// What it was; `None` when it was not there.
        old: Option<Value>,
        /// What it becomes; `None` when it goes.
        new: Option<Value>,
    },
    /// Names that the guest takes out of the environment.
    AllowedEnvs {
        /// New names.
        added: Vec<String>,
        /// Names that are gone.
        removed: Vec<String>,
    },
    /// The app-compose says the same in other bytes: white space, order, or a key twice. The hash changes all the same.
    ComposeLayout,
    /// The environment. Values are never shown.
    Env(EnvChange),
    /// Something of the VM beside its app.
    Setting {
        /// Its name: `image`, `vcpu`, `memory`, `disk`, `gpus`, `networking`, `no_tee`, `kms_urls`, `gateway_urls`.
        name: &'static str,
        /// What it was.
        old: String,
        /// What it becomes.
        new: String,
    },
    /// Published ports.
    Ports {
        /// New ones.
        added: Vec<String>,
        /// Ones that are gone.
        removed: Vec<String>,
    },
    /// The user config. It may hold a secret, so only its size is shown.
    UserConfig {
        /// Size of the old one in bytes.
        old_bytes: usize,
        /// Size of the new one in bytes.
        new_bytes: usize,
    },
}

/// How an environment changes, by names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EnvChange {
    /// Names that are new.
    pub added: Vec<String>,
    /// Names that are gone. The whole environment is replaced, so that a name which is not in the file is gone.
    pub removed: Vec<String>,
    /// Names with another value.
    pub changed: Vec<String>,
    /// Names that stay as they are.
    pub unchanged: Vec<String>,
    /// It is not known what the VM has: its environment was sealed elsewhere. All names are sealed again.
    pub unknown: bool,
}

impl EnvChange {
    /// From the digests of the values, old and new.
    pub(crate) fn between(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Self {
        let mut change = Self::default();
        for (name, digest) in new {
            let list = match old.get(name) {
                None => &mut change.added,
                Some(known) if known == digest => &mut change.unchanged,
                Some(_) => &mut change.changed,
            };
            list.push(name.clone());
        }
        change.removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
        change
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.unknown && self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Something that follows from a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Consequence {
    /// A VM with an empty disk is made.
    NewVm,
    /// The VM is stopped, changed and started: the change cannot be made while it runs.
    StopFirst,
    /// The VM is changed while it runs and then started anew.
    Restart,
    /// The VM is changed and keeps running as it was until someone starts it anew.
    RestartLater,
    /// The VM does not run and is started.
    Start,
    /// The policy gets an entry for the new hash.
    NewAllowListEntry {
        /// The hash.
        hash: ComposeHash,
    },
    /// Somebody else has to make the policy allow the new hash, or the app gets no keys.
    AllowListEntryNeeded {
        /// The hash.
        hash: ComposeHash,
    },
    /// The app id stays, and with it every key the app derives from the KMS.
    SameKeys,
    /// The app gets other keys than before.
    NewKeys {
        /// Why.
        because: &'static str,
    },
    /// The instance gets another id.
    NewInstanceId,
    /// What is on the data disk is lost.
    DataLost {
        /// Why.
        because: &'static str,
    },
}

/// The differences of two app-composes.
pub(crate) fn compose_changes(old: &str, new: &str) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    let parsed = serde_json::from_str::<Value>(old).ok().zip(serde_json::from_str::<Value>(new).ok());
    let Some((old_value, new_value)) = parsed else {
        return vec![Change::ComposeText { path: String::new(), diff: LineDiff::new(old, new) }];
    };
    let mut changes = Vec::new();
    compare("", Some(&old_value), Some(&new_value), &mut changes);
    if changes.is_empty() {
        changes.push(Change::ComposeLayout);
    }
    changes
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for (name, value) in new {
                compare(&join(name), old.get(name), Some(value), changes);
            }
            for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
                compare(&join(name), Some(value), None, changes);
            }
        }
        (Some(Value::String(old)), Some(Value::String(new))) if old.contains('\n') || new.contains('\n') => {
            changes.push(Change::ComposeText { path: path.to_owned(), diff: LineDiff::new(old, new) });
        }
        _ if path == "allowed_envs" => {
            let names = |value: Option<&Value>| -> Vec<String> {
                let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let (old_names, new_names) = (names(old), names(new));
            let added: Vec<String> =
                new_names.iter().filter(|name| !old_names.contains(name)).cloned().collect();
            let removed: Vec<String> =
                old_names.into_iter().filter(|name| !new_names.contains(name)).collect();
            // The same names in another order, or something that is no list of names.
            changes.push(if added.is_empty() && removed.is_empty() {
                Change::ComposeField { path: path.to_owned(), old: old.cloned(), new: new.cloned() }
            } else {
                Change::AllowedEnvs { added, removed }
            });
        }
        // A script that appears or goes is shown line by line, too.
        (None, Some(Value::String(text))) if text.contains('\n') => {
            changes.push(Change::ComposeText { path: path.to_owned(), diff: LineDiff::new("", text) });
        }
        (Some(Value::String(text)), None) if text.contains('\n') => {
            changes.push(Change::ComposeText { path: path.to_owned(), diff: LineDiff::new(text, "") });
        }
        _ => {
            changes.push(Change::ComposeField {
                path: path.to_owned(),
                old: old.cloned(),
                new: new.cloned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_compared_by_path() {
        let old = r#"{"a": 1, "b": {"c": true, "d": [1]}, "allowed_envs": ["A", "B"], "gone": null}"#;
        let new =
            r#"{"a": 2, "b": {"c": true, "d": [1, 2]}, "allowed_envs": ["B", "C"], "script": "x\ny\n"}"#;
        insta::assert_json_snapshot!(compose_changes(old, new));
    }

    #[test]
    fn layout_and_texts_that_are_no_json() {
        assert_eq!(compose_changes("{}", "{ }"), [Change::ComposeLayout]);
        assert!(compose_changes("{}", "{}").is_empty());
        let changes = compose_changes("no json\n", "{}");
        assert!(matches!(&changes[..], [Change::ComposeText { path, .. }] if path.is_empty()));
    }

    #[test]
    fn names_tell_what_happens_to_them() {
        let map =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, d)| ((*n).to_owned(), (*d).to_owned())).collect();
        let change = EnvChange::between(
            &map(&[("A", "1"), ("B", "2"), ("C", "3")]),
            &map(&[("A", "1"), ("B", "9"), ("D", "4")]),
        );
        insta::assert_json_snapshot!(change);
        assert!(EnvChange::between(&map(&[("A", "1")]), &map(&[("A", "1")])).is_empty());
    }
}
