//! The JSON documents: what is written, what is read, what is refused.

use dstack_check::render::json::{self, ReadError};
use dstack_check::{Report, ReportSet, Verdict};
use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Value, json};

use crate::sample;

#[test]
fn a_report() {
    let text = json::report(&sample::report());
    assert_snapshot!(text);
    assert_eq!(json::read_report(&text).unwrap(), sample::report());
}

#[test]
fn a_report_with_conclusions() {
    let text = json::report(&sample::meaning());
    assert_snapshot!(text);
    assert_eq!(json::read_report(&text).unwrap(), sample::meaning());
}

#[test]
fn several_hosts() {
    let text = json::set(&sample::set());
    assert_eq!(json::read_set(&text).unwrap(), sample::set());
    let mut value: Value = serde_json::from_str(&text).unwrap();
    // The reports inside are documents of their own, shown by the test above.
    for report in value["reports"].as_array_mut().unwrap() {
        let cut_out: Report = serde_json::from_value(report.clone()).unwrap();
        *report = json!(format!("the report about {}", cut_out.subject()));
    }
    // The order of a `Value` depends on a feature that another package of a build may switch on.
    insta::with_settings!({ sort_maps => true }, { assert_json_snapshot!(value) });
}

#[test]
fn unknown_fields_are_left_aside_and_derived_ones_worked_out_anew() {
    let report = json::read_report(
        r#"{
            "schema": "dstack-check/report/v1", "subject": "host", "verdict": "ok", "since": 2027,
            "findings": [{
                "id": "t.a", "title": "a", "status": "fail", "confidence": 0.9,
                "fix": { "action": "do it", "cost": "low" },
                "evidence": [{ "source": "s", "excerpt": "e", "line": 3 }]
            }]
        }"#,
    )
    .unwrap();
    assert_eq!(report.verdict(), Verdict::Failed);
    assert_eq!(report.findings()[0].fix.as_ref().unwrap().action, "do it");
}

#[test]
fn the_order_of_fields_does_not_matter() {
    let text = r#"{"findings": [], "subject": "host", "schema": "dstack-check/report/v1"}"#;
    assert_eq!(json::read_report(text).unwrap(), Report::new("host", []));
}

/// Message and cause, as a program shows them.
fn refusal(error: &ReadError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[test]
fn refusals_say_what_and_where() {
    let report = |text: &str| refusal(&json::read_report(text).unwrap_err());
    let set = |text: &str| refusal(&json::read_set(text).unwrap_err());
    let lines = [
        report(""),
        report("no JSON at all"),
        report("[]"),
        report("{}"),
        report(r#"{"schema": 1}"#),
        report(r#"{"schema": "sarif-2.1.0"}"#),
        report(r#"{"schema": "dstack-check/report-set/v1", "reports": []}"#),
        report(r#"{"schema": "dstack-check/report/v2", "results": "of another shape"}"#),
        report(r#"{"schema": "dstack-check/report/v0", "subject": "s", "findings": []}"#),
        report(r#"{"schema": "dstack-check/report/v99999999999999999999"}"#),
        report("{\"schema\": \"dstack-check/report/v1\",\n \"findings\": []}"),
        report(
            "{\"schema\": \"dstack-check/report/v1\", \"subject\": \"s\",\n \"findings\": [{\"id\": \"t.a\", \"title\": \"a\", \"status\": \"perhaps\"}]}",
        ),
        report("{\"schema\": \"dstack-check/report/v1\", \"subject\": \"s\", \"findings\": []} trailing"),
        set(r#"{"schema": "dstack-check/report/v1", "subject": "s", "findings": []}"#),
        set(r#"{"schema": "dstack-check/report-set/v1", "reports": [
                {"schema": "dstack-check/report/v1", "subject": "s", "findings": []},
                {"schema": "dstack-check/report/v1", "subject": "s", "findings": []}]}"#),
        set(r#"{"schema": "dstack-check/report-set/v1", "reports": [
                {"schema": "dstack-check/report/v3", "subject": "s", "findings": []}]}"#),
    ];
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn reports_can_be_part_of_greater_documents() {
    #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    struct Deployment {
        app: String,
        checks: Report,
        hosts: ReportSet,
    }
    let deployment = Deployment { app: "web".to_owned(), checks: sample::report(), hosts: sample::set() };
    let value = serde_json::to_value(&deployment).unwrap();
    assert_eq!(value["checks"]["schema"], json::REPORT_SCHEMA);
    assert_eq!(value["hosts"]["schema"], json::REPORT_SET_SCHEMA);
    assert_eq!(serde_json::from_value::<Deployment>(value).unwrap(), deployment);
}
