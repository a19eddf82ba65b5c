//! The emulator reads a real `vmm.toml`.

use dstack_emulator::Emulator;
use dstack_emulator::settings::{KmsSource, Settings};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::config::VmmConfig;

use crate::server::{Sent, send};

#[tokio::test]
async fn a_vmm_toml_says_where_and_how() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
address = "unix:{dir}/vmm.sock"
run_path = "{dir}/vm"
kms_url = "https://kms.example.com"
node_name = "node <1>"

[image]
path = "{dir}/images"

[cvm]
cid_pool_size = 7
gateway_urls = ["https://gateway.example.com:9202"]

[cvm.port_mapping]
enabled = true
range = [{{ protocol = "udp", from = 9000, to = 9010 }}]

[auth]
enabled = true
tokens = ["secret"]
"#,
        dir = dir.path().display()
    );
    let (config, _) = VmmConfig::parse(&text).unwrap();
    let builder = Emulator::builder().version(DstackVersion::Next).config(&config, dir.path()).unwrap();
    let emulator = builder.start().await.unwrap();
    assert_eq!(
        emulator.endpoint(),
        format!("unix:{}/vmm.sock", dir.path().canonicalize().unwrap().display())
    );
    assert_eq!(emulator.run_dir(), dir.path().join("vm").canonicalize().unwrap());
    let headers = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
    let sent = Sent { headers, body: None };
    let meta = send(emulator.endpoint(), "GET", "/prpc/GetMeta", &sent).await.unwrap().json();
    assert_eq!(meta["resources"]["max_cvm_number"], 7);
    assert_eq!(meta["gateway"]["url"], "https://gateway.example.com:9202");
    let images = send(emulator.endpoint(), "GET", "/prpc/ListImages", &sent).await.unwrap().json();
    assert_eq!(images["images"], serde_json::json!([]), "the directory is not there");
    let page = send(emulator.endpoint(), "GET", "/", &sent).await.unwrap().text();
    assert!(page.contains("EMULATED") && page.contains("node &lt;1&gt;"), "{page}");
}

#[test]
fn defaults_are_those_of_the_vmm_but_for_the_kms() {
    let settings = Settings::from_config(&VmmConfig::default(), "/home/user".as_ref());
    assert_eq!(settings.kms, KmsSource::BuiltIn);
    assert!(!settings.port_mapping_enabled);
    assert_eq!(settings.image_path.unwrap(), std::path::Path::new("/home/user/.dstack-vmm/image"));
    assert_eq!(settings.kms_urls, ["http://127.0.0.1:8081"]);
    let (other, _) = VmmConfig::parse("kms_url = \"\"").unwrap();
    assert_eq!(Settings::from_config(&other, "/".as_ref()).kms, KmsSource::Url(String::new()));
}
