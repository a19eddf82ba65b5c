use dstack_check::Hinted;
use proptest::prelude::*;

use super::*;

/// Every problem with its hint, as a reader sees them.
fn problems(text: &str) -> String {
    let error = Project::parse(text).unwrap_err();
    let line = |problem: &Problem| match &problem.hint {
        Some(hint) => format!("{problem}\n    hint: {hint}"),
        None => problem.to_string(),
    };
    error.problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A project that is right, with more lines before its tables.
fn with(lines: &str) -> String {
    format!(
        "schema = 1\nname = \"demo\"\nimage = \"dstack-0.5.11\"\ncompose = \"docker-compose.yaml\"\n{lines}\n"
    )
}

#[test]
fn everything_is_read() {
    let text = with(
        r#"
vcpu = 4
memory = "4G"
disk = "1T"
ports = ["tcp:8080:80", "udp:[::1]:9000:9000", { host_port = 8443, vm_port = 443, host_address = "0.0.0.0" }]
user_config = "user-config.json"
pre_launch_script = "pre-launch.sh"
app_id = "0xAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
public_logs = true
swap = "2G"
gpus = ["18:00.0"]
networking = "user"
[env]
file = ".env"
names = ["API_KEY", "DB_URL"]
[kms]
urls = ["https://kms.example.com:9201"]
signers = ["0x0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f"]
[gateway]
urls = ["https://gateway.example.com:9202"]
[authorization]
kind = "file"
path = "/etc/dstack/auth-allowlist.json"
keep_hashes = 2
[[hosts]]
name = "tdx1"
endpoint = "unix:/run/dstack/vmm.sock"
[[hosts]]
name = "tdx2"
endpoint = "https://vmm.example.com"
token_file = "token"
"#,
    );
    let project = Project::parse(&text).unwrap();
    insta::assert_debug_snapshot!(project);
    assert_eq!(project.files().len(), 4);
    let picked = project.select_hosts(["tdx2"]).unwrap();
    assert_eq!(picked[0].endpoint, "https://vmm.example.com");
    let gone = project.select_hosts(["tdx3"]).unwrap_err();
    assert_eq!(gone.to_string(), "hosts: there is no host \"tdx3\"");
    assert_eq!(gone.hint().unwrap().as_str(), "the file names: tdx1, tdx2");
}

#[test]
fn defaults() {
    let project = Project::parse(&with("")).unwrap();
    assert_eq!((project.vcpu, project.memory_mib, project.disk_gib), (2, 2048, 20));
    assert!(!project.kms.enabled && !project.gateway.enabled && project.ports.is_empty());
    let AppSource::Made(made) = project.source else { panic!("a Compose file") };
    assert!(made.public_tcbinfo && !made.secure_time);
}

#[test]
fn kms_follows_from_the_key_provider_and_from_its_table() {
    let enabled = |lines: &str| Project::parse(&with(lines)).unwrap().kms.enabled;
    assert!(enabled("key_provider = \"kms\""));
    assert!(enabled("[kms]"));
    assert!(!enabled("key_provider = \"local\""));
    assert!(!enabled("[kms]\nenabled = false"));
}

#[test]
fn mistakes_are_all_listed_with_their_places() {
    insta::assert_snapshot!(problems(
        r#"schema = 2
name = "web/1"
imgae = "dstack-0.5.11"
image = "../etc"
compose = "docker-compose.yaml"
app_compose = "app-compose.json"
vcpu = 0
memory = "1.5"
disk = "20 bananas"
ports = ["tcp:8080:80", "TCP:8081:81", "tcp:::1:8443:443", "tcp:8080:81", "udp:70000:1", 5, { host_port = 1 }, { hostport = 1 }]
key_provider = "kmss"
public-logs = true
networking = "host"
gpus = ["gpu0"]
no_tee = "yes"
app_id = "abcd"
[env]
names = ["1ST", "OK", "OK", 3]
[kms]
urls = ["unix:/run/kms.sock", "kms.example.com:9201"]
signers = ["04aa"]
signer = "x"
[authorization]
kind = "chain"
[[hosts]]
name = "a b"
endpoint = "unix:./vmm.sock"
[[hosts]]
name = "tdx1"
endpoint = "http://[::1]:9080"
token_file = "t"
token_env = "T"
[[hosts]]
name = "tdx1"
endpoint = "127.0.0.1:9080"
"#
    ));
}

#[test]
fn what_is_missing_is_named() {
    insta::assert_snapshot!(problems(""));
}

#[test]
fn text_that_is_no_toml() {
    insta::assert_snapshot!(problems("schema = 1\nname = demo\n"));
}

#[test]
fn a_key_twice() {
    insta::assert_snapshot!(problems("schema = 1\nname = \"a\"\nname = \"b\"\n"));
}

#[test]
fn what_contradicts_is_named() {
    let all = [
        with("key_provider = \"local\"\n[kms]\nenabled = true"),
        with("[env]\nfile = \".env\""),
        with("[authorization]\nkind = \"file\""),
        with("[authorization]\nkind = \"none\"\npath = \"x\""),
        with("public_logs = true")
            .replace("compose = \"docker-compose.yaml\"", "app_compose = \"app-compose.json\""),
    ]
    .map(|text| problems(&text));
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn a_first_file_is_read_back() {
    let mut init = InitProject::new("it's \"mine\"".replace(['\'', '"'], ""), "dstack-0.5.11");
    init.ports.push("tcp:8080:80".to_owned());
    init.host = Some(("local".to_owned(), "unix:/run/dstack/vmm.sock".to_owned()));
    init.env_file = Some(".env \"quoted\"".to_owned());
    let text = init.to_toml();
    insta::assert_snapshot!(text);
    let project = Project::parse(&text).unwrap();
    assert_eq!(project.name, "its mine");
    assert_eq!(project.env.file.as_deref(), Some(".env \"quoted\""));
    assert!(project.kms.enabled);
    assert!(Project::parse(&InitProject::new("demo", "dstack-0.5.11").to_toml()).is_ok());
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z\\[\\]\"=.{},:0-9\n ]{0,120}") {
        let _ = Project::parse(&text);
        let _ = Project::parse(&with(&text));
    }
}
