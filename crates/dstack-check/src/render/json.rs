//! Reports as versioned JSON documents.
//!
//! A document names its form and version in `schema`: `dstack-check/report/v1` or `dstack-check/report-set/v1`. New
//! fields may come without a new version, so readers leave unknown ones aside; a change of meaning gets a new version,
//! which older readers refuse by name. `verdict`, `counts` and `summary` are written for readers without this crate
//! and worked out anew on reading.
//!
//! [`Report`] and [`ReportSet`] have the same form when they are part of a greater serde document.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::escape_json;
use crate::{CheckId, CheckSummary, Conclusion, Counts, Finding, MergeError, Report, ReportSet, Verdict};

/// The `schema` of a report document.
pub const REPORT_SCHEMA: &str = "dstack-check/report/v1";
/// The `schema` of a document with the reports of several hosts.
pub const REPORT_SET_SCHEMA: &str = "dstack-check/report-set/v1";

const VERSION: u32 = 1;
const REPORT: &str = "dstack-check/report";
const REPORT_SET: &str = "dstack-check/report-set";

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not JSON, or its fields are not those of its version. The source says where.
    #[error("cannot read the {form} document")]
    Malformed {
        /// Which document was to be read: `dstack-check/report` or `dstack-check/report-set`.
        form: &'static str,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// It is a JSON document of something else.
    #[error("expected a {form} document, found {}", found_schema(.found.as_deref()))]
    OtherSchema {
        /// Which document was to be read.
        form: &'static str,
        /// The `schema` it has, if any.
        found: Option<String>,
    },
    /// It has a newer version than this crate knows.
    #[error("the {form} document has version {found}, this program reads up to version {supported}")]
    NewerVersion {
        /// Which document was to be read.
        form: &'static str,
        /// The version it has.
        found: u32,
        /// The newest version known here.
        supported: u32,
    },
}

fn found_schema(found: Option<&str>) -> String {
    match found {
        Some(found) => format!("`{}`", crate::text::neutralise_line(&crate::text::bounded(found, 100))),
        None => "one without `schema`".to_owned(),
    }
}

/// The report as a JSON document, indented, ending in a newline.
///
/// Characters that could change how a terminal shows the text are written as `\u` escapes.
///
/// ```
/// use dstack_check::{Finding, Report, render};
///
/// let report = Report::new("host-1", [Finding::pass("host.kvm.device", "/dev/kvm is there")]);
/// let text = render::json::report(&report);
/// assert!(text.starts_with("{\n  \"schema\": \"dstack-check/report/v1\",\n"));
/// assert_eq!(render::json::read_report(&text)?, report);
/// # Ok::<(), render::json::ReadError>(())
/// ```
pub fn report(report: &Report) -> String {
    pretty(&ReportDocument::of(report))
}

/// The reports of several hosts as one JSON document, indented, ending in a newline.
pub fn set(set: &ReportSet) -> String {
    pretty(&ReportSetDocument::of(set))
}

/// Reads a report document.
///
/// # Errors
/// [`ReadError`] where the text is not a report document of a version known here.
pub fn read_report(text: &str) -> Result<Report, ReadError> {
    read(text, REPORT)
}

/// Reads a document with the reports of several hosts.
///
/// # Errors
/// [`ReadError`] where the text is not such a document of a version known here, or two reports have one subject.
pub fn read_set(text: &str) -> Result<ReportSet, ReadError> {
    read(text, REPORT_SET)
}

/// The JSON Schema (draft 2020-12) of a report document.
#[cfg(feature = "schema")]
pub fn report_schema() -> serde_json::Value {
    schemars::schema_for!(ReportDocument<'static>).to_value()
}

/// The JSON Schema (draft 2020-12) of a document with the reports of several hosts.
#[cfg(feature = "schema")]
pub fn set_schema() -> serde_json::Value {
    schemars::schema_for!(ReportSetDocument<'static>).to_value()
}

fn read<T: DeserializeOwned>(text: &str, form: &'static str) -> Result<T, ReadError> {
    /// The one field that every version has.
    #[derive(Deserialize)]
    #[serde(expecting = "an object with the field `schema`")]
    struct Probe {
        schema: Option<serde_json::Value>,
    }
    let malformed = |source| ReadError::Malformed { form, source };
    let found = serde_json::from_str::<Probe>(text).map_err(malformed)?.schema;
    let found = match found {
        Some(serde_json::Value::String(found)) => Some(found),
        Some(other) => Some(other.to_string()),
        None => None,
    };
    check_schema(form, found)?;
    serde_json::from_str(text).map_err(malformed)
}

fn check_schema(form: &'static str, found: Option<String>) -> Result<(), ReadError> {
    let version = |found: &str| found.strip_prefix(form)?.strip_prefix("/v")?.parse::<u32>().ok();
    match found.as_deref().and_then(version) {
        Some(VERSION) => Ok(()),
        Some(found) if found > VERSION => Err(ReadError::NewerVersion { form, found, supported: VERSION }),
        _ => Err(ReadError::OtherSchema { form, found }),
    }
}

fn pretty(document: &impl Serialize) -> String {
    // These documents hold strings, numbers, lists and maps with string keys, which serde_json can always write.
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    let mut text = escape_json(&text).into_owned();
    text.push('\n');
    text
}

/// The `schema` of a document: fixed on writing, checked on reading.
macro_rules! schema_tag {
    ($name:ident, $form:expr, $text:expr) => {
        struct $name;

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let found = String::deserialize(deserializer)?;
                check_schema($form, Some(found)).map(|()| Self).map_err(D::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "const": $text })
            }
        }
    };
}

schema_tag!(ReportTag, REPORT, REPORT_SCHEMA);
schema_tag!(ReportSetTag, REPORT_SET, REPORT_SET_SCHEMA);

/// What was found about one subject.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Report"))]
struct ReportDocument<'a> {
    /// Form and version of this document.
    schema: ReportTag,
    /// What the report is about: a host, an app, a file.
    subject: Cow<'a, str>,
    /// The answer over all findings.
    verdict: Verdict,
    /// How many findings ended how.
    counts: Counts,
    /// Facts about how the report came to be, such as the version of the tool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    meta: Cow<'a, BTreeMap<String, String>>,
    /// The findings, in order.
    findings: Cow<'a, [Finding]>,
    /// What the findings come to, question by question.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    conclusions: Cow<'a, [Conclusion]>,
}

impl<'a> ReportDocument<'a> {
    fn of(report: &'a Report) -> Self {
        Self {
            schema: ReportTag,
            subject: Cow::Borrowed(&report.subject),
            verdict: report.verdict(),
            counts: report.counts(),
            meta: Cow::Borrowed(&report.meta),
            findings: Cow::Borrowed(&report.findings),
            conclusions: Cow::Borrowed(&report.conclusions),
        }
    }
}

/// The reports of several hosts.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "ReportSet"))]
struct ReportSetDocument<'a> {
    /// Form and version of this document.
    schema: ReportSetTag,
    /// The heaviest verdict of the hosts.
    verdict: Verdict,
    /// How many findings of all hosts ended how.
    counts: Counts,
    /// Check by check, how it ended on each host.
    summary: Vec<SummaryRow<'a>>,
    /// The reports, one a host.
    reports: Vec<ReportDocument<'a>>,
}

/// How one check ended on the hosts.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct SummaryRow<'a> {
    /// The check.
    id: Cow<'a, CheckId>,
    /// What is true when it passes.
    title: Cow<'a, str>,
    /// The hosts by the word of the status they have.
    hosts: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>,
}

impl<'a> ReportSetDocument<'a> {
    fn of(set: &'a ReportSet) -> Self {
        Self {
            schema: ReportSetTag,
            verdict: set.verdict(),
            counts: set.counts(),
            summary: set.summary().into_iter().map(SummaryRow::of).collect(),
            reports: set.reports().iter().map(ReportDocument::of).collect(),
        }
    }
}

impl<'a> SummaryRow<'a> {
    fn of(row: CheckSummary<'a>) -> Self {
        let mut hosts: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>> = BTreeMap::new();
        for host in row.hosts {
            hosts.entry(Cow::Borrowed(host.status.word())).or_default().push(Cow::Borrowed(host.subject));
        }
        Self { id: Cow::Borrowed(row.id), title: Cow::Borrowed(row.title), hosts }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ReportDocument::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Read {
            #[serde(rename = "schema")]
            _schema: ReportTag,
            subject: String,
            #[serde(default)]
            meta: BTreeMap<String, String>,
            findings: Vec<Finding>,
            #[serde(default)]
            conclusions: Vec<Conclusion>,
        }
        let Read { subject, meta, findings, conclusions, .. } = Read::deserialize(deserializer)?;
        Ok(Self { subject, meta, findings, conclusions })
    }
}

impl Serialize for ReportSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ReportSetDocument::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReportSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Read {
            #[serde(rename = "schema")]
            _schema: ReportSetTag,
            reports: Vec<Report>,
        }
        let Read { reports, .. } = Read::deserialize(deserializer)?;
        Self::merge(reports).map_err(|error: MergeError| D::Error::custom(error))
    }
}

#[cfg(feature = "schema")]
mod schema {
    use super::{Cow, Report, ReportDocument, ReportSet, ReportSetDocument};

    macro_rules! forward_schema {
        ($type:ty, $document:ty, $name:literal) => {
            impl schemars::JsonSchema for $type {
                fn schema_name() -> Cow<'static, str> {
                    $name.into()
                }
                fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    <$document>::json_schema(generator)
                }
            }
        };
    }

    forward_schema!(Report, ReportDocument<'static>, "Report");
    forward_schema!(ReportSet, ReportSetDocument<'static>, "ReportSet");
}
