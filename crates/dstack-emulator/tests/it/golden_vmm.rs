//! Every recorded exchange of the real VMMs, replayed: the same status, content type, envelope, shape, order and words.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use dstack_emulator::boot::BootProfile;
use dstack_emulator::settings::{KmsSource, PortRange};
use dstack_vmm_client::DstackVersion;
use serde_json::Value;

use crate::server::{Reply, Rig, Sent, send};

const TOKEN: &str = "a-token-of-the-recording";

fn recording(version: DstackVersion) -> Vec<Value> {
    let text = match version {
        DstackVersion::V0_5 => include_str!("../fixtures/golden/vmm-v0.5.11.json"),
        _ => include_str!("../fixtures/golden/vmm-next.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// The node that was recorded.
async fn recorded_node(version: DstackVersion, dir: &Path, closed_port: u16) -> Rig {
    let image = dir.join("images/dstack-0.5.11");
    std::fs::create_dir_all(&image).unwrap();
    let metadata = r#"{"cmdline":"console=ttyS0","kernel":"bzImage","initrd":"initramfs.cpio.gz",
        "rootfs":"rootfs.img.verity","bios":"ovmf.fd","rootfs_hash":"aa","shared_ro":true,"version":"0.5.11"}"#;
    std::fs::write(image.join("metadata.json"), metadata).unwrap();
    Rig::with(version, |builder| {
        builder
            .run_dir(dir.join("vm"))
            .image_dir(dir.join("images"))
            .listen_unix(dir.join("vmm.sock"))
            .listen_tcp("127.0.0.1:0")
            .token(TOKEN)
            .boot(BootProfile::no_guest().step_time(Duration::from_secs(1)))
            .configure(|settings| {
                settings.kms = KmsSource::Url(format!("http://127.0.0.1:{closed_port}"));
                settings.kms_urls = vec!["https://kms.example.com:9100".to_owned()];
                settings.gateway_urls = vec!["https://gateway.example.com:9202".to_owned()];
                settings.cid_pool_size = 100;
                settings.max_allocable_vcpu = 8;
                settings.max_allocable_memory_in_mb = 16_384;
                settings.port_ranges =
                    vec![PortRange::new("tcp", 1, 20_000), PortRange::new("udp", 9_000, 10_000)];
            })
    })
    .await
}

/// JSON as Python's `json.dumps` lays it out: the recorded errors name columns of it.
fn python(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), python(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// Ids of the recording, and what they are here.
#[derive(Default)]
struct Ids(HashMap<String, String>);

impl Ids {
    fn translate(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }

    /// Learns the id of a VM that both servers have just made.
    fn learn(&mut self, theirs: &Value, ours: &Value) {
        if let (Some(theirs), Some(ours)) = (theirs["id"].as_str(), ours["id"].as_str())
            && theirs.len() == 36
        {
            self.0.insert(theirs.to_owned(), ours.to_owned());
        }
    }
}

/// What depends on the machine, the build or the time.
fn normalise(value: &mut Value, key: &str) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(key, value)| normalise(value, key)),
        Value::Array(items) => items.iter_mut().for_each(|value| normalise(value, key)),
        Value::Number(_) if key == "pid" => *value = "PID".into(),
        Value::String(text) => match key {
            "rev" => *text = "REV".to_owned(),
            "command" => *text = "QEMU".to_owned(),
            "mac" => *text = "MAC".to_owned(),
            // `never` stays what it is.
            "uptime" | "exited_at" if text.ends_with('s') => *text = "SECONDS".to_owned(),
            _ => {}
        },
        _ => {}
    }
}

/// Time that passed before an exchange was recorded, as far as it shows.
fn time_before(name: &str) -> Duration {
    Duration::from_secs(match name {
        "info-started" => 3,
        "logs" => 5,
        "info-stopped" => 2,
        "info-removed" => 5,
        _ => 0,
    })
}

async fn exchange(rig: &Rig, entry: &Value, ids: &Ids) -> Reply {
    let path = ids.translate(entry["http"]["path"].as_str().unwrap()).replace("TOKEN", TOKEN);
    let mut headers = Vec::new();
    let mut header = |name: &str, value: String| headers.push((name.to_owned(), value));
    match (entry["auth"].as_str().unwrap(), entry["name"].as_str().unwrap()) {
        ("bearer", _) => header("Authorization", format!("Bearer {TOKEN}")),
        ("other", "x-admin-token") => header("X-Admin-Token", TOKEN.to_owned()),
        ("other", _) => header("Authorization", "Bearer wrong".to_owned()),
        _ => {}
    }
    let body = match &entry["request"] {
        Value::Null => None,
        Value::String(text) if entry["name"] == "too-large" => {
            assert!(text.contains("11 MiB"));
            Some(vec![b' '; 11 << 20])
        }
        Value::String(text) => Some(text.clone().into_bytes()),
        request => Some(ids.translate(&python(request)).into_bytes()),
    };
    header("Content-Type", "application/json".to_owned());
    let verb = entry["http"]["method"].as_str().unwrap();
    send(rig.endpoint(), verb, &path, &Sent { headers, body }).await.expect("a reply")
}

fn compare(entry: &Value, reply: &Reply, ids: &Ids, dir: &Path, closed_port: u16) -> Result<(), String> {
    let name = entry["name"].as_str().unwrap();
    let differ = |what: &str, theirs: &dyn std::fmt::Debug, ours: &dyn std::fmt::Debug| {
        Err(format!("{name}: {what}\n  recorded {theirs:?}\n  emulated {ours:?}"))
    };
    if entry["status"] != reply.status {
        return differ("status", &entry["status"], &(reply.status, reply.text()));
    }
    if entry["content_type"].as_str() != reply.content_type() {
        return differ("content type", &entry["content_type"], &reply.content_type());
    }
    let Some(text) = entry["response_text"].as_str() else {
        let machine = dir.canonicalize().unwrap().display().to_string();
        let theirs = ids
            .translate(&entry["response"].to_string())
            .replace("/var/lib/dstack-test/run/vm", &format!("{machine}/vm"))
            .replace("/var/lib/dstack-test/images", &format!("{machine}/images"))
            .replace("127.0.0.1:18081", &format!("127.0.0.1:{closed_port}"));
        let mut theirs: Value = serde_json::from_str(&theirs).unwrap();
        let mut ours = reply.json();
        normalise(&mut theirs, "");
        normalise(&mut ours, "");
        // As texts: the order of members counts.
        let (theirs, ours) = (theirs.to_string(), ours.to_string());
        return if theirs == ours { Ok(()) } else { differ("body", &theirs, &ours) };
    };
    let ours = reply.text();
    if reply.content_type().is_some_and(|kind| kind.starts_with("text/html")) {
        // The page has words of its own; kind and title are what a client can go by.
        let title = |page: &str| {
            let (_, rest) = page.split_once("<title>").unwrap();
            rest.split_once("</title>").unwrap().0.to_owned()
        };
        return if title(text) == title(&ours) { Ok(()) } else { differ("page", &text, &ours) };
    }
    if name == "logs" {
        // Another program wrote these lines.
        return if text.lines().count() == ours.lines().count() {
            Ok(())
        } else {
            differ("lines", &text, &ours)
        };
    }
    if text == ours { Ok(()) } else { differ("text", &text, &ours) }
}

async fn replay(version: DstackVersion, transport: &str) {
    let dir = tempfile::tempdir().unwrap();
    // A port that was just free, for a KMS that is down.
    let closed_port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let rig = recorded_node(version, dir.path(), closed_port).await.over(transport);
    let mut ids = Ids::default();
    let mut differences = Vec::new();
    let entries = recording(version);
    assert_eq!(entries.len(), 94);
    for entry in &entries {
        rig.emulator.advance(time_before(entry["name"].as_str().unwrap()));
        let reply = exchange(&rig, entry, &ids).await;
        let created = entry["http"]["path"] == "/prpc/CreateVm?json" && entry["status"] == 200;
        if created && reply.status == 200 {
            ids.learn(&entry["response"], &reply.json());
        }
        if let Err(difference) = compare(entry, &reply, &ids, dir.path(), closed_port) {
            differences.push(difference);
        }
    }
    assert!(differences.is_empty(), "{} of 94 differ\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test]
async fn next_over_unix() {
    replay(DstackVersion::Next, "unix").await;
}

#[tokio::test]
async fn next_over_tcp() {
    replay(DstackVersion::Next, "http").await;
}

#[tokio::test]
async fn v0_5_over_unix() {
    replay(DstackVersion::V0_5, "unix").await;
}

#[tokio::test]
async fn v0_5_over_tcp() {
    replay(DstackVersion::V0_5, "http").await;
}
