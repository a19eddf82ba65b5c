//! Which fields there are, and of which type.

use dstack_check::{CheckDef, Finding, Fix};

use super::{Doc, Troubles};
use crate::app_compose::MAX_MANIFEST_VERSION;
use crate::app_compose::schema::{only_in_another, unknown_fields};
use crate::app_compose::size::parse_size;
use crate::app_compose::syntax::{Kind, Node};

/// The type of a field.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Flag,
    Texts,
    Integer,
    Object,
    Objects,
    /// A text or a whole number.
    TextOrInteger,
    /// A text or a list of texts.
    TextOrTexts,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Flag => "true or false",
            Self::Texts => "a list of strings",
            Self::Integer => "a whole number",
            Self::Object => "an object",
            Self::Objects => "a list of objects",
            Self::TextOrInteger => "a string or a whole number",
            Self::TextOrTexts => "a string or a list of strings",
        }
    }

    /// The first node that is not of this type.
    fn misfit<'a>(self, doc: &Doc<'_>, node: &'a Node) -> Option<&'a Node> {
        let texts = |node: &'a Node| match &node.kind {
            Kind::Array(elements) => elements.iter().find(|one| one.as_str().is_none()),
            _ => Some(node),
        };
        match (self, &node.kind) {
            (Self::Text | Self::TextOrInteger | Self::TextOrTexts, Kind::String(_))
            | (Self::Flag, Kind::Bool(_))
            | (Self::Object, Kind::Object(_)) => None,
            (Self::Integer | Self::TextOrInteger, Kind::Number) if doc.number(node).is_some() => None,
            (Self::Texts | Self::TextOrTexts, _) => texts(node),
            (Self::Objects, Kind::Array(elements)) => {
                elements.iter().find(|one| !matches!(one.kind, Kind::Object(_)))
            }
            _ => Some(node),
        }
    }
}

/// The fields at the top with their types, and whether null stands for "not there". `manifest_version` has a check of its
/// own.
const TYPES: &[(&str, Type, bool)] = &[
    ("name", Type::Text, false),
    ("runner", Type::Text, false),
    ("features", Type::Texts, false),
    ("docker_compose_file", Type::Text, true),
    ("bash_script", Type::Text, false),
    ("pre_launch_script", Type::Text, false),
    ("init_script", Type::TextOrTexts, true),
    ("public_logs", Type::Flag, false),
    ("public_sysinfo", Type::Flag, false),
    ("public_tcbinfo", Type::Flag, false),
    ("kms_enabled", Type::Flag, false),
    ("gateway_enabled", Type::Flag, false),
    ("tproxy_enabled", Type::Flag, false),
    ("local_key_provider_enabled", Type::Flag, false),
    ("key_provider", Type::Text, true),
    ("key_provider_id", Type::Text, false),
    ("allowed_envs", Type::Texts, false),
    ("no_instance_id", Type::Flag, false),
    ("secure_time", Type::Flag, false),
    ("storage_fs", Type::Text, true),
    ("swap_size", Type::TextOrInteger, false),
    ("port_policy", Type::Object, false),
    ("launch_token_hash", Type::Text, false),
    ("snapshotter", Type::Text, true),
    ("event_log_version", Type::Integer, false),
    ("requirements", Type::Object, true),
    ("verity_volumes", Type::Objects, false),
];

pub(super) fn required(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let names = ["manifest_version", "name", "runner"];
    let missing: Vec<&str> = names.into_iter().filter(|name| doc.member(name).is_none()).collect();
    if missing.is_empty() {
        return check.pass();
    }
    check
        .fail()
        .observed(format!("missing: {}", missing.join(", ")))
        .expected(names.join(", "))
        .evidence(doc.source(doc.root.span.start), "the object at the top")
        .fix(Fix::new("add what is missing"))
}

pub(super) fn types(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    for (name, expected, nullable) in TYPES {
        let Some(value) = doc.value(name) else { continue };
        if *nullable && value.kind == Kind::Null {
            continue;
        }
        if let Some(wrong) = expected.misfit(doc, value) {
            let found = match wrong.kind {
                Kind::Number => doc.readable()[wrong.span.clone()].chars().take(20).collect(),
                _ => wrong.kind_name().to_owned(),
            };
            troubles.fail(wrong.span.start, format!("{name} is {}, not {found}", expected.name()));
        }
    }
    troubles.conclude(check, doc, "write values of the type that is expected")
}

pub(super) fn unknown(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    for field in unknown_fields(doc.readable(), &doc.root) {
        let path = &field.path;
        let what = match field.suggestion {
            Some(meant) => format!("{path} is not known, did you mean {meant}?"),
            None => format!("{path} is not known"),
        };
        // Here the server does not ignore what it does not know.
        if path.starts_with("requirements.") && !only_in_another(doc.version, "requirements") {
            troubles.fail(field.at, what);
        } else {
            troubles.warn(field.at, what);
        }
    }
    troubles.conclude(
        check,
        doc,
        "correct the name, or keep the field if it is your own: it is a part of the hash, and dstack does not read it",
    )
}

pub(super) fn version_fields(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    for member in doc.root.members() {
        let (name, at) = (member.key.as_str(), member.key_span.start);
        if !only_in_another(doc.version, name) {
            continue;
        }
        let ignored = format!("dstack {} ignores {name}", doc.version);
        if matches!(name, "requirements" | "verity_volumes") {
            troubles.fail(at, ignored);
        } else {
            troubles.warn(at, ignored);
        }
    }
    troubles.conclude(
        check,
        doc,
        "deploy to a version that reads the field, or take it out so that nobody relies on it",
    )
}

pub(super) fn deprecated(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    if doc.value("features").is_some_and(|node| !node.elements().is_empty()) {
        let instead = match doc.texts("features").any(|(_, text)| text == "tproxy-net") {
            true => "features is deprecated, tproxy-net is gateway_enabled today",
            false => "features is deprecated, and nothing reads these",
        };
        troubles.warn(doc.at("features"), instead);
    }
    if doc.member("tproxy_enabled").is_some() {
        troubles.warn(doc.at("tproxy_enabled"), "tproxy_enabled is an old name of gateway_enabled");
    }
    if doc.member("docker_config").is_some() {
        troubles.warn(doc.at("docker_config"), "docker_config is not read since 0.5.5");
    }
    troubles.conclude(
        check,
        doc,
        "use what took its place; the hash changes, so change it with the next update",
    )
}

pub(super) fn manifest_version(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let as_string = doc.version.capabilities().manifest_version_as_string;
    let expected = if as_string { "1, 2 or \"3\"" } else { "1, 2 or 3, without quotes" };
    let Some(node) = doc.value("manifest_version") else {
        return check.not_applicable();
    };
    let found = doc.readable()[node.span.clone()].to_owned();
    let number = match (&node.kind, as_string) {
        (Kind::Number, false) => doc.number(node),
        (Kind::Number, true) => doc.number(node).filter(|number| *number <= 2),
        (Kind::String(text), true) => text.trim().parse().ok().filter(|n: &u64| n.to_string() == text.trim()),
        _ => None,
    };
    match number {
        Some(1..) if number <= Some(u64::from(MAX_MANIFEST_VERSION)) => check.pass().observed(found),
        _ => check
            .fail()
            .observed(format!("manifest_version is {}", found.chars().take(40).collect::<String>()))
            .expected(format!("{expected}, for dstack {}", doc.version))
            .evidence(doc.source(node.span.start), found.chars().take(40).collect::<String>())
            .fix(Fix::new(if as_string {
                "write 2, or \"3\" with quotes where requirements, nerdctl-compose or several init scripts are used"
            } else {
                "write 2 without quotes"
            })),
    }
}

/// What is wrong with a size, in the server's words.
pub(super) fn size_error(doc: &Doc<'_>, text: &str) -> Option<String> {
    parse_size(text, doc.version).err().map(|error| error.to_string())
}
