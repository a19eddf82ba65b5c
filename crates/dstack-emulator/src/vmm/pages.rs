//! What the VMM serves besides its methods: a console, its API document, and the pages of errors.

use axum::response::Response;
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::{METHODS, Surface};
use http::StatusCode;

use super::node::{Node, REVISION};
use crate::rpc::bytes_reply;

const HTML: &str = "text/html; charset=utf-8";

/// The page of an error, laid out as the VMM's web framework does, so that clients meet the same kind of body.
pub(crate) fn error_page(status: StatusCode, explanation: &str) -> Response {
    let code = status.as_u16();
    let reason = status.canonical_reason().unwrap_or_default();
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n    <meta charset=\"utf-8\">\n    \
         <title>{code} {reason}</title>\n</head>\n<body>\n    <main>\n        <h1>{code}: {reason}</h1>\n        \
         <p>{explanation}</p>\n    </main>\n    <footer><small>EMULATED dstack VMM</small></footer>\n</body>\n</html>"
    );
    bytes_reply(status, HTML, page)
}

pub(crate) fn not_found() -> Response {
    error_page(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

pub(crate) fn unprocessable() -> Response {
    error_page(StatusCode::UNPROCESSABLE_ENTITY, "The query lacks a parameter, or one cannot be read.")
}

/// The console of v0.5 answers a request without credentials with a page; so does the emulator.
pub(crate) fn unauthorized_page() -> Response {
    error_page(StatusCode::UNAUTHORIZED, "The request carries no valid credentials.")
}

/// A page at the place of the console.
pub(crate) fn console(node: &Node) -> Response {
    let count = node.settled().vms().count();
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n    <meta charset=\"utf-8\">\n    \
         <title>EMULATED dstack VMM {}</title>\n</head>\n<body>\n    <h1>EMULATED dstack VMM</h1>\n    \
         <p>Nothing here runs in a TEE. Version {}, {count} VMs.</p>\n</body>\n</html>\n",
        escape(&node.settings.node_name),
        node.capabilities().reference,
    );
    bytes_reply(StatusCode::OK, HTML, page)
}

/// The one script that the console loads. The emulator's console needs none.
pub(crate) fn resource(name: &str) -> Response {
    if name == "x25519.js" {
        let script = "// EMULATED: the console of the emulator has no scripts.\nexport {};\n";
        bytes_reply(StatusCode::OK, "text/javascript", script)
    } else {
        bytes_reply(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "Not found")
    }
}

/// The API document: the paths of all methods.
pub(crate) fn openapi(node: &Node) -> Response {
    let paths: serde_json::Map<String, serde_json::Value> = METHODS
        .iter()
        .filter(|method| method.versions.contains(&node.version))
        .map(|method| {
            let path = format!("{}{}", method.surface.prefix(), method.name);
            let tag = if method.surface == Surface::Guest { "ProxiedGuestApi" } else { "Vmm" };
            let operation = serde_json::json!({
                "operationId": method.name,
                "tags": [tag],
                "responses": { "200": { "description": "reply" }, "400": { "description": "error" } },
            });
            (path, serde_json::json!({ "post": operation }))
        })
        .collect();
    let document = serde_json::json!({
        "openapi": "3.0.3",
        "info": { "title": format!("dstack VMM ({REVISION})"), "version": node.capabilities().reference },
        "paths": paths,
    });
    bytes_reply(StatusCode::OK, "application/json", document.to_string())
}

/// The browser of the API document is not part of the emulator.
pub(crate) fn api_browser() -> Response {
    let page =
        "<!DOCTYPE html>\n<title>EMULATED dstack VMM</title>\n<a href=\"openapi.json\">openapi.json</a>\n";
    bytes_reply(StatusCode::OK, HTML, page)
}

/// Paths of the console of a version.
pub(crate) fn is_console(path: &str, version: DstackVersion) -> bool {
    matches!(path, "/" | "/v1" | "/beta") || (path == "/v0" && version == DstackVersion::V0_5)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
