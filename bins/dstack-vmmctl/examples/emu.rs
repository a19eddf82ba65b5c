//! scratch
use dstack_emulator::Emulator;
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::VmConfiguration;
use dstack_vmm_client::client::{Client, VmmApi};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let sock = &args[1];
    let n: usize = args.get(2).map_or(0, |n| n.parse().unwrap());
    let version = if args.get(3).is_some_and(|v| v == "next") { DstackVersion::Next } else { DstackVersion::V0_5 };
    let mut b = Emulator::builder().version(version).listen_unix(sock).configure(|s| s.cid_pool_size = 20_000);
    if let Some(tcp) = args.get(4) { b = b.listen_tcp(tcp.clone()).token("0123456789abcdef0123"); }
    let _emu = b.start().await.unwrap();
    if args.get(4).is_none() {
    let client = Client::new(format!("unix:{sock}").parse().unwrap()).unwrap();
    for i in 0..n {
        let mut c = VmConfiguration::default();
        c.name = format!("app-{i}");
        c.image = "dstack-0.5.11".into();
        c.vcpu = 2; c.memory = 2048; c.disk_size = 20;
        c.compose_file = format!(r#"{{"manifest_version":2,"name":"app-{i}","runner":"docker-compose","docker_compose_file":"services:\n  web:\n    image: nginx\n","public_logs":{}}}"#, i % 2 == 0);
        client.create_vm(&c).await.unwrap();
    }
    }
    println!("up");
    tokio::signal::ctrl_c().await.unwrap();
}
