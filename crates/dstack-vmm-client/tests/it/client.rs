//! What goes over the wire, and over how many connections.

use std::sync::{Arc, Mutex};

use dstack_vmm_client::api::{
    METHODS, Repeat, ReportDhcpLeaseRequest, ResizeVmRequest, StatusRequest, Surface, UpdateVmRequest,
    VmConfiguration,
};
use dstack_vmm_client::client::{Client, Credentials, VmmApi};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::rig::{Request, Server, noting, quick, read_request};

/// Calls every method once; gives their names in the order of [`METHODS`].
async fn call_everything(vmm: &dyn VmmApi) -> Vec<&'static str> {
    let mut called = Vec::new();
    macro_rules! call {
        ($($name:literal => $call:expr;)*) => {
            $(
                $call.await.unwrap_or_else(|error| panic!("{}: {error:?}", $name));
                called.push($name);
            )*
        };
    }
    let mut configuration = VmConfiguration::default();
    configuration.name = "demo".to_owned();
    let mut update = UpdateVmRequest::default();
    update.id = "vm".to_owned();
    call! {
        "CreateVm" => vmm.create_vm(&configuration);
        "StartVm" => vmm.start_vm("vm");
        "StopVm" => vmm.stop_vm("vm");
        "ShutdownVm" => vmm.shutdown_vm("vm");
        "RemoveVm" => vmm.remove_vm("vm");
        "UpdateVm" => vmm.update_vm(&update);
        "UpgradeApp" => vmm.upgrade_app(&update);
        "ResizeVm" => vmm.resize_vm(&ResizeVmRequest::default());
        "GetComposeHash" => vmm.compose_hash(&configuration);
        "Status" => vmm.status(&StatusRequest::default());
        "GetInfo" => vmm.info("vm");
        "ListImages" => vmm.list_images();
        "DeleteImage" => vmm.delete_image("dstack-0.5.11");
        "ListRegistryImages" => vmm.list_registry_images();
        "PullRegistryImage" => vmm.pull_registry_image("0.5.11");
        "GetAppEnvEncryptPubKey" => vmm.app_env_encrypt_pub_key(&[0xab; 20]);
        "GetMeta" => vmm.meta();
        "Version" => vmm.version();
        "ListGpus" => vmm.list_gpus();
        "ReloadVms" => vmm.reload_vms();
        "SvList" => vmm.sv_list();
        "SvStop" => vmm.sv_stop("process");
        "SvRemove" => vmm.sv_remove("process");
        "ReportDhcpLease" => vmm.report_dhcp_lease(&ReportDhcpLeaseRequest::default());
        "Info" => vmm.guest_info("vm");
        "SysInfo" => vmm.guest_sys_info("vm");
        "NetworkInfo" => vmm.guest_network_info("vm");
        "ListContainers" => vmm.guest_list_containers("vm");
        "Shutdown" => vmm.guest_shutdown("vm");
    }
    called
}

fn usual_answer(request: &Request) -> Value {
    match request.line().rsplit('/').next().unwrap() {
        "CreateVm?json" => json!({ "id": "8fccd788" }),
        "Version?json" => json!({ "version": "0.5.11", "rev": "git:1" }),
        "StartVm?json" => Value::Null,
        _ => json!({}),
    }
}

#[tokio::test]
async fn every_method_goes_where_it_is_mounted() {
    let (server, seen) = noting(usual_answer).await;
    let called = call_everything(&server.client()).await;
    let known: Vec<_> = METHODS.iter().map(|method| method.name).collect();
    assert_eq!(called, known);
    let mut lines: Vec<String> =
        seen.lock().unwrap().iter().map(|request| request.line().to_owned()).collect();
    // Asked before the method that only one version has.
    assert_eq!(lines.remove(23), "POST /prpc/Version?json");
    let expected: Vec<String> = METHODS
        .iter()
        .map(|method| {
            let mount = if method.surface == Surface::Guest { "guest" } else { "prpc" };
            format!("POST /{mount}/{}?json", method.name)
        })
        .collect();
    assert_eq!(lines, expected);
    let fresh = METHODS.iter().filter(|method| method.repeat == Repeat::Unsafe).count();
    assert_eq!(
        server.connections(),
        1 + fresh,
        "one for all, and one for each call that must not be repeated"
    );
}

#[tokio::test]
async fn what_a_request_carries() {
    let (server, seen) = noting(usual_answer).await;
    let endpoint = format!("{}/node-a/", server.endpoint).parse().unwrap();
    let client = quick(endpoint).credentials(Credentials::bearer("token-1\n")).build().unwrap();
    client.app_env_encrypt_pub_key(&[0xab; 20]).await.unwrap();
    client.version().await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].line(), "POST /node-a/prpc/GetAppEnvEncryptPubKey?json");
    assert_eq!(seen[0].header("authorization"), Some("Bearer token-1"));
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].header("host"), Some(server.endpoint.as_str().trim_start_matches("http://")));
    assert_eq!(seen[0].body, format!(r#"{{"app_id":"{}"}}"#, "ab".repeat(20)).into_bytes());
    assert_eq!(seen[1].body, b"{}");
}

#[tokio::test]
async fn calls_over_a_unix_socket_name_no_host_of_the_network() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heads);
    let server = Server::unix(move |_, mut conn| {
        let notes = Arc::clone(&notes);
        async move {
            while let Some(request) = read_request(&mut conn).await {
                notes.lock().unwrap().push(request.header("host").map(str::to_owned));
                conn.write_all(&crate::rig::json(200, r#"{"version":"0.6.0","rev":""}"#)).await.unwrap();
            }
        }
    })
    .await;
    server.client().version().await.unwrap();
    assert_eq!(*heads.lock().unwrap(), [Some("localhost".to_owned())]);
}

#[tokio::test]
async fn one_pool_for_all_clones() {
    let (server, seen) = noting(usual_answer).await;
    let client = server.client();
    for _ in 0..20 {
        client.clone().version().await.unwrap();
    }
    assert_eq!((server.connections(), seen.lock().unwrap().len()), (1, 20));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.version().await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let connections = server.connections();
    for _ in 0..20 {
        client.version().await.unwrap();
    }
    assert_eq!(server.connections(), connections, "what was opened is used again");
}

/// The server closes each connection after its first answer, as one does whose patience with idle ones is over.
#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_no_error() {
    let server = Server::unix(|_, mut conn| async move {
        if let Some(request) = read_request(&mut conn).await {
            let answer = usual_answer(&request).to_string();
            conn.write_all(&crate::rig::json(200, answer)).await.unwrap();
        }
    })
    .await;
    let client = Client::new(server.endpoint.clone()).unwrap();
    for _ in 0..200 {
        client.version().await.unwrap();
        client.create_vm(&VmConfiguration::default()).await.unwrap();
    }
    assert_eq!(server.connections(), 400);
}

#[tokio::test]
async fn the_version_is_asked_once() {
    let (server, seen) = noting(usual_answer).await;
    let client = server.client();
    for _ in 0..3 {
        assert_eq!(client.server_version().await.unwrap().reported.version, "0.5.11");
        client.clone().report_dhcp_lease(&ReportDhcpLeaseRequest::default()).await.unwrap();
    }
    let versions = seen.lock().unwrap().iter().filter(|request| request.line().contains("Version")).count();
    assert_eq!(versions, 1);
}

/// Tracing shows methods and times, and neither bodies nor secrets.
#[test]
fn debug_of_a_client_and_its_errors_shows_no_secret() {
    let client = Client::builder("http://192.0.2.1".parse().unwrap())
        .credentials(Credentials::basic("admin", "hunter2"))
        .build()
        .unwrap();
    assert_eq!(
        format!("{client:?}"),
        "Client { endpoint: Endpoint(\"http://192.0.2.1\"), credentials: true, .. }"
    );
}
