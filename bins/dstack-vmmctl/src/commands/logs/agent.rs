//! Logs of containers, from the guest agent's external pages (upstream `guest-agent/src/http_routes.rs`).
//!
//! The VMM does not pass them on: they are reached like the app itself, through the gateway or a published port.

use std::net::IpAddr;
use std::time::Duration;

use cli_support::CliError;
use dstack_vmm_client::Error;
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::app_compose::AppComposeDocument;
use dstack_vmm_client::client::{Client, Endpoint, LineStream, VmmApi};
use futures_util::StreamExt;

use super::{Logs, Printer, Tail};
use crate::context::Context;
use crate::hosts::Host;

/// The port of the guest agent's external pages in a CVM.
const AGENT_PORT: u32 = 8090;

/// The name of the call in errors.
const CALL: &str = "container log";

/// What came of it.
pub(super) enum Outcome {
    /// The log was shown to its end.
    Shown,
    /// It cannot be had, for this reason.
    NotThere(String),
}

/// Shows the log of a container.
pub(super) async fn follow(
    name: &str,
    logs: &Logs,
    host: &Host,
    vm: &VmInfo,
    context: &mut Context,
) -> Result<Outcome, CliError> {
    if let Some(why) = obstacle(vm) {
        return Ok(Outcome::NotThere(why));
    }
    let mut reasons = Vec::new();
    for place in places(vm, host.client.target()) {
        let url = match place {
            Ok(url) => url,
            Err(why) => {
                reasons.push(why);
                continue;
            }
        };
        let client = match url.parse::<Endpoint>() {
            Ok(endpoint) => context.connect.without_credentials(endpoint)?,
            Err(error) => {
                reasons.push(error.to_string());
                continue;
            }
        };
        let tail = match logs.tail {
            Tail::Lines(lines) => lines.to_string(),
            Tail::All => "all".to_owned(),
        };
        let first = path(name, logs, &tail);
        match client.get_lines(&first, CALL).await {
            Ok(lines) => {
                let mut printer = Printer::new(&format!("container:{name}"), logs.ansi, context);
                show(lines, &mut printer, context).await?;
                // The agent ends a silent stream after ten minutes. Only what comes next is asked for: the agent counts
                // lines, so a place in the log cannot be named.
                if logs.follow {
                    go_on(&client, &path(name, logs, "0"), &mut printer, context).await?;
                }
                return Ok(Outcome::Shown);
            }
            Err(Error::UnexpectedStatus { status: 404, excerpt, .. })
                if excerpt.contains("such container") =>
            {
                return Err(no_such_container(name, host, vm).await);
            }
            Err(error) => reasons.push(format!("{url}: {}", chain(&error))),
        }
    }
    if reasons.is_empty() {
        reasons.push(format!(
            "it has no gateway URL, and its port {AGENT_PORT} (the guest agent's) is not published on the host"
        ));
    }
    Ok(Outcome::NotThere(reasons.join("; ")))
}

/// Asks again whenever the agent ends the stream, until it does not answer any more.
async fn go_on(
    client: &Client,
    path: &str,
    printer: &mut Printer,
    context: &mut Context,
) -> Result<(), CliError> {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        match client.get_lines(path, CALL).await {
            Ok(lines) => show(lines, printer, context).await?,
            Err(error) => {
                context.progress.note(format_args!("the log of the container ended: {}", chain(&error)));
                return Ok(());
            }
        }
    }
}

async fn show(mut lines: LineStream, printer: &mut Printer, context: &mut Context) -> Result<(), CliError> {
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => printer.line(&line, context)?,
            Err(error) => {
                context.progress.warning(format_args!("the connection was lost: {}", chain(&error)));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Why it need not even be tried.
fn obstacle(vm: &VmInfo) -> Option<String> {
    if vm.status != "running" {
        let error = if vm.boot_error.is_empty() { String::new() } else { format!(" ({})", vm.boot_error) };
        return Some(format!("the VM is {}{error}", vm.status));
    }
    let compose = &vm.configuration.as_ref()?.compose_file;
    let document = AppComposeDocument::from_bytes(compose.as_bytes()).ok()?;
    let closed = !document.fields().public_logs;
    closed.then(|| "the app does not publish its logs (public_logs is false in its app-compose)".to_owned())
}

/// URLs of the guest agent, best first, and why a published port is none.
fn places(vm: &VmInfo, vmm: &Endpoint) -> Vec<Result<String, String>> {
    let ports = vm.configuration.iter().flat_map(|configuration| &configuration.ports);
    let mut places: Vec<Result<String, String>> = ports
        .filter(|port| port.vm_port == AGENT_PORT && port.protocol == "tcp")
        .map(|port| published(&port.host_address, port.host_port, vmm))
        .collect();
    places.extend(vm.app_url.clone().map(Ok));
    places
}

/// The URL of a port of the host, seen from here.
fn published(address: &str, port: u32, vmm: &Endpoint) -> Result<String, String> {
    let is_local = |host: &str| {
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let remote = vmm.host_port().map(|(host, _)| host).filter(|host| !is_local(host));
    let address: Option<IpAddr> = address.parse().ok();
    let host = match (address, remote) {
        (None, None) => "127.0.0.1".to_owned(),
        (Some(ip), None) if ip.is_unspecified() => if ip.is_ipv6() { "::1" } else { "127.0.0.1" }.to_owned(),
        (Some(ip), Some(_)) if ip.is_loopback() => {
            return Err(format!("port {AGENT_PORT} is published on {ip} of the host only"));
        }
        (None, Some(remote)) => remote.to_owned(),
        (Some(ip), Some(remote)) if ip.is_unspecified() => remote.to_owned(),
        (Some(ip), _) => ip.to_string(),
    };
    Ok(if host.contains(':') { format!("http://[{host}]:{port}") } else { format!("http://{host}:{port}") })
}

/// Lines of text as they are, not wrapped in JSON.
fn path(name: &str, logs: &Logs, tail: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("/logs/{encoded}?text=true&bare=true&follow={}&tail={tail}&ansi={}", logs.follow, logs.ansi)
}

async fn no_such_container(name: &str, host: &Host, vm: &VmInfo) -> CliError {
    let error = CliError::no(format!("{} has no container {name}", vm.name));
    match host.client.guest_list_containers(&vm.id).await {
        Ok(answer) => {
            let names: Vec<&str> = answer
                .containers
                .iter()
                .filter_map(|container| container.names.first())
                .map(|name| name.trim_start_matches('/'))
                .collect();
            error.hint(format!(
                "it has: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ))
        }
        Err(_) => error,
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_reached_as_the_host_is() {
        let seen = |address: &str, vmm: &str| published(address, 9090, &vmm.parse().unwrap());
        assert_eq!(seen("", "unix:/run/vmm.sock"), Ok("http://127.0.0.1:9090".to_owned()));
        assert_eq!(seen("0.0.0.0", "http://localhost:9080"), Ok("http://127.0.0.1:9090".to_owned()));
        assert_eq!(seen("::", "unix:/run/vmm.sock"), Ok("http://[::1]:9090".to_owned()));
        assert_eq!(seen("0.0.0.0", "https://vmm.example.com"), Ok("http://vmm.example.com:9090".to_owned()));
        assert_eq!(seen("192.0.2.7", "https://vmm.example.com"), Ok("http://192.0.2.7:9090".to_owned()));
        assert!(seen("127.0.0.1", "https://vmm.example.com").unwrap_err().contains("of the host only"));
    }
}
