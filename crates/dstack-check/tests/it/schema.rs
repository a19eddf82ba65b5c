//! The JSON Schema, and that what is written follows it.
#![cfg(feature = "schema")]

use dstack_check::render::json;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::sample;

#[test]
fn the_schema_of_a_report() {
    // The order of a `Value` depends on a feature that another package of a build may switch on.
    insta::with_settings!({ sort_maps => true }, { assert_json_snapshot!(json::report_schema()) });
}

#[test]
fn the_schema_of_a_set_says_more_than_the_report() {
    let schema = json::set_schema();
    assert_eq!(schema["properties"]["schema"]["const"], json::REPORT_SET_SCHEMA);
    assert_eq!(schema["required"], json!(["schema", "verdict", "counts", "summary", "reports"]));
}

#[test]
fn documents_follow_their_schema() {
    let report: Value = serde_json::from_str(&json::report(&sample::report())).unwrap();
    assert_eq!(faults(&json::report_schema(), &report), [""; 0]);
    let meaning: Value = serde_json::from_str(&json::report(&sample::meaning())).unwrap();
    assert_eq!(faults(&json::report_schema(), &meaning), [""; 0]);
    let set: Value = serde_json::from_str(&json::set(&sample::set())).unwrap();
    assert_eq!(faults(&json::set_schema(), &set), [""; 0]);
}

#[test]
fn other_documents_do_not() {
    let good: Value = serde_json::from_str(&json::report(&sample::report())).unwrap();
    let schema = json::report_schema();
    for (path, bad) in [
        ("/schema", json!("dstack-check/report/v2")),
        ("/subject", json!(7)),
        ("/verdict", json!("perhaps")),
        ("/counts/pass", json!(-1)),
        ("/findings/0/id", json!(null)),
        ("/findings/0/status", json!("maybe")),
        ("/findings/1/evidence/0", json!({ "source": "s" })),
        ("/findings/1/fix/commands", json!("rm")),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(path).unwrap() = bad;
        assert!(!faults(&schema, &document).is_empty(), "{path} was not noticed");
    }
}

/// What is wrong with a value by a schema: the keywords that these schemas use, and no others.
fn faults(root: &Value, value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    check(root, root, value, "", &mut out);
    out
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    let Value::Object(keywords) = schema else {
        assert_eq!(schema, &json!(true), "a schema is an object or true");
        return;
    };
    for (keyword, argument) in keywords {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            "$ref" => {
                let pointer = argument.as_str().unwrap().strip_prefix('#').unwrap();
                check(root, root.pointer(pointer).unwrap(), value, at, out);
                true
            }
            "const" => value == argument,
            "enum" => argument.as_array().unwrap().contains(value),
            "minimum" => value.as_f64() >= argument.as_f64(),
            "type" => match argument {
                Value::String(name) => is_type(value, name),
                names => names.as_array().unwrap().iter().any(|name| is_type(value, name.as_str().unwrap())),
            },
            "required" => {
                argument.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "properties" => {
                for (name, inner) in argument.as_object().unwrap() {
                    if let Some(field) = value.get(name) {
                        check(root, inner, field, &format!("{at}/{name}"), out);
                    }
                }
                true
            }
            "additionalProperties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    check(root, argument, field, &format!("{at}/{name}"), out);
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, argument, item, &format!("{at}/{index}"), out);
                }
                true
            }
            "oneOf" | "anyOf" => {
                let fitting = argument.as_array().unwrap().iter().filter(|choice| {
                    let mut inner = Vec::new();
                    check(root, choice, value, at, &mut inner);
                    inner.is_empty()
                });
                let count = fitting.count();
                count == 1 || keyword == "anyOf" && count > 0
            }
            other => panic!("the test does not know the keyword `{other}`"),
        };
        if !holds {
            out.push(format!("{at}: {keyword}"));
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type `{other}`"),
    }
}
