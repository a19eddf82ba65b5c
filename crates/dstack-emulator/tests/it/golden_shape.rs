//! Comparing an answer with a recorded one by what does not depend on keys, ids and machines.

use serde_json::Value;

/// Where `ours` differs from the recorded value in type, in the names or order of members, or in an error text; `None`
/// when it does not.
pub(crate) fn difference(at: &str, recorded: &Value, ours: &Value) -> Option<String> {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            if names(recorded) != names(ours) {
                return Some(format!("{at}: members {:?} instead of {:?}", names(ours), names(recorded)));
            }
            if let (Some(Value::String(recorded)), Some(Value::String(ours))) =
                (recorded.get("error"), ours.get("error"))
                && recorded != ours
            {
                return Some(format!("{at}: error {ours:?} instead of {recorded:?}"));
            }
            recorded.iter().find_map(|(name, value)| difference(&format!("{at}.{name}"), value, &ours[name]))
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            if recorded.is_empty() != ours.is_empty() {
                return Some(format!("{at}: {} elements instead of {}", ours.len(), recorded.len()));
            }
            // Lists of one kind of thing: every element of ours is like some element of the recorded list.
            ours.iter().enumerate().find_map(|(index, value)| {
                let mut found =
                    recorded.iter().map(|like| difference(&format!("{at}[{index}]"), like, value));
                let first = found.next()?;
                if first.is_none() || found.any(|difference| difference.is_none()) { None } else { first }
            })
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, Value::Null) => None,
        _ => Some(format!("{at}: {ours} instead of {recorded}")),
    }
}
