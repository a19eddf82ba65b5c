use dstack_check::{Finding, Status};

use super::*;

const GOOD: &str = r#"{
    "manifest_version": 2,
    "name": "demo",
    "runner": "docker-compose",
    "docker_compose_file": "services: {}\n",
    "kms_enabled": true,
    "gateway_enabled": true,
    "allowed_envs": ["TOKEN"],
    "secure_time": false
}
"#;

fn shown(finding: &Finding) -> String {
    let mut text = format!("{} {}", finding.status.word(), finding.id);
    for (label, value) in [("observed", &finding.observed), ("expected", &finding.expected)] {
        if let Some(value) = value {
            text.push_str(&format!("\n    {label}: {value}"));
        }
    }
    for evidence in &finding.evidence {
        text.push_str(&format!("\n    {}  {}", evidence.source, evidence.excerpt));
    }
    if let Some(fix) = &finding.fix {
        text.push_str(&format!("\n    fix: {}", fix.action));
        fix.commands.iter().for_each(|command| text.push_str(&format!("\n         {command}")));
    }
    text
}

/// Findings that want attention.
fn troubles(bytes: &[u8], version: DstackVersion) -> Vec<String> {
    let findings = lint(bytes, version);
    assert_eq!(findings.len(), CHECKS.len(), "one finding a check");
    let loud =
        |finding: &&Finding| matches!(finding.status, Status::Fail | Status::Warn | Status::Unknown { .. });
    let mut troubles: Vec<String> = findings.iter().filter(loud).map(shown).collect();
    let skipped = findings.iter().filter(|finding| matches!(finding.status, Status::Skipped { .. })).count();
    if skipped > 0 {
        troubles.push(format!("skipped: {skipped}"));
    }
    troubles
}

/// The good document with other or more lines.
fn with(lines: &str) -> String {
    let names: Vec<&str> = lines.lines().filter_map(|line| line.trim().split('"').nth(1)).collect();
    let kept = GOOD.lines().filter(|line| {
        let name = line.trim().split('"').nth(1).unwrap_or_default();
        !line.contains('}') && !names.contains(&name)
            || line.contains("docker_compose_file") && !names.contains(&name)
    });
    let kept: Vec<String> = kept.map(|line| line.trim_end_matches(',').to_owned()).collect();
    let (open, kept) = kept.split_first().unwrap();
    let all: Vec<&str> = kept.iter().map(String::as_str).chain(lines.lines()).collect();
    format!("{open}\n{}\n}}\n", all.join(",\n"))
}

fn snapshot(cases: &[&str]) -> String {
    let mut all = String::new();
    for lines in cases {
        let text = with(lines);
        let [old, new] = DstackVersion::ALL.map(|version| troubles(text.as_bytes(), version).join("\n"));
        all.push_str(&format!("=== {}\n", lines.replace('\n', "\n    ")));
        if old == new {
            all.push_str(&format!("{old}\n"));
        } else {
            all.push_str(&format!("--- 0.5\n{old}\n--- next\n{new}\n"));
        }
    }
    all
}

#[test]
fn a_good_document_has_no_troubles() {
    for version in DstackVersion::ALL {
        assert_eq!(troubles(GOOD.as_bytes(), version), [""; 0]);
    }
    assert_eq!(with(""), GOOD);
}

#[test]
fn bytes_and_json() {
    let mut all = String::new();
    let crlf = GOOD.replace('\n', "\r\n");
    let cases: &[(&str, &[u8])] = &[
        ("latin-1", b"{\"manifest_version\": 2,\n \"name\": \"caf\xe9\"}"),
        ("bom", b"\xef\xbb\xbf{}"),
        ("empty", b""),
        ("a comma too much", b"{\n  \"name\": \"x\",\n}\n"),
        ("no object", b"[]"),
        ("empty object", b"{}"),
        ("crlf", crlf.as_bytes()),
        ("twice", br#"{"manifest_version": 2, "name": "n", "runner": "bash", "bash_script": "x", "secure_time": false, "x": [{"y": 1, "y": 2}], "x": 1}"#),
    ];
    for (name, bytes) in cases {
        all.push_str(&format!("=== {name}\n{}\n", troubles(bytes, DstackVersion::Next).join("\n")));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn sizes() {
    let of = |bytes: usize| with(&format!("\"x\": \"{}\"", "y".repeat(bytes)));
    let size = |text: &str, version| {
        let findings = lint(text.as_bytes(), version);
        findings.iter().find(|finding| finding.id.as_str() == "compose.size").map(shown).unwrap()
    };
    let all = [
        size(&of(256 * 1024), DstackVersion::V0_5),
        size(&of(256 * 1024), DstackVersion::Next),
        size(&of(10 * 1024 * 1024), DstackVersion::Next),
        size(&" ".repeat(50 * 1024 * 1024 + 1), DstackVersion::Next),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn fields_and_types() {
    insta::assert_snapshot!(snapshot(&[
        r#""manifest_version": "3""#,
        r#""manifest_version": 3"#,
        r#""manifest_version": "03""#,
        r#""manifest_version": 0"#,
        r#""manifest_version": null"#,
        r#""manifest_version": 4"#,
        "\"name\": 5\n\"runner\": null\n\"public_logs\": \"yes\"\n\"allowed_envs\": [\"A\", 1]\n\"swap_size\": -1",
        "\"allowed_env\": []\n\"port_policy\": {\"port\": 1}\n\"x-team\": 1",
        "\"features\": [\"kms\", \"tproxy-net\"]\n\"tproxy_enabled\": true\n\"docker_config\": {}",
        "\"requirements\": {}\n\"event_log_version\": 2\n\"verity_volumes\": []",
        r#""name": "a/b""#,
        r#""name": """#,
    ]));
}

#[test]
fn what_runs() {
    insta::assert_snapshot!(snapshot(&[
        r#""runner": "docker""#,
        "\"manifest_version\": \"3\"\n\"runner\": \"nerdctl-compose\"\n\"snapshotter\": \"stargz\"",
        r#""snapshotter": "zfs""#,
        "\"runner\": \"bash\"\n\"bash_script\": \"echo\\r\\n\"",
        r#""docker_compose_file": " \n""#,
        r#""docker_compose_file": "a:\n  b:\r\n""#,
        r#""runner": "bash""#,
        r#""pre_launch_script": "a\r\nb\r\n""#,
        r#""init_script": ["a", "b"]"#,
        "\"manifest_version\": \"3\"\n\"init_script\": [\"1\", \"2\", \"3\", \"4\", \"5\", \"6\"]",
        r#""init_script": "one""#,
    ]));
}

#[test]
fn settings() {
    insta::assert_snapshot!(snapshot(&[
        r#""port_policy": {"ports": [{"port": 0}, {"port": 80}, {"pp": true}, {"port": 80}], "restrict_mode": true}"#,
        "\"gateway_enabled\": false\n\"port_policy\": {\"ports\": [{\"port\": 80}]}",
        r#""port_policy": {"restrict_mode": true}"#,
        r#""swap_size": "4GiB""#,
        r#""swap_size": 1.5"#,
        r#""storage_fs": "btrfs""#,
        r#""event_log_version": 3"#,
        r#""verity_volumes": [{"source": "../a", "verity_root": "00", "target": "a"}, {"target": "a"}]"#,
    ]));
    let without = GOOD.replace(",\n    \"secure_time\": false", "");
    insta::assert_snapshot!(
        "secure_time_left_out",
        troubles(without.as_bytes(), DstackVersion::Next).join("\n")
    );
}

#[test]
fn keys_and_trust() {
    insta::assert_snapshot!(snapshot(&[
        r#""local_key_provider_enabled": true"#,
        "\"kms_enabled\": false\n\"key_provider\": \"kms\"",
        r#""key_provider": "none""#,
        r#""key_provider": "sgx""#,
        "\"kms_enabled\": false\n\"gateway_enabled\": false\n\"allowed_envs\": []\n\"key_provider\": \"tpm\"",
        r#""key_provider_id": "0xab""#,
        r#""key_provider_id": "abc""#,
        "\"kms_enabled\": false\n\"gateway_enabled\": false\n\"allowed_envs\": []\n\"key_provider_id\": \"ab\"",
        r#""kms_enabled": false"#,
        r#""allowed_envs": ["OK", "1A", "A-B", "", "OK"]"#,
        r#""launch_token_hash": "12""#,
        r#""requirements": {"platforms": [], "launch_token_hash": "xyz", "os_version": "newest"}"#,
        "\"manifest_version\": \"3\"\n\"requirements\": {\"platforms\": [\"tdx\", \"dstack-tdx\"], \"os_version\": \">=0.6.0, <0.7\"}",
    ]));
}

#[test]
fn files_have_their_own_name() {
    let findings = lint_file("apps/web.json", b"\xef\xbb\xbf{}", DstackVersion::Next);
    let bom = findings.iter().find(|finding| finding.id.as_str() == "compose.bom").unwrap();
    assert_eq!(bom.evidence[0].source, "apps/web.json:1:1");
    assert_eq!(bom.fix.as_ref().unwrap().commands, [r"sed -i '1s/^\xef\xbb\xbf//' apps/web.json"]);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_looked_at(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
        for version in DstackVersion::ALL {
            proptest::prop_assert_eq!(lint(&bytes, version).len(), CHECKS.len());
        }
    }

    /// What the server refuses is a failure here, and never only a warning.
    #[test]
    fn nothing_that_the_server_refuses_passes(
        field in proptest::sample::select(super::super::schema::TOP.iter().map(|field| field.name).collect::<Vec<_>>()),
        value in r#"null|true|[0-9]{1,6}|-1|"[a-z0-9x]{0,4}"|\["a"\]|\[1\]|\{\}|\{"ports": 1\}|"(4G|kms|stargz|0)""#,
    ) {
        let text = with(&format!("\"{field}\": {value}"));
        for version in DstackVersion::ALL {
            let refused = crate::app_compose::AppCompose::parse_as_server(&text, version).is_err();
            let findings = lint(text.as_bytes(), version);
            let own = findings.iter().any(|finding| {
                finding.status == Status::Fail && finding.id.as_str() != "compose.accepted"
            });
            proptest::prop_assert!(!refused || own, "{version}: {text}");
        }
    }
}
