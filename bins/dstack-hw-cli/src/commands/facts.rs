//! `facts`: what was read, without judging it.

use cli_support::{CliError, ExitCode};
use dstack_check::text::neutralise_line;
use dstack_hw::{HostFacts, Unread};
use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::source::{AskArgs, SourceArgs};

/// Lists longer than this are counted in the text form; `--json` has them whole.
const LISTED: usize = 16;
/// Words of one line of the text form.
const WORDS: usize = 100;

/// Arguments of `facts`.
#[derive(Debug, clap::Args)]
pub(crate) struct Facts {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    facts: &'a HostFacts,
}

impl Facts {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let opened = self.source.open()?;
        let facts = HostFacts::collect(opened.source.as_ref(), self.ask.options());
        if context.out.is_json() {
            context.out.json(&Document { schema: "dstack-hw/facts/v1", facts: &facts })?;
        } else {
            let value = serde_json::to_value(&facts).map_err(CliError::bug)?;
            let mut text = String::new();
            write_fields(&value, 0, &mut text);
            context.out.text(&text)?;
        }
        Ok(ExitCode::Ok)
    }
}

/// The fields of an object, one a line, nested ones indented.
fn write_fields(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        let value = content(value);
        match short(value) {
            Some(text) => out.push_str(&format!("{indent}{key}: {text}\n")),
            None => {
                out.push_str(&format!("{indent}{key}:\n"));
                match value {
                    Value::Array(items) => write_items(items, depth + 1, out),
                    other => write_fields(other, depth + 1, out),
                }
            }
        }
    }
}

fn write_items(items: &[Value], depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for item in items.iter().take(LISTED) {
        let item = content(item);
        match (short(item), item) {
            (Some(text), _) => out.push_str(&format!("{indent}- {text}\n")),
            (None, Value::Array(nested)) => {
                out.push_str(&format!("{indent}-\n"));
                write_items(nested, depth + 1, out);
            }
            (None, other) => {
                out.push_str(&format!("{indent}-\n"));
                write_fields(other, depth + 1, out);
            }
        }
    }
    if let more @ 1.. = items.len().saturating_sub(LISTED) {
        out.push_str(&format!("{indent}({more} more)\n"));
    }
}

/// What a fact holds: `{"known": x}` is `x`.
fn content(value: &Value) -> &Value {
    match value {
        Value::Object(fields) if fields.len() == 1 => fields.get("known").map_or(value, content),
        other => other,
    }
}

/// A value that fits into one line.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("-".to_owned()),
        Value::Bool(true) => Some("yes".to_owned()),
        Value::Bool(false) => Some("no".to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if text.is_empty() => Some("\"\"".to_owned()),
        Value::String(text) => Some(neutralise_line(text).into_owned()),
        Value::Array(items) if items.is_empty() => Some("none".to_owned()),
        Value::Array(items) => words(items),
        Value::Object(fields) if fields.is_empty() => Some("-".to_owned()),
        Value::Object(fields) if fields.len() == 1 => {
            let why = serde_json::from_value::<Unread>(fields.get("unread")?.clone()).ok()?;
            Some(format!("unknown ({})", neutralise_line(&why.why())))
        }
        Value::Object(_) => None,
    }
}

/// A list of single words on one line.
fn words(items: &[Value]) -> Option<String> {
    let word = |item: &Value| match content(item) {
        Value::String(text) if !text.contains(char::is_whitespace) => {
            Some(neutralise_line(text).into_owned())
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let words: Vec<String> = items.iter().take(WORDS).map(word).collect::<Option<_>>()?;
    let more = match items.len().saturating_sub(WORDS) {
        0 => String::new(),
        more => format!(" ({more} more)"),
    };
    Some(format!("{}{more}", words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> String {
        let mut out = String::new();
        write_fields(value, 0, &mut out);
        out
    }

    #[test]
    fn facts_are_unwrapped_and_what_is_unread_says_why() {
        let value = serde_json::json!({
            "release": {"known": "6.8.0"},
            "device": "absent",
            "msr": {"unread": "not-permitted"},
            "kvm": {"unread": {"failed": "bad\u{1b}[2Jnews"}},
            "nested": {"known": {"flags": ["vmx", "ept"], "deep": [{"a": 1}, {"a": true}]}},
            "nothing": [],
            "many": {"known": (0..20).map(|n| serde_json::json!({"n": n})).collect::<Vec<_>>()},
        });
        insta::assert_snapshot!(text(&value));
    }
}
