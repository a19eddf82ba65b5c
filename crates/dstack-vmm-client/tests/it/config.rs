//! `vmm.toml`: the lint over files people have, and edits that keep them.

use std::fmt::Write as _;
use std::path::PathBuf;

use dstack_check::{Finding, Status};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::config::{
    CHECKS, ConfigValue, EditError, KEYS, KeyDefault, KeyType, Layer, LintContext, PortRange, Protocol,
    VmmConfig, force_set, key_def, lint, set, unset,
};
use dstack_vmm_client::discovery;
use proptest::prelude::*;

const TUTORIAL: &str = include_str!("../fixtures/config/tutorial.toml");
const DEPLOYMENT: &str = include_str!("../fixtures/config/deployment.toml");
const INSTALLER: &str = include_str!("../fixtures/config/installer.toml");
const CAREFUL: &str = include_str!("../fixtures/config/careful.toml");
const BROKEN: &str = include_str!("../fixtures/config/broken.toml");
const FICTIONAL: &str = include_str!("../fixtures/config/fictional.toml");
const SYNTAX: &str = include_str!("../fixtures/config/syntax.toml");
const COMMENTS: &str = include_str!("../fixtures/config/comments.toml");
const ALL: [&str; 8] = [TUTORIAL, DEPLOYMENT, INSTALLER, CAREFUL, BROKEN, FICTIONAL, SYNTAX, COMMENTS];

/// What a person has to know of the findings: all that did not pass.
fn shown(findings: &[Finding]) -> String {
    let mut out = String::new();
    let quiet = findings.iter().filter(|f| matches!(f.status, Status::Pass | Status::NotApplicable)).count();
    let _ = writeln!(out, "{quiet} checks pass or do not arise");
    for finding in findings {
        match &finding.status {
            Status::Pass | Status::NotApplicable => continue,
            Status::Skipped { because } => {
                let _ = writeln!(out, "skipped {}: {because}", finding.id);
                continue;
            }
            Status::Unknown { why } => drop(writeln!(out, "unknown {}: {why}", finding.id)),
            status => drop(writeln!(out, "{} {}: {}", status.word(), finding.id, finding.title)),
        }
        if let Some(observed) = &finding.observed {
            let _ = writeln!(out, "    observed: {observed}");
        }
        if let Some(expected) = &finding.expected {
            let _ = writeln!(out, "    expected: {expected}");
        }
        for evidence in &finding.evidence {
            let _ = writeln!(out, "    {}  {}", evidence.source, evidence.excerpt);
        }
        if let Some(fix) = &finding.fix {
            let _ = writeln!(out, "    fix: {}", fix.action);
            for command in &fix.commands {
                let _ = writeln!(out, "      $ {command}");
            }
        }
    }
    out
}

fn next() -> LintContext {
    LintContext::new(DstackVersion::Next)
}

fn status(findings: &[Finding], id: &str) -> &'static str {
    findings.iter().find(|finding| finding.id.as_str() == id).expect("a finding a check").status.word()
}

/// Statuses of one check for a text, in v0.5 and next.
fn both(text: &str, id: &str) -> [&'static str; 2] {
    DstackVersion::ALL.map(|version| status(&lint(text, &LintContext::new(version)), id))
}

#[test]
fn tutorial_host_with_its_unit() {
    let context = next()
        .config_path("/etc/dstack/vmm.toml")
        .file_mode(0o100_640)
        .home("/root")
        .unit_writable_paths(["/var/run/dstack", "/var/log/dstack", "/var/lib/dstack", "/tmp"]);
    insta::assert_snapshot!(shown(&lint(TUTORIAL, &context)));
}

#[test]
fn tutorial_host_on_v0_5() {
    let context = LintContext::new(DstackVersion::V0_5).file_mode(0o640);
    insta::assert_snapshot!(shown(&lint(TUTORIAL, &context)));
}

#[test]
fn deployment_guide() {
    insta::assert_snapshot!(shown(&lint(DEPLOYMENT, &next().file_mode(0o600))));
}

#[test]
fn installer_writes_its_token_where_everyone_reads() {
    let context = next().config_path("/etc/dstack/vmm.toml").file_mode(0o644);
    insta::assert_snapshot!(shown(&lint(INSTALLER, &context)));
}

#[test]
fn a_careful_file_passes_in_both_versions() {
    for version in DstackVersion::ALL {
        let context = LintContext::new(version).unit_writable_paths(["-/var/lib/dstack"]);
        assert_eq!(
            shown(&lint(CAREFUL, &context)),
            format!("{} checks pass or do not arise\n", CHECKS.len())
        );
    }
}

#[test]
fn broken() {
    insta::assert_snapshot!(shown(&lint(BROKEN, &next().file_mode(0o666))));
}

#[test]
fn broken_on_v0_5() {
    insta::assert_snapshot!(shown(&lint(BROKEN, &LintContext::new(DstackVersion::V0_5))));
}

#[test]
fn fictional() {
    insta::assert_snapshot!(shown(&lint(FICTIONAL, &next())));
}

#[test]
fn a_syntax_error_skips_the_rest_and_shows_no_secret() {
    insta::assert_snapshot!(shown(&lint(SYNTAX, &next())));
}

#[test]
fn empty_file() {
    insta::assert_snapshot!(shown(&lint("", &next())));
}

#[test]
fn no_finding_shows_a_token() {
    for text in ALL {
        for version in DstackVersion::ALL {
            let findings =
                serde_json::to_string(&lint(text, &LintContext::new(version).file_mode(0o777))).unwrap();
            for token in [
                "hunter2",
                "changeme-please",
                "YOUR_TOKEN",
                "b64d0f9f",
                "4c1d8e6f",
                "3f9c7a51",
                "another-token",
            ] {
                assert!(!findings.contains(token), "{token}");
            }
        }
    }
    let (config, _) = VmmConfig::parse(BROKEN).unwrap();
    assert_eq!(config.auth.tokens[0].expose(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
    let edited = set(COMMENTS, "auth.tokens", &ConfigValue::Texts(vec!["x".repeat(40)])).unwrap();
    assert!(!format!("{edited:?}").contains("token-of") && !format!("{edited:?}").contains("xxx"));
}

#[test]
fn every_check_can_fail_and_pass() {
    // What each check says about some text, so that a rule that always passes is noticed.
    let unit = next().file_mode(0o644).unit_writable_paths(["/var/lib/dstack"]);
    for check in CHECKS {
        let mut good = false;
        let mut bad = false;
        for text in ALL.into_iter().chain(["", "address = \"localhost:9080\"", "[auth]\nenabled = true"]) {
            for context in [next(), unit.clone(), LintContext::new(DstackVersion::V0_5)] {
                match status(&lint(text, &context), check.id) {
                    "pass" | "not-applicable" => good = true,
                    "warn" | "fail" => bad = true,
                    _ => {}
                }
            }
        }
        assert!(good && bad, "{} good={good} bad={bad}", check.id);
    }
}

#[test]
fn every_check_has_a_page() {
    let pages = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
    for check in CHECKS {
        let page = pages.join(format!("{}.md", check.id));
        let text = std::fs::read_to_string(&page).unwrap_or_default();
        assert!(
            text.starts_with(&format!("# `{}`\n", check.id)),
            "{} is missing or has another title",
            page.display()
        );
        assert!(
            (8..=45).contains(&text.lines().count()),
            "{} has {} lines",
            page.display(),
            text.lines().count()
        );
    }
}

#[test]
fn the_open_api_depends_on_the_version() {
    let id = "vmm.config.api-auth";
    let open = "address = \"0.0.0.0:9080\"\n";
    let guarded = format!("{open}[auth]\nenabled = true\ntokens = [\"0123456789abcdef0123456789abcdef\"]\n");
    assert_eq!(both(open, id), ["fail", "fail"]);
    assert_eq!(both(&guarded, id), ["fail", "pass"]);
    assert_eq!(both("address = \"[::1]:9080\"", id), ["pass", "pass"]);
    assert_eq!(both("address = \"192.0.2.1\"\nport = 80", id), ["fail", "fail"]);
    assert_eq!(both("address = \"nonsense\"", id), ["skipped", "skipped"]);
}

#[test]
fn the_port_key() {
    let id = "vmm.config.port-key";
    for (text, expected) in [
        ("address = \"127.0.0.1:9080\"", ["pass", "warn"]),
        ("address = \"127.0.0.1:9080\"\nport = 9080", ["pass", "pass"]),
        ("address = \"127.0.0.1:9080\"\nport = 9081", ["warn", "warn"]),
        ("address = \"127.0.0.1\"\nport = 9080", ["pass", "pass"]),
        ("address = \"unix:/run/x\"\nport = 9080", ["not-applicable", "not-applicable"]),
    ] {
        assert_eq!(both(text, id), expected, "{text}");
    }
}

#[test]
fn where_vms_are_kept() {
    let id = "vmm.config.run-path";
    let paths = ["/var/run/dstack", "-/var/lib/dstack"];
    let unit = next().unit_writable_paths(paths);
    let set_to = |path: &str| format!("run_path = \"{path}\"\n");
    for (text, context, expected) in [
        (String::new(), next(), "warn"),
        (set_to("/srv/vm"), next(), "pass"),
        (String::new(), unit.clone(), "fail"),
        (String::new(), unit.clone().home("/root"), "fail"),
        (String::new(), unit.clone().home("/var/lib/dstack"), "pass"),
        (set_to("/srv/vm"), unit.clone(), "fail"),
        (set_to("/run/dstack/vm"), unit.clone(), "pass"),
        (set_to("./run/vm"), unit.clone(), "fail"),
        (set_to("/var/lib/dstack/../vm"), unit, "fail"),
        (String::new(), next().unit_writable_paths(["/root"]), "unknown"),
        (String::new(), next().unit_writable_paths(["/root"]).home("/root"), "pass"),
    ] {
        assert_eq!(status(&lint(&text, &context), id), expected, "{text:?} {context:?}");
    }
}

#[test]
fn layers_merge_tables_and_replace_lists() {
    let system = Layer::toml(
        "/etc/vmm/vmm.toml",
        "node_name = \"system\"\n[cvm]\nkms_urls = [\"https://a.example.com\", \"https://b.example.com\"]\ncid_start = 7\n",
    );
    let local = Layer::by_name("./vmm.json", r#"{"cvm":{"kms_urls":["https://c.example.com"]},"port":9081}"#);
    let given = Layer::by_name("-c.toml", "[cvm]\ncid_pool_size = \"many\"\n");
    let (config, findings) = VmmConfig::from_layers(&[system, local, given]).unwrap();
    assert_eq!(config.node_name, "system");
    assert_eq!(config.cvm.kms_urls, ["https://c.example.com"]);
    assert_eq!((config.cvm.cid_start, config.cvm.cid_pool_size), (7, 1000));
    assert_eq!(config.port, Some(9081));
    insta::assert_snapshot!(shown(&findings));
    let broken = Layer::json("vmm.json", "{\"a\": }");
    insta::assert_snapshot!(VmmConfig::from_layers(&[system, broken]).unwrap_err());
    insta::assert_snapshot!(VmmConfig::from_layers(&[Layer::json("vmm.json", "[]")]).unwrap_err());
    insta::assert_snapshot!(VmmConfig::parse(SYNTAX).unwrap_err());
}

#[test]
fn paths_of_a_configuration() {
    let (config, _) = VmmConfig::parse("image_path = \"/a\"\n").unwrap();
    assert_eq!(config.image_dir("/root".as_ref()), PathBuf::from("/a"));
    assert_eq!(config.run_dir("/root".as_ref()), PathBuf::from("/root/.dstack-vmm/vm"));
    let (config, _) =
        VmmConfig::parse("image_path = \"/a\"\nrun_path = \"~/vm\"\n[image]\npath = \"/b\"\n").unwrap();
    assert_eq!(config.image_dir("/root".as_ref()), PathBuf::from("/b"));
    assert_eq!(config.run_dir("/root".as_ref()), PathBuf::from("~/vm"));
}

#[test]
fn port_mapping_allows_what_is_in_a_range() {
    let (config, _) = VmmConfig::parse(CAREFUL).unwrap();
    let mapping = &config.cvm.port_mapping;
    assert!(mapping.allows(Protocol::Tcp, 9000) && mapping.allows(Protocol::Udp, 9999));
    assert!(!mapping.allows(Protocol::Tcp, 8999) && !mapping.allows(Protocol::Udp, 10000));
    assert!(!VmmConfig::default().cvm.port_mapping.allows(Protocol::Tcp, 9000));
}

#[test]
fn bom_and_crlf_are_read_and_kept() {
    let text = "\u{feff}# top\r\naddress = \"127.0.0.1:9080\" # x\r\n\r\n[cvm]\r\ncid_start = 1000\r\n";
    assert_eq!(status(&lint(text, &next()), "vmm.config.syntax"), "pass");
    let edited = set(text, "cvm.cid_start", &3_u32.into()).unwrap();
    assert_eq!(edited.text, text.replace("1000", "3"));
    let edited = set(text, "cvm.cid_pool_size", &5_u32.into()).unwrap();
    assert_eq!(edited.text, format!("{text}cid_pool_size = 5\r\n"));
    let edited = set(text, "gateway.port", &80_u16.into()).unwrap();
    assert_eq!(edited.text, format!("{text}\r\n[gateway]\r\nport = 80\r\n"));
    let bad = "\u{feff}a = =\n";
    let finding = &lint(bad, &next())[0];
    assert_eq!(finding.evidence[0].source, "vmm.toml:1:5");
}

fn ranges(list: &[(Protocol, u16, u16)]) -> ConfigValue {
    ConfigValue::Ranges(list.iter().map(|&(protocol, from, to)| PortRange { protocol, from, to }).collect())
}

#[test]
fn edits_keep_everything_else() {
    use Protocol::{Tcp, Udp};
    let mut out = String::new();
    let edits: [(&str, Option<ConfigValue>); 12] = [
        ("address", Some("unix:/run/dstack/vmm.sock".into())),
        ("port", Some(9080_u16.into())),
        ("cvm.cid_start", Some(30000_u32.into())),
        ("cvm.pccs_url", Some("https://pccs.example.com".into())),
        ("cvm.port_mapping.enabled", Some(true.into())),
        ("cvm.port_mapping.range", Some(ranges(&[(Tcp, 1, 9079), (Udp, 9202, 9202), (Tcp, 9081, 20000)]))),
        ("cvm.port_mapping.range", Some(ranges(&[(Tcp, 9081, 20000)]))),
        ("cvm.port_mapping.range", Some(ranges(&[(Tcp, 1, 9079), (Tcp, 9081, 20000), (Udp, 1, 20000)]))),
        ("cvm.gpu.enabled", Some(true.into())),
        (
            "auth.tokens",
            Some(ConfigValue::Texts(vec!["another-token-of-bytes".into(), "a-third-one".into()])),
        ),
        ("auth.enabled", Some(true.into())),
        ("cvm.cid_start", None),
    ];
    for (path, value) in edits {
        let edited = match &value {
            Some(value) => set(COMMENTS, path, value),
            None => unset(COMMENTS, path),
        };
        let edited = edited.unwrap();
        writeln!(out, "## {path}: {:?} -> {:?}", edited.before, edited.after).unwrap();
        for change in line_diff(COMMENTS, &edited.text) {
            writeln!(out, "{change}").unwrap();
        }
    }
    insta::assert_snapshot!(out);
}

/// Lines that went and came, by the longest common beginning and end.
fn line_diff(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let front = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - front;
    let back = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let context = front.checked_sub(1).and_then(|at| old.get(at)).map(|line| format!("  {line}"));
    let gone = old[front..old.len() - back].iter().map(|line| format!("- {line}"));
    let came = new[front..new.len() - back].iter().map(|line| format!("+ {line}"));
    context.into_iter().chain(gone).chain(came).collect()
}

#[test]
fn edits_in_every_layout() {
    let port = ConfigValue::from(9090_u16);
    let mut out = String::new();
    for text in [
        "",
        "\n",
        "# only a comment",
        "# about the file\n\n[auth]\nenabled = true\n",
        "[auth]\nenabled = true\n",
        "[gateway]\n",
        "[gateway]",
        "gateway = { base_domain = \"a.example.com\" }\n",
        "gateway = {}\n",
        "gateway.base_domain = \"a.example.com\"\nworkers = 3\n",
        "gateway.agent_port = 1 # dotted\n[auth]\n",
        "  [gateway]\n    base_domain = \"a.example.com\"\n    # end\n\n[auth]\n",
        "gateway.port = 1\n",
        "gateway = { port = 1, agent_port = 2 }\n",
        "[gateway]\nport = 9090 # there\n",
    ] {
        let edited = set(text, "gateway.port", &port).unwrap();
        let (config, findings) = VmmConfig::parse(&edited.text).unwrap();
        assert!(findings.is_empty() && config.gateway.port == 9090, "{text}");
        writeln!(out, "{text:?}\n  {:?}", edited.text).unwrap();
        let undone = unset(&edited.text, "gateway.port").unwrap();
        assert!(undone.changed);
        writeln!(out, "  {:?}", undone.text).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn sections_of_ranges_are_edited_as_sections() {
    use Protocol::{Tcp, Udp};
    let path = "cvm.port_mapping.range";
    let mut out = String::new();
    for list in [
        ranges(&[(Tcp, 9000, 9999), (Udp, 9000, 9500)]),
        ranges(&[(Udp, 9000, 9999)]),
        ranges(&[(Tcp, 9000, 9999), (Udp, 9000, 9999), (Udp, 51820, 51820)]),
        ranges(&[]),
    ] {
        let edited = set(CAREFUL, path, &list).unwrap();
        writeln!(out, "## {list}").unwrap();
        for change in line_diff(CAREFUL, &edited.text) {
            writeln!(out, "{change}").unwrap();
        }
    }
    let removed = unset(CAREFUL, path).unwrap();
    assert_eq!(VmmConfig::parse(&removed.text).unwrap().0.cvm.port_mapping.range.len(), 1);
    insta::assert_snapshot!(out);
}

#[test]
fn implicit_sections_get_a_header() {
    let text = "[cvm.gpu]\nenabled = true\n\n[auth]\nenabled = false\n";
    let edited = set(text, "cvm.cid_start", &3_u32.into()).unwrap();
    insta::assert_snapshot!(edited.text);
}

#[test]
fn edits_are_refused_with_a_reason() {
    let refused = |result: Result<_, EditError>| result.map(|_| ()).unwrap_err().to_string();
    let shown = [
        refused(set("", "cvm.port_maping.enabled", &true.into())),
        refused(set("", "cvm.port_mapping.enabled", &"yes".into())),
        refused(set("", "port", &70000_u32.into())),
        refused(set("", "cvm.networking.mode", &"host".into())),
        refused(set("", "auth.tokens", &"secret".into())),
        refused(set("cvm = 3\n", "cvm.cid_start", &3_u32.into())),
        refused(force_set("", "a..b", &true.into())),
        refused(force_set("", "cvm", &true.into())),
        refused(force_set("[cvm]\n", "cvm", &true.into())),
        refused(unset("[cvm]\ncid_start = 1\n", "cvm")),
        refused(set("address = \n", "port", &1_u16.into())),
        refused(
            ConfigValue::parse_for(key_def("auth.tokens").unwrap(), "a")
                .and_then(|v| set("", "auth.enabled", &v)),
        ),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn words_of_a_command_line_become_values() {
    let parse = |path: &str, text: &str| match ConfigValue::parse_for(key_def(path).unwrap(), text) {
        Ok(value) => format!("{path} {text:?}: {value}"),
        Err(error) => format!("{path} {text:?}: error: {error}"),
    };
    let shown = [
        parse("auth.enabled", "true"),
        parse("auth.enabled", "yes"),
        parse("port", "9080"),
        parse("port", "-1"),
        parse("cvm.cid_start", "4294967296"),
        parse("cvm.kms_urls", "https://a.example.com, https://b.example.com"),
        parse("cvm.kms_urls", ""),
        parse("cvm.port_mapping.range", "tcp:1-20000, udp:9202"),
        parse("cvm.port_mapping.range", "tcp:2-1"),
        parse("cvm.port_mapping.range", "sctp:1"),
        parse("cvm.port_mapping.address", "localhost"),
        parse("cvm.qemu_pci_hole64_size", "512G"),
        parse("cvm.qemu_pci_hole64_size", "lots"),
        parse("netd.allowed_uids", "0,1000"),
        parse("node_name", "the \"cellar\"\n"),
        parse("limits", "x"),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn unknown_keys_are_set_by_force() {
    assert!(matches!(set("", "cvm.new_thing", &true.into()), Err(EditError::UnknownKey { .. })));
    let edited = force_set("[cvm]\n", "cvm.new_thing", &true.into()).unwrap();
    assert_eq!(edited.text, "[cvm]\nnew_thing = true\n");
    assert_eq!(unset(&edited.text, "cvm.new_thing").unwrap().text, "[cvm]\n");
}

#[test]
fn discovery_files_of_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).unwrap();
    let vmm = |pid: u32| {
        serde_json::json!({"id": "x", "pid": pid, "address": "unix:./vmm.sock", "working_dir": "/srv", "started_at": pid})
            .to_string()
    };
    write("a.json", vmm(1).as_bytes());
    write("b.json", vmm(2).as_bytes());
    write("c.json", b"not json");
    write("d.json", &vec![b' '; 70_000]);
    write("readme.txt", b"ignored");
    std::fs::create_dir(directory.path().join("e.json")).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.path().join("f.json")).unwrap();
    let found = discovery::read_dir(directory.path(), |pid| pid == 2);
    let shown: Vec<String> = found
        .iter()
        .map(|found| match found {
            Ok(vmm) => format!("{} alive={} {}", vmm.file.pid, vmm.alive, vmm.endpoint().unwrap()),
            Err(error) => error.to_string().replace(directory.path().to_str().unwrap(), "DIR"),
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert!(discovery::read_dir(&directory.path().join("missing"), |_| true).is_empty());
    let file = directory.path().join("readme.txt");
    assert!(matches!(discovery::read_dir(&file, |_| true)[0], Err(discovery::DiscoveryError::Io { .. })));
}

#[test]
fn a_crowded_discovery_directory_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    for at in 0..discovery::MAX_FILES + 3 {
        std::fs::write(directory.path().join(format!("{at}.json")), "{}").unwrap();
    }
    let found = discovery::read_dir(directory.path(), |_| true);
    assert_eq!(found.len(), discovery::MAX_FILES + 1);
    assert!(matches!(found.last(), Some(Err(discovery::DiscoveryError::TooMany { left_out: 3, .. }))));
}

#[test]
fn installer_state_file() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(discovery::DstackupState::read(directory.path()).unwrap(), None);
    let path = directory.path().join(discovery::STATE_FILE);
    std::fs::write(&path, r#"{"client_url": "http://127.0.0.1:9080", "vmm_unit": "dstack-vmm"}"#).unwrap();
    let state = discovery::DstackupState::read(directory.path()).unwrap().unwrap();
    assert_eq!(state.vmm_unit.as_deref(), Some("dstack-vmm"));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(
        discovery::DstackupState::read(directory.path()),
        Err(discovery::DiscoveryError::Malformed { .. })
    ));
}

/// A value that fits a key.
fn fitting(kind: KeyType) -> BoxedStrategy<ConfigValue> {
    let text = || {
        prop_oneof!["[a-z0-9:/._-]{0,20}", any::<String>().prop_map(|text| text.chars().take(12).collect())]
    };
    match kind {
        KeyType::Bool => any::<bool>().prop_map(ConfigValue::Bool).boxed(),
        KeyType::Int { max } => {
            (0..=i64::try_from(max).unwrap_or(i64::MAX)).prop_map(ConfigValue::Int).boxed()
        }
        KeyType::Size => (0..i64::MAX).prop_map(ConfigValue::Int).boxed(),
        KeyType::Ip => any::<std::net::IpAddr>().prop_map(|ip| ConfigValue::Text(ip.to_string())).boxed(),
        KeyType::OneOf(words) => prop::sample::select(words).prop_map(ConfigValue::from).boxed(),
        KeyType::Texts | KeyType::Urls => {
            prop::collection::vec(text(), 0..4).prop_map(ConfigValue::Texts).boxed()
        }
        KeyType::Ints => prop::collection::vec(any::<u32>(), 0..4).prop_map(ConfigValue::Ints).boxed(),
        KeyType::Ranges => {
            let range = (any::<bool>(), any::<u16>(), any::<u16>()).prop_map(|(udp, a, b)| PortRange {
                protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
                from: a.min(b),
                to: a.max(b),
            });
            prop::collection::vec(range, 0..5).prop_map(ConfigValue::Ranges).boxed()
        }
        _ => text().prop_map(ConfigValue::Text).boxed(),
    }
}

fn settable() -> impl Strategy<Value = (&'static str, ConfigValue)> {
    let keys: Vec<usize> = (0..KEYS.len()).filter(|&at| KEYS[at].kind != KeyType::Table).collect();
    prop::sample::select(keys).prop_flat_map(|at| (Just(KEYS[at].path), fitting(KEYS[at].kind)))
}

/// A file people have, or one in an odd layout.
fn some_file() -> impl Strategy<Value = String> {
    let odd = [
        "",
        "# nothing",
        "cvm = { port_mapping = { enabled = true, range = [{ protocol = \"tcp\", from = 1, to = 2 }] }, cid_start = 4 }\n",
        "cvm.port_mapping.enabled = true\ncvm.cid_start = 5 # c\nauth.enabled = true\n",
        "[cvm.port_mapping]\nrange = []\n[cvm]\nuser = \"\"\n[auth]\ntokens = [\n]",
        "[[cvm.port_mapping.range]]\nprotocol=\"tcp\"\nfrom=1\nto=2 # end",
    ];
    let files: Vec<&str> = ALL.into_iter().filter(|text| *text != SYNTAX).chain(odd).collect();
    (prop::sample::select(files), any::<bool>())
        .prop_map(|(text, crlf)| if crlf { text.replace('\n', "\r\n") } else { text.to_owned() })
}

/// Comments of a text, in order.
fn comments(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.split_once('#')?.1.trim().to_owned())).collect()
}

proptest! {
    #[test]
    fn what_is_set_is_read_and_setting_it_again_changes_nothing(
        text in some_file(),
        (path, value) in settable(),
    ) {
        let edited = match set(&text, path, &value) {
            Ok(edited) => edited,
            // A key inside a table that is a value, or under an inline table of another kind.
            Err(EditError::NotATable { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(format!("{path}: {error}"))),
        };
        let again = set(&edited.text, path, &value).unwrap();
        prop_assert!(!again.changed);
        prop_assert_eq!(&again.text, &edited.text);
        prop_assert_eq!(&again.before, &edited.after);
        // Comments outside the list that changed are all there.
        if !matches!(value, ConfigValue::Texts(_) | ConfigValue::Ranges(_) | ConfigValue::Ints(_)) {
            let kept = comments(&edited.text);
            for comment in comments(&text) {
                prop_assert!(kept.contains(&comment), "{comment}");
            }
        }
        if text.contains('\r') {
            prop_assert!(edited.text.lines().count() <= edited.text.matches("\r\n").count() + 1);
        }
        let gone = unset(&edited.text, path).unwrap();
        prop_assert!(gone.changed && gone.after.is_none());
        prop_assert!(!unset(&gone.text, path).unwrap().changed);
    }

    #[test]
    fn defaults_can_be_set_and_read_back(at in 0..KEYS.len()) {
        let key = &KEYS[at];
        let Some(value) = ConfigValue::default_of(key) else {
            prop_assert_eq!(key.default, KeyDefault::Unset);
            return Ok(());
        };
        let edited = set("", key.path, &value).unwrap();
        let (config, findings) = VmmConfig::parse(&edited.text).unwrap();
        prop_assert!(findings.is_empty(), "{findings:?}");
        prop_assert_eq!(config, VmmConfig::default());
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = VmmConfig::parse(&text);
        prop_assert_eq!(lint(&text, &next()).len(), CHECKS.len());
        if let Ok(edited) = set(&text, "cvm.cid_start", &3_u32.into()) {
            prop_assert_eq!(VmmConfig::parse(&edited.text).unwrap().0.cvm.cid_start, 3);
        }
    }

    #[test]
    fn any_toml_is_linted(
        lines in prop::collection::vec((prop::sample::select(
            &["[cvm]", "[auth]", "[[cvm.port_mapping.range]]", "[cvm.gpu]", "enabled", "tokens", "address", "port",
              "cvm.cid_start", "range", "from", "protocol", "tokens.a", "kms_url", "run_path"][..]),
            prop::sample::select(&["1", "-1", "\"x\"", "true", "[]", "[1, \"a\", []]", "{ a = 1, b.c = [] }", "1.5",
              "2020-01-01", "[{ protocol = \"tcp\", from = 9, to = 1 }]", "\"0.0.0.0:1\"", "inf"][..])), 0..10)
    ) {
        let text: String = lines
            .iter()
            .map(|(key, value)| if key.starts_with('[') { format!("{key}\n") } else { format!("{key} = {value}\n") })
            .collect();
        prop_assert_eq!(lint(&text, &next()).len(), CHECKS.len());
        for path in ["cvm.port_mapping.range", "auth.tokens", "port"] {
            if let Ok(edited) = unset(&text, path) {
                prop_assert!(VmmConfig::parse(&edited.text).is_ok());
            }
        }
    }
}
