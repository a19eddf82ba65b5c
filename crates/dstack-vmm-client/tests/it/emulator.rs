//! Every method of both versions against the emulator, over a unix socket and over TCP, and what lost replies leave behind.

use std::time::{Duration, Instant};

use dstack_emulator::{BootProfile, Emulator, Fault};
use dstack_vmm_client::api::{
    METHODS, ReportDhcpLeaseRequest, ResizeVmRequest, StatusRequest, UpdateVmRequest, VmConfiguration,
};
use dstack_vmm_client::client::{
    Client, Condition, Credentials, Listing, LogChannel, LogEvent, LogRequest, Progress, VmmApi, WaitOptions,
    list_all, wait_for,
};
use dstack_vmm_client::vm::BootStep;
use dstack_vmm_client::{DstackVersion, Error};
use futures_util::StreamExt;

const TOKEN: &str = "token of the test";
const COMPOSE: &str = r#"{"manifest_version":2,"name":"demo","runner":"docker-compose","docker_compose_file":"services: {}\n","kms_enabled":true,"public_logs":true}"#;

/// An emulator on both transports, and the directory of its socket.
async fn emulator(version: DstackVersion) -> (Emulator, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let emulator = Emulator::builder()
        .version(version)
        .token(TOKEN)
        .configure(|settings| {
            settings.registry = "registry.example.com/dstack".to_owned();
        })
        .boot(BootProfile::new().step_time(Duration::from_millis(2)))
        .listen_unix(directory.path().join("vmm.sock"))
        .listen_tcp("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    (emulator, directory)
}

fn client(endpoint: &str) -> Client {
    Client::builder(endpoint.parse().unwrap()).credentials(Credentials::bearer(TOKEN)).build().unwrap()
}

fn configuration(name: &str) -> VmConfiguration {
    let mut configuration = VmConfiguration::default();
    configuration.name = name.to_owned();
    configuration.image = "dstack-0.5.11".to_owned();
    configuration.compose_file = COMPOSE.to_owned();
    configuration.vcpu = 1;
    configuration.memory = 1024;
    configuration.disk_size = 5;
    configuration
}

async fn wait(vmm: &Client, id: &str, condition: Condition) -> Vec<BootStep> {
    let mut steps = Vec::new();
    let mut options = WaitOptions::default();
    options.timeout = Duration::from_secs(20);
    options.shortest_pause = Duration::from_millis(5);
    wait_for(vmm, id, &condition, &options, &mut |progress| {
        if let Progress::Step { step, .. } = progress {
            steps.push(step.clone());
        }
    })
    .await
    .unwrap();
    steps
}

async fn everything(vmm: &Client, version: DstackVersion) {
    let mut called = Vec::new();
    macro_rules! call {
        ($name:literal, $call:expr) => {{
            called.push($name);
            $call.await.unwrap_or_else(|error| panic!("{version} {}: {error:?}", $name))
        }};
    }
    let seen = call!("Version", vmm.version());
    assert_eq!(DstackVersion::from_server(&seen.version), Some(version));
    call!("GetMeta", vmm.meta());
    let image = call!("ListImages", vmm.list_images()).remove(0).name;
    assert!(!call!("ListRegistryImages", vmm.list_registry_images()).is_empty());
    call!("PullRegistryImage", vmm.pull_registry_image("0.6.0"));
    call!("ListGpus", vmm.list_gpus());
    call!("ReloadVms", vmm.reload_vms());
    let mut wanted = configuration("demo");
    wanted.image.clone_from(&image);
    let hash = call!("GetComposeHash", vmm.compose_hash(&wanted));
    let id = call!("CreateVm", vmm.create_vm(&wanted));
    let steps = wait(vmm, &id, Condition::Booted).await;
    assert_eq!(steps.last(), Some(&BootStep::Done), "{steps:?}");
    let vm = call!("GetInfo", vmm.info(&id)).unwrap();
    assert!(hash.starts_with(&vm.app_id), "{hash} {}", vm.app_id);
    let app_id: Vec<u8> =
        (0..20).map(|at| u8::from_str_radix(&vm.app_id[2 * at..2 * at + 2], 16).unwrap()).collect();
    assert_eq!(call!("GetAppEnvEncryptPubKey", vmm.app_env_encrypt_pub_key(&app_id)).public_key.len(), 32);

    assert_eq!(call!("Info", vmm.guest_info(&id)).app_id, app_id);
    call!("SysInfo", vmm.guest_sys_info(&id));
    call!("NetworkInfo", vmm.guest_network_info(&id));
    call!("ListContainers", vmm.guest_list_containers(&id));
    assert!(!call!("SvList", vmm.sv_list()).is_empty());
    let listed = call!("Status", vmm.status(&StatusRequest::default()));
    assert_eq!(listed.vms.len(), 1);

    call!("Shutdown", vmm.guest_shutdown(&id));
    wait(vmm, &id, Condition::Stopped).await;
    call!("StartVm", vmm.start_vm(&id));
    wait(vmm, &id, Condition::Booted).await;
    call!("ShutdownVm", vmm.shutdown_vm(&id));
    wait(vmm, &id, Condition::Stopped).await;
    let mut update = UpdateVmRequest::default();
    update.id.clone_from(&id);
    update.compose_file = COMPOSE.replace("demo", "other");
    assert_eq!(call!("UpdateVm", vmm.update_vm(&update)).len(), 40);
    assert_eq!(call!("UpgradeApp", vmm.upgrade_app(&update)).len(), 40);
    let mut resize = ResizeVmRequest::default();
    resize.id.clone_from(&id);
    resize.vcpu = Some(2);
    call!("ResizeVm", vmm.resize_vm(&resize));
    vmm.start_vm(&id).await.unwrap();
    wait(vmm, &id, Condition::Booted).await;
    call!("StopVm", vmm.stop_vm(&id));
    wait(vmm, &id, Condition::Stopped).await;
    vmm.start_vm(&id).await.unwrap();
    wait(vmm, &id, Condition::Booted).await;
    let process = vmm.sv_list().await.unwrap().remove(0).id;
    call!("SvStop", vmm.sv_stop(&process));
    vmm.stop_vm(&id).await.ok();
    called.push("SvRemove");
    // A process of a stopped VM may be gone already; then the server says so.
    if let Err(error) = vmm.sv_remove(&process).await {
        assert!(matches!(&error, Error::Api { message, .. } if message.contains("rocess")), "{error:?}");
    }
    called.push("ReportDhcpLease");
    let lease = vmm.report_dhcp_lease(&ReportDhcpLeaseRequest::default()).await;
    match version {
        DstackVersion::V0_5 => lease.unwrap(),
        _ => assert!(matches!(lease, Err(Error::InvalidRequest { .. })), "{lease:?}"),
    }
    call!("RemoveVm", vmm.remove_vm(&id));
    wait(vmm, &id, Condition::Gone).await;
    called.push("DeleteImage");
    if let Err(error) = vmm.delete_image(&image).await {
        assert!(matches!(&error, Error::Api { .. }), "{error:?}");
    }
    called.sort_unstable();
    let mut known: Vec<_> = METHODS.iter().map(|method| method.name).collect();
    known.sort_unstable();
    assert_eq!(called, known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_of_v0_5_over_both_transports() {
    for index in 0..2 {
        let (emulator, _directory) = emulator(DstackVersion::V0_5).await;
        let endpoint = emulator.endpoints().nth(index).unwrap().to_owned();
        everything(&client(&endpoint), DstackVersion::V0_5).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_of_next_over_both_transports() {
    for index in 0..2 {
        let (emulator, _directory) = emulator(DstackVersion::Next).await;
        let endpoint = emulator.endpoints().nth(index).unwrap().to_owned();
        everything(&client(&endpoint), DstackVersion::Next).await;
    }
}

/// The reply to `CreateVm` is lost: the error says that it may have happened, and it has.
#[tokio::test]
async fn a_lost_reply_to_create_vm_leaves_one_vm() {
    let (emulator, _directory) = emulator(DstackVersion::Next).await;
    let vmm = client(emulator.endpoint());
    emulator.faults().once("CreateVm", Fault::DropAfter);
    let error = vmm.create_vm(&configuration("demo")).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }) && error.may_have_happened(), "{error:?}");
    let vms = list_all(&vmm, Listing::brief()).await.unwrap();
    assert_eq!(vms.iter().map(|vm| vm.name.as_str()).collect::<Vec<_>>(), ["demo"]);
    // One that was not carried out is told in the same way: only a look at the list tells.
    emulator.faults().once("CreateVm", Fault::DropBefore);
    assert!(vmm.create_vm(&configuration("other")).await.unwrap_err().may_have_happened());
    assert_eq!(list_all(&vmm, Listing::brief()).await.unwrap().len(), 1);
    // A read is simply asked again.
    emulator.faults().once("Status", Fault::DropBefore);
    assert_eq!(list_all(&vmm, Listing::brief()).await.unwrap().len(), 1);
}

/// A log that is followed while the VMM is restarted goes on where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_log_survives_a_restart_of_the_vmm() {
    for version in DstackVersion::ALL {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("vmm.sock");
        let start = || {
            Emulator::builder()
                .version(version)
                .run_dir(directory.path().join("run"))
                .listen_unix(&socket)
                .boot(BootProfile::no_guest())
                .start()
        };
        let emulator = start().await.unwrap();
        let vmm = client(emulator.endpoint());
        let mut wanted = configuration("demo");
        wanted.image = vmm.list_images().await.unwrap().remove(0).name;
        wanted.stopped = true;
        let id = vmm.create_vm(&wanted).await.unwrap();
        let line = |number: usize| format!("line {number}");
        for number in 0..200 {
            emulator.append_log(&id, "stdout", &line(number)).unwrap();
        }
        let mut log = vmm.logs(LogRequest::new(&id).channel(LogChannel::Stdout).follow(true).tail(50));
        for number in 150..200 {
            assert_eq!(log.next().await.unwrap().unwrap(), LogEvent::Line(line(number)));
        }
        emulator.shutdown();
        let emulator = start().await.unwrap();
        for number in 200..300 {
            emulator.append_log(&id, "stdout", &line(number)).unwrap();
        }
        let back = Instant::now();
        let (mut next, mut reconnects) = (200, Vec::new());
        // The first lines may still come over the connection that is about to close.
        while next < 300 || reconnects.is_empty() {
            let event =
                tokio::time::timeout(Duration::from_secs(20), log.next()).await.expect("the log went silent");
            match event.unwrap().unwrap() {
                LogEvent::Line(text) => {
                    assert_eq!(text, line(next));
                    next += 1;
                }
                LogEvent::Reconnected { exact } => reconnects.push(exact),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((next, reconnects), (300, vec![true]));
        assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    }
}
