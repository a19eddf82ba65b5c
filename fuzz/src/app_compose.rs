//! App-composes: reading as the servers do, linting, editing in place and rewriting.

use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::app_compose::{
    AppCompose, AppComposeBuilder, AppComposeDocument, CHECKS, Layout, lint,
};

/// Takes any bytes for an app-compose.
pub fn run(data: &[u8]) {
    for version in DstackVersion::ALL {
        assert_eq!(lint(data, version).len(), CHECKS.len());
        if let Ok(text) = std::str::from_utf8(data) {
            let read = AppCompose::parse_as_server(text, version);
            assert_eq!(read.is_ok(), AppComposeDocument::from_bytes_as(data, version).is_ok());
        }
    }
    let Ok(document) = AppComposeDocument::from_bytes(data) else { return };
    assert_eq!(document.bytes(), data, "a document is its bytes");
    for field in document.unknown_fields() {
        assert!(field.line >= 1 && field.column >= 1);
    }
    edit(&document);
    rewrite(&document);
    for layout in [Layout::Compact, Layout::Indented(2)] {
        let builder = AppComposeBuilder::from_fields(document.fields().clone());
        if let Ok(built) = builder.build(document.read_as(), layout) {
            assert_eq!(built.fields().name, document.fields().name);
        }
    }
}

/// An edit changes what it is about, and undoing it brings the bytes back up to how the value was written.
fn edit(document: &AppComposeDocument) {
    let Ok(changed) = document.set_docker_compose_file("services: {\"ä\"}\n") else { return };
    let fields = changed.fields();
    assert_eq!(fields.docker_compose_file.as_deref(), Some("services: {\"ä\"}\n"));
    assert_eq!(fields.allowed_envs, document.fields().allowed_envs);
    assert_eq!(fields.other, document.fields().other);
    if document.fields().docker_compose_file.is_none()
        && let Ok(back) = changed.remove("docker_compose_file")
        && !document.text().contains("docker_compose_file")
    {
        assert_eq!(back.bytes(), document.bytes());
    }
}

/// Rewriting keeps the content, and doing it twice changes nothing.
fn rewrite(document: &AppComposeDocument) {
    let Ok(normalized) = document.rewritten(Layout::Normalized) else { return };
    assert_eq!(normalized.fields(), document.fields());
    let twice = normalized.rewritten(Layout::Normalized).map(AppComposeDocument::into_text);
    assert_eq!(twice.ok().as_deref(), Some(normalized.text()));
    let around =
        document.rewritten(Layout::Indented(4)).and_then(|indented| indented.rewritten(Layout::Normalized));
    assert_eq!(around.map(AppComposeDocument::into_text).ok().as_deref(), Some(normalized.text()));
}
