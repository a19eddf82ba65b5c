//! Waiting for VMs, and not waiting for what will not come.

use std::sync::Mutex;
use std::time::Duration;

use dstack_check::Hinted;
use dstack_vmm_client::client::{Condition, Progress, WaitError, WaitOptions, wait_for};
use dstack_vmm_client::vm::{BootStep, VmStatus};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::rig::{Server, noting, read_request};

/// Answers `GetInfo` from a script; the last entry stays.
async fn scripted(script: Vec<Value>) -> Server {
    let state = Mutex::new(script.into_iter());
    let last = Mutex::new(Value::Null);
    noting(move |request| {
        if request.line().contains("/guest/Info") {
            return json!({ "version": "0.5.11" });
        }
        let mut last = last.lock().unwrap();
        if let Some(next) = state.lock().unwrap().next() {
            *last = next;
        }
        match &*last {
            Value::Null => json!({ "found": false, "info": null }),
            info => json!({ "found": true, "info": info }),
        }
    })
    .await
    .0
}

fn vm(status: &str, step: &str) -> Value {
    json!({ "id": "vm", "status": status, "boot_progress": step })
}

fn quickly() -> WaitOptions {
    let mut options = WaitOptions::default();
    options.timeout = Duration::from_millis(400);
    options.shortest_pause = Duration::from_millis(1);
    options.longest_pause = Duration::from_millis(5);
    options.down_grace = Duration::from_millis(60);
    options.error_grace = Duration::from_millis(60);
    options
}

async fn wait(script: Vec<Value>, condition: Condition) -> (Result<bool, WaitError>, String) {
    let server = scripted(script).await;
    wait_at(&server, condition).await
}

async fn wait_at(server: &Server, condition: Condition) -> (Result<bool, WaitError>, String) {
    let mut steps = Vec::new();
    let result = wait_for(&server.client(), "vm", &condition, &quickly(), &mut |progress| {
        steps.push(match progress {
            Progress::Status(status) => status.to_string(),
            Progress::Step { step, .. } => format!("[{step}]"),
            Progress::BootError { error, .. } => format!("error {error:?}"),
            other => format!("{other:?}"),
        });
    })
    .await;
    (result.map(|vm| vm.is_some()), steps.join(" "))
}

fn told(error: &WaitError) -> String {
    format!("{error}\n  hint: {}", error.hint().map_or("-".to_owned(), |hint| hint.to_string()))
}

#[tokio::test]
async fn a_boot() {
    let script = vec![
        vm("exited", ""),
        vm("running", "booting"),
        vm("running", "requesting app keys"),
        vm("running", "requesting app keys"),
        vm("running", "done"),
    ];
    let (result, steps) = wait(script, Condition::Booted).await;
    assert!(result.unwrap());
    assert_eq!(steps, "exited running [booting] [requesting app keys] [done]");
}

#[tokio::test]
async fn other_conditions() {
    let (result, _) = wait(
        vec![vm("running", "booting"), vm("running", "pre-launch")],
        Condition::Step(BootStep::SettingUpDocker),
    )
    .await;
    assert!(result.unwrap(), "a later step counts");
    let (result, _) =
        wait(vec![vm("running", "done"), vm("stopping", "done"), vm("stopped", "done")], Condition::Stopped)
            .await;
    assert!(result.unwrap());
    let (result, _) =
        wait(vec![vm("running", "done"), vm("removing", "done"), Value::Null], Condition::Gone).await;
    assert!(!result.unwrap());
    let (result, _) = wait(vec![vm("exited", "")], Condition::Status(VmStatus::Exited)).await;
    assert!(result.unwrap());
    // The VMM was restarted and knows no step; the guest answers.
    let (result, _) = wait(vec![vm("running", "running")], Condition::Booted).await;
    assert!(result.unwrap());
}

#[tokio::test]
async fn what_will_not_come_is_not_waited_for() {
    let mut failed = vm("running", "starting containers");
    failed["boot_error"] = json!("failed to start containers");
    let mut failed_and_down = failed.clone();
    failed_and_down["status"] = json!("exited");
    let mut table = String::new();
    for (name, script, condition) in [
        ("never there", vec![Value::Null], Condition::Booted),
        ("vanished", vec![vm("running", "booting"), Value::Null], Condition::Booted),
        ("removed", vec![vm("removing", "")], Condition::Booted),
        ("failed and down", vec![failed_and_down], Condition::Booted),
        ("failed and stays", vec![failed.clone()], Condition::Booted),
        ("crashed", vec![vm("exited", "booting")], Condition::Booted),
        ("stopped", vec![vm("stopped", "")], Condition::Status(VmStatus::Running)),
        ("stuck at the keys", vec![vm("running", "requesting app keys")], Condition::Booted),
        ("does not stop", vec![vm("running", "done")], Condition::Stopped),
        ("does not go", vec![vm("removing", "done")], Condition::Gone),
    ] {
        let (result, _) = wait(script, condition).await;
        table.push_str(&format!("{name}: {}\n", told(&result.unwrap_err())));
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn an_error_that_is_followed_by_progress_is_ridden_out() {
    let mut warned = vm("running", "setting up dstack-gateway");
    warned["boot_error"] = json!("gateway registration failed");
    let mut done = warned.clone();
    done["boot_progress"] = json!("done");
    let (result, steps) = wait(vec![warned, done], Condition::Booted).await;
    assert!(result.unwrap());
    assert_eq!(steps, "running [setting up dstack-gateway] error \"gateway registration failed\" [done]");
}

#[tokio::test]
async fn lost_connections_are_ridden_out() {
    let server = Server::tcp(|number, mut conn| async move {
        while read_request(&mut conn).await.is_some() {
            if number < 4 {
                return;
            }
            let body = json!({ "found": true, "info": vm("running", "done") }).to_string();
            conn.write_all(&crate::rig::json(200, body)).await.unwrap();
        }
    })
    .await;
    let (result, steps) = wait_at(&server, Condition::Booted).await;
    assert!(result.unwrap());
    assert!(steps.starts_with("Unreachable") && steps.contains("Reachable running [done]"), "{steps}");
    // Without an end of it the last error is told.
    let away = Server::tcp(|_, _| async {}).await;
    let (result, _) = wait_at(&away, Condition::Booted).await;
    assert!(matches!(result, Err(WaitError::Call { .. })), "{result:?}");
    // What will not change is told at once.
    let forbidden = Server::answering(crate::rig::reply(401, &[], "")).await;
    let (result, _) = wait_at(&forbidden, Condition::Booted).await;
    assert!(matches!(result, Err(WaitError::Call { .. })), "{result:?}");
    assert_eq!(forbidden.connections(), 1);
}
