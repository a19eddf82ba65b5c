//! The document as bytes, text and JSON.

use dstack_check::{CheckDef, Finding, Fix};

use super::{Doc, Troubles};
use crate::app_compose::AppCompose;
use crate::app_compose::duplicates::duplicates;

pub(super) fn size(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let (bytes, limits) = (doc.bytes.len(), doc.version.capabilities());
    let observed = format!("{bytes} bytes");
    if bytes > limits.max_app_compose_bytes {
        return check
            .fail()
            .observed(observed)
            .expected(format!("at most {} bytes for guests of dstack {}", limits.max_app_compose_bytes, doc.version))
            .fix(Fix::new("move large files out of the document: into the image, or to where the app fetches them by digest"));
    }
    // Sent as a string inside JSON, quotes and line breaks take two bytes each; this is the least it can be.
    if bytes > limits.max_request_bytes {
        return check
            .warn()
            .observed(observed)
            .expected(format!(
                "at most {} bytes, unless the VMM's body limit was raised",
                limits.max_request_bytes
            ))
            .fix(Fix::new(
                "move large files out of the document, or raise the VMM's limit for CreateVm and UpdateVm",
            ));
    }
    check.pass().observed(observed)
}

pub(super) fn utf8(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    match doc.text {
        Ok(_) => check.pass(),
        Err(at) => check
            .fail()
            .observed(format!(
                "byte 0x{:02x} does not belong there",
                doc.bytes.get(at).copied().unwrap_or_default()
            ))
            .evidence(doc.source(at), format!("at byte {at}"))
            .fix(Fix::new("save the document as UTF-8")),
    }
}

pub(super) fn bom(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    if !doc.readable().starts_with('\u{feff}') {
        return check.pass();
    }
    check.fail().observed("it begins with the bytes ef bb bf").evidence(doc.source(0), "U+FEFF").fix(
        Fix::new("save the document as UTF-8 without a byte order mark")
            .command(format!(r"sed -i '1s/^\xef\xbb\xbf//' {}", doc.file)),
    )
}

pub(super) fn syntax(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    match &doc.json {
        Ok(()) => check.pass(),
        Err(error) => check
            .fail()
            .observed(error.to_string())
            .evidence(doc.server_source(error), line(doc, error.line()))
            .fix(Fix::new("correct the place; the mistake may be in the line before")),
    }
}

pub(super) fn duplicate_keys(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let found = duplicates(&doc.root);
    let Some(first) = found.first() else { return check.pass() };
    let (line, column) = doc.places.of(first.first);
    let more = if found.len() > 1 { format!(", and {} more", found.len() - 1) } else { String::new() };
    let mut finding = check
        .fail()
        .observed(format!("{} is there again, first in line {line} column {column}{more}", first.path))
        .fix(Fix::new("keep one of the two"));
    for twice in found.iter().take(10) {
        finding = finding
            .evidence(doc.source(twice.first), format!("{} for the first time", twice.path))
            .evidence(doc.source(twice.second), format!("{} again", twice.path));
    }
    finding
}

pub(super) fn line_endings(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    if let Some(at) = doc.readable().find("\r\n") {
        let count = doc.readable().matches("\r\n").count();
        troubles.warn(at, format!("{count} lines end with CR LF"));
    }
    troubles.conclude(
        check,
        doc,
        "write the document with LF, and keep it so with `*.json text eol=lf` in .gitattributes; the hash changes",
    )
}

pub(super) fn accepted(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    match AppCompose::parse_as_server(doc.readable(), doc.version) {
        Ok(_) => check.pass(),
        Err(error) => check
            .fail()
            .observed(error.to_string())
            .expected(format!("a document that dstack {} reads", doc.version))
            .evidence(doc.server_source(&error), line(doc, error.line()))
            .fix(Fix::new("correct what the server says; it points to the end of the value it is about")),
    }
}

/// A line of the document, as much of it as is of use.
fn line(doc: &Doc<'_>, number: usize) -> String {
    let line = doc.readable().lines().nth(number.saturating_sub(1)).unwrap_or_default();
    line.chars().take(120).collect()
}
