//! JSON texts without members that a version does not know.

/// [`without_keys`] for a text.
pub(crate) fn drop_keys(json: &str, keys: &[&str]) -> String {
    String::from_utf8(without_keys(json.as_bytes(), keys)).unwrap_or_default()
}

/// A JSON text without the object members of these names, wherever they are; order and spelling of the rest stay.
///
/// Replies are written from one set of messages that knows the fields of all versions. A version that lacks a field
/// does not write it as null, it does not write it at all.
pub(crate) fn without_keys(json: &[u8], keys: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut at = 0;
    let mut copied = 0;
    while at < json.len() {
        if json[at] != b'"' {
            at += 1;
            continue;
        }
        let end = string_end(json, at);
        let named = json.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
        if json.get(end) == Some(&b':') && keys.iter().any(|key| key.as_bytes() == named) {
            let mut from = at;
            let mut to = value_end(json, end + 1);
            if json.get(to) == Some(&b',') {
                to += 1;
            } else if from > copied && json[from - 1] == b',' {
                from -= 1;
            } else if from == copied && out.last() == Some(&b',') {
                // The members before this one were dropped together with it: their comma was kept for a successor.
                out.pop();
            }
            out.extend_from_slice(&json[copied..from]);
            copied = to;
            at = to;
        } else {
            at = end;
        }
    }
    out.extend_from_slice(&json[copied..]);
    out
}

/// Position after the string literal that starts at `at`.
fn string_end(json: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    json.len()
}

/// Position after the value that starts at `at`.
fn value_end(json: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at = string_end(json, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Any JSON with few enough names that some are cut.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[xy{}\\[\\]\\\\\",:]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[axyz\"]{1,2}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn cut(value: Value) -> Value {
        match value {
            Value::Array(items) => Value::Array(items.into_iter().map(cut).collect()),
            Value::Object(members) => {
                let kept = members.into_iter().filter(|(key, _)| key != "x" && key != "y");
                Value::Object(kept.map(|(key, value)| (key, cut(value))).collect())
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn cutting_keys_is_cutting_members(value in any_json()) {
            let text = drop_keys(&value.to_string(), &["x", "y"]);
            prop_assert_eq!(text, cut(value).to_string());
        }
    }

    #[test]
    fn keys_of_other_versions_are_cut_out() {
        let strip = |text: &str| String::from_utf8(without_keys(text.as_bytes(), &["x", "y"])).unwrap();
        assert_eq!(strip(r#"{"a":1,"x":[1,{"b":"]"}],"c":2}"#), r#"{"a":1,"c":2}"#);
        assert_eq!(strip(r#"{"x":null,"a":"x\":1"}"#), r#"{"a":"x\":1"}"#);
        assert_eq!(strip(r#"{"a":1,"x":{},"y":"}"}"#), r#"{"a":1}"#);
        assert_eq!(strip(r#"[{"x":1},{"x":1,"y":2},{"a":"x"}]"#), r#"[{},{},{"a":"x"}]"#);
    }
}
