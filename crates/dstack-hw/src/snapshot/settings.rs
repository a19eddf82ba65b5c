//! Documents as settings: one line a setting, so that a diff names the setting and not the file.

use std::collections::BTreeMap;

use super::hide::{Hider, SECRET};
use crate::Unread;

/// The most settings of one document.
const MAX_SETTINGS: usize = 4096;
/// The longest value, in characters. What follows is cut.
const MAX_VALUE: usize = 400;
/// How deep a document is read; what is below stays one value.
const MAX_DEPTH: usize = 16;

/// The settings of a TOML document as `table.key`.
pub(super) fn toml(text: &str) -> Result<BTreeMap<String, String>, Unread> {
    let value: serde_json::Value = toml_edit::de::from_str(text)
        .map_err(|error| Unread::Failed(format!("not TOML{}", place(&error, text))))?;
    Ok(flattened(&value))
}

/// The settings of a JSON document, with comments of the forms `//` and `/* */`, `#`, and commas too many.
pub(super) fn json(text: &str) -> Result<BTreeMap<String, String>, Unread> {
    let plain = without_comments(text);
    let value: serde_json::Value = serde_json::from_str(&plain).map_err(|error| {
        Unread::Failed(format!("not JSON, line {} column {}", error.line(), error.column()))
    })?;
    Ok(flattened(&value))
}

/// Settings in lines: `name = value`, `name=value`, `name: value`, or a word alone. `#` and `;` begin comments.
pub(super) fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';', '[']) {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => {
                line.split_once(char::is_whitespace).map_or((line, ""), |(name, value)| (name, value.trim()))
            }
        };
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .or_else(|| value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')))
            .unwrap_or(value);
        if settings.len() >= MAX_SETTINGS {
            break;
        }
        settings.insert(short(name), short(value));
    }
    settings
}

/// The same settings with secrets, addresses and names of hosts replaced.
pub(super) fn hidden(settings: BTreeMap<String, String>, hider: &Hider) -> BTreeMap<String, String> {
    settings
        .into_iter()
        .map(|(name, value)| {
            let value = if Hider::is_secret_name(&name) && !is_switch(&value) {
                if value.is_empty() || value == "[]" { value } else { SECRET.to_owned() }
            } else {
                hider.text(&value)
            };
            (hidden_name(&name, hider), value)
        })
        .collect()
}

/// The name of a setting. Parts in quotes are what somebody chose, and may be the name of a host.
fn hidden_name(name: &str, hider: &Hider) -> String {
    let parts = name.split('"').enumerate();
    let hidden: Vec<String> =
        parts.map(|(at, part)| if at % 2 == 1 { hider.text(part) } else { hider.name(part) }).collect();
    hidden.join("\"")
}

/// A value that cannot be a secret: the setting is a switch about one.
fn is_switch(value: &str) -> bool {
    matches!(value, "true" | "false" | "null")
}

/// Line and column of a TOML error; its words quote the line, which may hold a secret.
fn place(error: &toml_edit::de::Error, text: &str) -> String {
    let Some(span) = error.span() else { return String::new() };
    let line = text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
    format!(", line {line}")
}

fn flattened(value: &serde_json::Value) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    flatten(value, &mut String::new(), 0, &mut settings);
    settings
}

fn flatten(value: &serde_json::Value, name: &mut String, depth: usize, out: &mut BTreeMap<String, String>) {
    if out.len() >= MAX_SETTINGS {
        return;
    }
    let length = name.len();
    match value {
        serde_json::Value::Object(members) if depth < MAX_DEPTH && !members.is_empty() => {
            for (key, member) in members {
                if !name.is_empty() {
                    name.push('.');
                }
                let plain =
                    key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
                name.push_str(&if plain {
                    short(key)
                } else {
                    format!("\"{}\"", short(key).replace('"', "'"))
                });
                flatten(member, name, depth + 1, out);
                name.truncate(length);
            }
        }
        // Arrays of tables one by one; arrays of plain values are one setting.
        serde_json::Value::Array(members)
            if depth < MAX_DEPTH && members.iter().any(|member| member.is_object() || member.is_array()) =>
        {
            for (at, member) in members.iter().enumerate() {
                name.push_str(&format!("[{at}]"));
                flatten(member, name, depth + 1, out);
                name.truncate(length);
            }
        }
        serde_json::Value::String(text) => {
            out.insert(name.clone(), short(text));
        }
        other => {
            out.insert(name.clone(), short(&other.to_string()));
        }
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= MAX_VALUE {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(MAX_VALUE).collect();
    cut.push_str("...");
    cut
}

/// JSON as Intel's configuration files have it, made plain: comments become blanks, and a comma before a closing
/// bracket goes. Strings are left alone.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut in_string = false;
    while let Some(character) = rest.next() {
        if in_string {
            plain.push(character);
            match character {
                '\\' => plain.extend(rest.next()),
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match (character, rest.peek().copied()) {
            ('"', _) => {
                in_string = true;
                plain.push('"');
            }
            ('/', Some('/')) | ('#', _) => {
                for skipped in rest.by_ref() {
                    if skipped == '\n' {
                        plain.push('\n');
                        break;
                    }
                }
            }
            ('/', Some('*')) => {
                rest.next();
                let mut last = ' ';
                for skipped in rest.by_ref() {
                    if skipped == '\n' {
                        plain.push('\n');
                    }
                    if last == '*' && skipped == '/' {
                        break;
                    }
                    last = skipped;
                }
            }
            ('}' | ']', _) => {
                let kept = plain.trim_end().len();
                if plain.get(..kept).is_some_and(|kept| kept.ends_with(',')) {
                    plain.replace_range(kept - 1..kept, " ");
                }
                plain.push(character);
            }
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vmm_toml_without_its_secrets() {
        let text = r#"
address = "192.0.2.7:9080"
workers = 16
[cvm]
kms_urls = ["https://kms.example.com:9100"]
cid_start = 33000
[cvm.port_mapping]
enabled = true
range = [{ protocol = "tcp", from = 1, to = 20000 }]
[auth]
enabled = true
tokens = ["d34db33f-planted"]
"#;
        let settings = hidden(toml(text).unwrap(), &Hider::default());
        let lines: Vec<String> = settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn json_with_comments() {
        let text = "{\n  // where it is\n  \"pccs_url\": \"https://localhost:8081/sgx/certification/v4/\" /* x */\n  ,\"use_secure_cert\": false,\n  # more\n  \"retry_times\": 6,\n}\n";
        let settings = json(text).unwrap();
        assert_eq!(settings["pccs_url"], "https://localhost:8081/sgx/certification/v4/");
        assert_eq!(settings["use_secure_cert"], "false");
        assert_eq!(settings["retry_times"], "6");
        assert_eq!(json("{\"a\": }"), Err(Unread::Failed("not JSON, line 1 column 7".to_owned())));
    }

    #[test]
    fn an_error_does_not_quote_the_document() {
        let error = toml("a = 1\ntoken = d34db33f\n").unwrap_err();
        assert_eq!(error, Unread::Failed("not TOML, line 2".to_owned()));
    }

    #[test]
    fn grub_and_qgs() {
        let grub = pairs("# comment\nGRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX=\"nohibernate kvm_intel.tdx=1\"\n");
        assert_eq!(grub["GRUB_CMDLINE_LINUX"], "nohibernate kvm_intel.tdx=1");
        assert_eq!(grub.len(), 2);
        assert_eq!(pairs("port = 4050\nnumber_threads = 4\n")["port"], "4050");
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC{0,200}") {
            let _ = toml(&text);
            let _ = json(&text);
            let _ = pairs(&text);
        }

        #[test]
        fn plain_json_is_left_alone(keys in proptest::collection::btree_map("[a-z]{1,6}", "\\PC{0,20}", 0..6)) {
            let text = serde_json::to_string_pretty(&keys).unwrap();
            let again: BTreeMap<String, String> = serde_json::from_str(&without_comments(&text)).unwrap();
            prop_assert_eq!(again, keys);
        }
    }
}
