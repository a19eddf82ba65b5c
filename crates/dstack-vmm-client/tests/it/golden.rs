//! Every recorded exchange of the real servers is read by the client's own types.

use std::collections::BTreeSet;

use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::{METHODS, Method, ReplyError, method, read_reply};
use dstack_vmm_client::client::{Client, Credentials, LogChannel, LogEvent, LogRequest, VmmApi};
use dstack_vmm_client::error::{ApiFailure, Error};
use dstack_vmm_client::vm::{BootStep, VmStatus, parse_humantime};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::rig::{Server, quick, read_request, reply};

#[derive(Deserialize)]
struct Exchange {
    name: String,
    http: Http,
    auth: String,
    request: Value,
    status: u16,
    content_type: Option<String>,
    response: Option<Value>,
    response_text: Option<String>,
}

#[derive(Deserialize)]
struct Http {
    method: String,
    path: String,
}

impl Exchange {
    fn body(&self) -> Vec<u8> {
        match (&self.response, &self.response_text) {
            (_, Some(text)) => text.clone().into_bytes(),
            (Some(value), None) => serde_json::to_vec_pretty(value).unwrap(),
            // A recorded `null` reads as none.
            (None, None) => b"null".to_vec(),
        }
    }

    /// Name of the method, without the prefix that the server drops.
    fn rpc(&self) -> Option<&str> {
        let path =
            self.http.path.strip_prefix("/prpc/").or_else(|| self.http.path.strip_prefix("/guest/"))?;
        let name = path.split('?').next().unwrap();
        Some(name.strip_prefix("Teepod.").unwrap_or(name))
    }
}

fn recording(version: DstackVersion) -> Vec<Exchange> {
    let text = match version {
        DstackVersion::V0_5 => include_str!("../fixtures/golden/vmm-v0.5.11.json"),
        _ => include_str!("../fixtures/golden/vmm-next.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// Calls a macro-free function once for the method of this name.
macro_rules! for_method {
    ($name:expr, $surface_is_guest:expr, $do:ident ( $($argument:expr),* )) => {
        match ($name, $surface_is_guest) {
            ("CreateVm", false) => $do::<method::CreateVm>($($argument),*),
            ("StartVm", false) => $do::<method::StartVm>($($argument),*),
            ("StopVm", false) => $do::<method::StopVm>($($argument),*),
            ("ShutdownVm", false) => $do::<method::ShutdownVm>($($argument),*),
            ("RemoveVm", false) => $do::<method::RemoveVm>($($argument),*),
            ("UpdateVm", false) => $do::<method::UpdateVm>($($argument),*),
            ("ResizeVm", false) => $do::<method::ResizeVm>($($argument),*),
            ("GetComposeHash", false) => $do::<method::GetComposeHash>($($argument),*),
            ("Status", false) => $do::<method::Status>($($argument),*),
            ("GetInfo", false) => $do::<method::GetInfo>($($argument),*),
            ("ListImages", false) => $do::<method::ListImages>($($argument),*),
            ("DeleteImage", false) => $do::<method::DeleteImage>($($argument),*),
            ("ListRegistryImages", false) => $do::<method::ListRegistryImages>($($argument),*),
            ("PullRegistryImage", false) => $do::<method::PullRegistryImage>($($argument),*),
            ("GetAppEnvEncryptPubKey", false) => $do::<method::GetAppEnvEncryptPubKey>($($argument),*),
            ("GetMeta", false) => $do::<method::GetMeta>($($argument),*),
            ("Version" | "Vmm.Version", false) => $do::<method::Version>($($argument),*),
            ("ListGpus", false) => $do::<method::ListGpus>($($argument),*),
            ("ReloadVms", false) => $do::<method::ReloadVms>($($argument),*),
            ("SvList", false) => $do::<method::SvList>($($argument),*),
            ("SvStop", false) => $do::<method::SvStop>($($argument),*),
            ("Info", true) => $do::<method::GuestInfo>($($argument),*),
            // The recording's name of no method.
            ("Nope", false) => $do::<method::Version>($($argument),*),
            other => panic!("a method that is not in the table: {other:?}"),
        }
    };
}

/// Reads the reply as one of `M`; gives back the message as JSON, or the server's words.
fn read<M: Method>(exchange: &Exchange) -> Result<Value, String>
where
    M::Response: serde::Serialize,
{
    match read_reply::<M>(exchange.status, exchange.content_type.as_deref(), None, &exchange.body()) {
        Ok(message) => Ok(serde_json::to_value(message).unwrap()),
        Err(ReplyError::Method { status, message }) => {
            assert_eq!(status, 400);
            Err(message)
        }
        Err(ReplyError::Unauthorized { .. }) => Err("401".to_owned()),
        Err(ReplyError::UnexpectedStatus { status, .. }) => Err(format!("unexpected {status}")),
        Err(other) => panic!("{}: {other:?}", exchange.name),
    }
}

/// Paths of what the server sent and the client's types do not have.
fn unknown_fields(sent: &Value, read: &Value, at: &str, unknown: &mut BTreeSet<String>) {
    match (sent, read) {
        (Value::Object(sent), Value::Object(read)) => {
            for (key, value) in sent {
                match read.get(key) {
                    Some(ours) => unknown_fields(value, ours, &format!("{at}.{key}"), unknown),
                    None => {
                        unknown.insert(format!("{at}.{key}"));
                    }
                }
            }
        }
        (Value::Array(sent), Value::Array(read)) => {
            assert_eq!(sent.len(), read.len(), "{at}");
            for (sent, read) in sent.iter().zip(read) {
                unknown_fields(sent, read, &format!("{at}[]"), unknown);
            }
        }
        (Value::Null, Value::Object(empty)) => assert!(empty.is_empty(), "{at}"),
        (sent, read) => assert_eq!(sent, read, "{at}"),
    }
}

#[test]
fn every_reply_is_read_and_nothing_in_it_is_dropped() {
    for version in DstackVersion::ALL {
        let mut read_replies = 0;
        let mut unknown = BTreeSet::new();
        for exchange in recording(version) {
            let Some(name) = exchange.rpc() else { continue };
            let guest = exchange.http.path.starts_with("/guest/");
            let result = for_method!(name, guest, read(&exchange));
            match (exchange.status, result) {
                (200, Ok(message)) => {
                    let sent = exchange.response.clone().unwrap_or(Value::Null);
                    unknown_fields(&sent, &message, name, &mut unknown);
                }
                (400, Err(message)) => {
                    assert_eq!(exchange.response.as_ref().unwrap()["error"], message.as_str());
                    assert!(ApiFailure::classify(&message).is_some(), "no hint for {message:?}");
                }
                (401, Err(message)) => assert_eq!(message, "401"),
                // PUT, which is no method of the RPC.
                (404, Err(message)) => {
                    assert_eq!((exchange.name.as_str(), message.as_str()), ("put", "unexpected 404"));
                }
                (status, result) => panic!("{}: {status} {result:?}", exchange.name),
            }
            read_replies += 1;
        }
        assert_eq!(unknown, BTreeSet::new(), "{version}");
        assert!(read_replies >= 80, "{version}: {read_replies}");
    }
}

#[test]
fn every_state_step_and_time_is_known() {
    for version in DstackVersion::ALL {
        let mut vms = 0;
        for exchange in recording(version) {
            let Some(response) = &exchange.response else { continue };
            let listed = response["vms"].as_array().into_iter().flatten();
            for vm in listed.chain(Some(&response["info"]).filter(|info| info.is_object())) {
                let status = VmStatus::from(vm["status"].as_str().unwrap());
                assert!(VmStatus::KNOWN.contains(&status), "{status}");
                assert!(BootStep::from(vm["boot_progress"].as_str().unwrap()).position().is_some());
                parse_humantime(vm["uptime"].as_str().unwrap()).unwrap();
                if let Some(exited) = vm["exited_at"].as_str() {
                    parse_humantime(exited).unwrap();
                }
                vms += 1;
            }
        }
        assert!(vms > 10, "{version}: {vms}");
    }
}

#[test]
fn the_recordings_call_methods_that_exist() {
    let called: BTreeSet<String> = DstackVersion::ALL
        .into_iter()
        .flat_map(recording)
        .filter_map(|exchange| exchange.rpc().map(str::to_owned))
        .collect();
    let known: BTreeSet<String> = METHODS.iter().map(|method| method.name.to_owned()).collect();
    let strange: Vec<_> = called.difference(&known).collect();
    assert_eq!(strange, ["Nope", "Vmm.Version"]);
}

/// A server that gives the recorded answer to the request it was recorded for.
async fn replay(exchange: &Exchange) -> (Server, Client) {
    let content_type = exchange.content_type.clone().unwrap_or_default();
    let headers: Vec<(&str, &str)> =
        if content_type.is_empty() { Vec::new() } else { vec![("content-type", content_type.as_str())] };
    let answer = reply(exchange.status, &headers, exchange.body());
    let server = Server::unix(move |_, mut conn| {
        let answer = answer.clone();
        async move {
            while read_request(&mut conn).await.is_some() {
                conn.write_all(&answer).await.unwrap();
            }
        }
    })
    .await;
    let mut builder = quick(server.endpoint.clone());
    if exchange.auth != "none" {
        builder = builder.credentials(Credentials::bearer("token"));
    }
    let client = builder.build().unwrap();
    (server, client)
}

/// Sends the recorded request through the client and compares what comes back with the recording.
fn call<'a, M>(
    client: &'a Client,
    exchange: &'a Exchange,
) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>
where
    M: Method,
    M::Request: serde::de::DeserializeOwned + Send + Sync + 'static,
    M::Response: serde::Serialize + Send + 'static,
{
    let request: M::Request = match &exchange.request {
        // What no client of ours could send: text that is no JSON, nulls, words for numbers.
        Value::Null | Value::String(_) => serde_json::from_str("{}").unwrap(),
        object => {
            serde_json::from_value(object.clone()).unwrap_or_else(|_| serde_json::from_str("{}").unwrap())
        }
    };
    Box::pin(async move {
        let result = client.call::<M>(&request).await;
        match (exchange.status, result) {
            (200, Ok(_)) => {}
            (400, Err(Error::Api { status: 400, message, .. })) => {
                assert_eq!(exchange.response.as_ref().unwrap()["error"], message.as_str());
            }
            (401, Err(Error::Unauthorized { had_credentials, .. })) => {
                assert_eq!(had_credentials, exchange.auth != "none");
            }
            (404, Err(Error::UnexpectedStatus { status: 404, .. })) => {}
            (status, Err(error)) => panic!("{}: {status} {error:?}", exchange.name),
            (status, Ok(_)) => panic!("{}: {status} was read as success", exchange.name),
        }
    })
}

#[tokio::test]
async fn the_client_reads_every_exchange_over_a_socket() {
    for version in DstackVersion::ALL {
        let mut calls = 0;
        for exchange in recording(version) {
            let Some(name) = exchange.rpc() else { continue };
            assert!(matches!(exchange.http.method.as_str(), "POST" | "GET" | "PUT"));
            let (_server, client) = replay(&exchange).await;
            for_method!(name, exchange.http.path.starts_with("/guest/"), call(&client, &exchange)).await;
            calls += 1;
        }
        assert!(calls >= 80, "{version}: {calls}");
    }
}

#[tokio::test]
async fn the_client_reads_every_log_over_a_socket() {
    for version in DstackVersion::ALL {
        for exchange in recording(version) {
            if !exchange.http.path.starts_with("/logs") {
                continue;
            }
            let channel = if exchange.http.path.contains("ch=stdout") {
                LogChannel::Stdout
            } else {
                LogChannel::Serial
            };
            let (_server, client) = replay(&exchange).await;
            let lines: Vec<_> = client.logs(LogRequest::new("nope").channel(channel)).collect().await;
            let text = exchange.response_text.as_deref().unwrap_or_default();
            match (exchange.name.as_str(), lines.as_slice()) {
                ("logs", lines) => {
                    let read: Vec<&str> = lines
                        .iter()
                        .map(|line| match line {
                            Ok(LogEvent::Line(line)) => line.as_str(),
                            other => panic!("{other:?}"),
                        })
                        .collect();
                    assert_eq!(read, text.lines().collect::<Vec<_>>());
                    assert_eq!(read.len(), 5);
                }
                // The recorded server was asked for an unknown channel, which no channel of ours is.
                ("logs-bad-channel", [Err(Error::Api { message, .. })]) => {
                    assert_eq!(message, "Unknown channel zzz");
                }
                ("logs-bad-channel", [Ok(LogEvent::Line(line))]) => {
                    assert_eq!((version, line.as_str()), (DstackVersion::V0_5, "Unknown channel zzz"));
                }
                ("logs-unknown", [Err(Error::NoSuchVm { .. })]) => assert_eq!(version, DstackVersion::Next),
                ("logs-serial" | "logs-unknown", []) => assert_eq!(text, ""),
                ("logs-noid", [Err(Error::UnexpectedStatus { status: 422, .. })]) => {}
                (name, lines) => panic!("{version} {name}: {lines:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_versions_are_told_apart() {
    for version in DstackVersion::ALL {
        let exchange = recording(version).into_iter().find(|exchange| exchange.name == "version").unwrap();
        let (server, client) = replay(&exchange).await;
        let seen = client.server_version().await.unwrap();
        assert_eq!((seen.version, seen.known), (version, true));
        assert_eq!(seen.capabilities().reference, client.clone().version().await.unwrap().version);
        assert_eq!(server.connections(), 1, "the answer is kept and the connection too");
    }
}
