//! What the agent shows to browsers and scrapers outside the CVM.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;

use super::{GuestAgent, serve};
use crate::rpc::bytes_reply;

const PLAIN: &str = "text/plain; charset=utf-8";

/// How many lines of a container's log are shown where the caller does not say.
const DEFAULT_TAIL: usize = 1000;

/// Adds the pages to a router.
pub(super) fn routes(router: Router<GuestAgent>) -> Router<GuestAgent> {
    router
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/logs/{container}", get(logs))
        .fallback(serve::not_found)
}

async fn page(State(agent): State<GuestAgent>) -> Response {
    let name = escaped(&agent.inner.compose.name);
    let mut body = format!(
        "<!DOCTYPE html>\n<html><head><title>{name} (EMULATED)</title></head><body>\n\
         <h1>{name}</h1>\n<p>EMULATED: this app runs without a TEE.</p>\n<ul>\n\
         <li>App id: {}</li>\n<li>Compose hash: {}</li>\n",
        agent.app_id(),
        agent.compose_hash(),
    );
    for service in &agent.inner.compose.services {
        // Writing to a string does not fail.
        let _ = writeln!(body, "<li>{}: {}</li>", escaped(&service.container), escaped(&service.image));
    }
    body.push_str("</ul>\n</body></html>\n");
    bytes_reply(StatusCode::OK, "text/html; charset=utf-8", body)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

async fn metrics(State(agent): State<GuestAgent>) -> Response {
    if !agent.inner.compose.public_sysinfo {
        return serve::not_found().await;
    }
    let info = agent.system_info();
    let gauges = [
        ("num_cpus", u64::from(info.num_cpus)),
        ("total_memory", info.total_memory),
        ("available_memory", info.available_memory),
        ("used_memory", info.used_memory),
        ("free_memory", info.free_memory),
        ("uptime", info.uptime),
    ];
    let mut body = "# EMULATED: these are no measurements of a machine\n".to_owned();
    for (name, value) in gauges {
        let _ = writeln!(body, "# TYPE {name} gauge\n{name} {value}");
    }
    bytes_reply(StatusCode::OK, "text/plain; version=0.0.4", body)
}

/// What may be asked of a container's log. A flag is on when it is there, whatever its value but `false`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LogQuery {
    tail: Option<String>,
    text: Option<String>,
    bare: Option<String>,
    timestamps: Option<String>,
}

fn is_set(flag: Option<&String>) -> bool {
    flag.is_some_and(|value| value != "false")
}

async fn logs(
    State(agent): State<GuestAgent>,
    Path(container): Path<String>,
    Query(query): Query<LogQuery>,
) -> Response {
    if !agent.inner.compose.public_logs {
        return serve::not_found().await;
    }
    let container = container.trim_start_matches('/');
    let services = &agent.inner.compose.services;
    let Some(service) = services.iter().find(|service| service.container == container) else {
        return bytes_reply(StatusCode::NOT_FOUND, PLAIN, format!("No such container: {container}\n"));
    };
    let lines = [
        "EMULATED: this container does not run".to_owned(),
        format!("it would run the image {}", service.image),
    ];
    let tail = match query.tail.as_deref() {
        None => DEFAULT_TAIL,
        Some("all") => usize::MAX,
        Some(number) => number.parse().unwrap_or(DEFAULT_TAIL),
    };
    let mut body = String::new();
    for line in lines.iter().skip(lines.len().saturating_sub(tail)) {
        let mut message = format!("{line}\n");
        if is_set(query.timestamps.as_ref()) {
            message = format!("{} {message}", agent.inner.booted_ms / 1000);
        }
        if is_set(query.bare.as_ref()) {
            body.push_str(&message);
            continue;
        }
        let message = if is_set(query.text.as_ref()) { message } else { STANDARD.encode(message) };
        let item = serde_json::json!({ "channel": "stdout", "message": message });
        let _ = writeln!(body, "{item}");
    }
    bytes_reply(StatusCode::OK, PLAIN, body)
}
