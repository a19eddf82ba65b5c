//! Findings on recorded and made-up hosts.

use dstack_check::{Finding, Status};

use crate::checks::asked::asked;
use crate::facts::services::{PCCS_PATH, QCNL_PATH, QGS_PATH};
use crate::source::{FileKind, FileMeta, Probe, ProbeOutput, Readings};
use crate::{CollectOptions, HostFacts, Unread};

const URL: &str = "https://localhost:8081/sgx/certification/v4/rootcacrl";
const UNITS: &str = "Id=qgsd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\
                     Result=success\nMainPID=4711\nUser=qgsd\n\n\
                     Id=pccs.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\
                     Result=success\nMainPID=4712\nUser=pccs\n\n\
                     Id=aesmd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\
                     Result=success\nMainPID=4713\nUser=aesmd\n";
const VSOCK: &str =
    "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port\nv_str LISTEN 0 0 *:4050 *:*\n";
const NO_VSOCK: &str = "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port\n";
const QCNL: &str = "{\n  // PCCS\n  \"pccs_url\": \"https://localhost:8081/sgx/certification/v4/\"\n  ,\"use_secure_cert\": false\n}\n";

fn collect(host: &Readings) -> HostFacts {
    HostFacts::collect(host, CollectOptions::quick().network(true))
}

fn run(id: &str, host: &Readings) -> Finding {
    asked(id, host, CollectOptions::quick().network(true))
}

fn word(id: &str, host: &Readings) -> &'static str {
    run(id, host).status.word()
}

fn tcp(ports: &[(&str, u16)]) -> String {
    ports.iter().map(|(address, port)| format!(" 0: {address}:{port:04X} 00000000:0000 0A 0 0 0\n")).collect()
}

fn provision(gid: u32, group: &str, mode: u32) -> FileMeta {
    FileMeta {
        gid,
        group: Some(group.to_owned()),
        device: Some((10, 126)),
        ..FileMeta::new(FileKind::CharacterDevice, mode)
    }
}

const ALL: [&str; 9] = [
    "hw.quote-services.qgs",
    "hw.quote-services.qgs-port",
    "hw.quote-services.qgs-rights",
    "hw.quote-services.qgs-log",
    "hw.quote-services.qcnl",
    "hw.quote-services.pccs-service",
    "hw.quote-services.collateral-reach",
    "hw.quote-services.aesmd",
    "hw.quote-services.key-provider",
];

fn healthy() -> Readings {
    Readings::empty_host()
        .probe_stdout(Probe::Units, UNITS)
        .probe_stdout(Probe::VsockListeners, VSOCK)
        .probe_stdout(
            Probe::QuoteServiceLog,
            "tee_att_init_quote return success\ntee_att_get_quote return Success\n",
        )
        .probe_output(
            Probe::CollateralService { url: URL.to_owned() },
            ProbeOutput { status: Some(0), stdout: "200".into(), stderr: "tls-verify-result 18\n".into() },
        )
        .file(QGS_PATH, "port = 4050\nnumber_threads = 4\n")
        .file(QCNL_PATH, QCNL)
        .file(PCCS_PATH, r#"{"HTTPS_PORT": 8081, "ApiKey": "secret0123", "CachingFillMode": "LAZY"}"#)
        .file("/proc/net/tcp", tcp(&[("0100007F", 3443), ("00000000", 22)]))
        .file(
            "/proc/4711/status",
            "Name:\tqgs\nUid:\t998\t998\t998\t998\nGid:\t996\t996\t996\t996\nGroups:\t109 996\n",
        )
        .file("/etc/group", "sgx_prv:x:109:qgsd\n")
        .meta("/dev/sgx_provision", provision(109, "sgx_prv", 0o660))
}

#[test]
fn a_healthy_host_passes_and_keeps_its_key() {
    for id in ALL {
        assert_eq!(word(id, &healthy()), "pass", "{id}: {:?}", run(id, &healthy()));
    }
    let told: Vec<Finding> = ALL.iter().map(|id| run(id, &healthy())).collect();
    assert!(!serde_json::to_string(&told).unwrap().contains("secret0123"));
    assert!(!serde_json::to_string(&collect(&healthy()).services).unwrap().contains("secret0123"));
}

#[test]
fn nothing_known_is_unknown() {
    for id in ALL {
        assert_eq!(word(id, &Readings::nothing_known()), "unknown", "{id}");
    }
}

#[test]
fn the_service() {
    let id = "hw.quote-services.qgs";
    let with = |units: &str| {
        healthy()
            .probe_stdout(Probe::Units, units)
            .probe_stdout(Probe::VsockListeners, NO_VSOCK)
            .probe_stdout(Probe::QuoteServiceLog, "x\n")
    };
    assert_eq!(word(id, &with(&UNITS.replacen("ActiveState=active", "ActiveState=failed", 1))), "fail");
    assert_eq!(word(id, &with("Id=qgsd.service\nLoadState=not-found\n")), "fail");
    // Fedora's name, and a container without a unit.
    assert_eq!(word(id, &with(&UNITS.replace("qgsd.service", "tdx-qgs.service"))), "pass");
    let container = with("Id=qgsd.service\nLoadState=not-found\n").probe_stdout(Probe::VsockListeners, VSOCK);
    assert_eq!(word(id, &container), "pass");
}

#[test]
fn where_it_listens() {
    let id = "hw.quote-services.qgs-port";
    let silent =
        |config: &str| healthy().file(QGS_PATH, config).probe_stdout(Probe::VsockListeners, NO_VSOCK);
    assert_eq!(word(id, &silent("port = 4050\n")), "fail");
    // No port is not broken: it is the unix socket.
    let unix = run(id, &silent("number_threads = 4\n"));
    assert_eq!(unix.status, Status::Warn);
    assert!(unix.observed.unwrap().contains("unix socket"));
    let other = healthy()
        .file(QGS_PATH, "port = 4051\n")
        .probe_stdout(Probe::VsockListeners, VSOCK.replace("4050", "4051"));
    assert_eq!(word(id, &other), "warn");
    let unread = Readings::nothing_known().file(QGS_PATH, "port = 4050\n");
    assert_eq!(word(id, &unread), "unknown");
    // Somebody else's context id is not one that VMs reach.
    let elsewhere = healthy().probe_stdout(Probe::VsockListeners, VSOCK.replace("*:4050", "17:4050"));
    assert_eq!(word(id, &elsewhere), "fail");
}

#[test]
fn rights_of_the_service() {
    let id = "hw.quote-services.qgs-rights";
    let status = |groups: &str| {
        healthy().file(
            "/proc/4711/status",
            format!("Uid:\t998\t998\t998\t998\nGid:\t996\t996\t996\t996\nGroups:\t{groups}\n"),
        )
    };
    let late = run(id, &status("996"));
    assert_eq!(late.status, Status::Fail);
    assert!(late.observed.unwrap().contains("started before"));
    let missing = run(id, &status("996").file("/etc/group", "sgx_prv:x:109:\n"));
    assert_eq!(missing.fix.unwrap().commands[0], "usermod -aG sgx_prv qgsd");
    let by_group = healthy().file_reading("/proc/4711/status", Err(Unread::NotPermitted));
    assert_eq!(word(id, &by_group), "pass");
    assert_eq!(word(id, &by_group.file("/etc/group", "sgx_prv:x:109:\n")), "fail");
    assert_eq!(word(id, &healthy().meta("/dev/sgx_provision", provision(0, "root", 0o600))), "fail");
}

#[test]
fn errors_in_the_journal() {
    let id = "hw.quote-services.qgs-log";
    let with = |text: &str| healthy().probe_stdout(Probe::QuoteServiceLog, text);
    // F-22: the cause, not what follows from it.
    let text = "[QPL] No certificate data for this platform.\n\
                [get_platform_quote_cert_data ../td_ql_logic.cpp:302] Error returned from the p_sgx_get_quote_config API. 0xe011\n\
                tee_att_init_quote return 0x11001\ntee_att_get_quote_size return 0x1100f\n";
    let finding = run(id, &with(text));
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.observed.unwrap().contains("0xe011 (SGX_QL_NO_PLATFORM_CERT_DATA)"));
    let text = "[QPL] Failed to get quote config. Error code is 0xb033\n[QCNL] Encountered CURL error: (60) SSL peer certificate\ntee_att_init_quote return 0x11001\n";
    let observed = run(id, &with(text)).observed.unwrap();
    assert!(observed.contains("trusted"), "{observed}");
    assert_eq!(word(id, &with(&format!("{text}tee_att_get_quote return Success\n"))), "pass");
    assert_eq!(word(id, &with("Added a new connection, now [1]\n")), "pass");
    assert_eq!(word(id, &with("")), "unknown");
    assert_eq!(word(id, &with("[QPL] something new\n")), "fail");
}

#[test]
fn the_collateral_client() {
    let id = "hw.quote-services.qcnl";
    let with = |text: &str| healthy().file(QCNL_PATH, text);
    let remote = r#"{"pccs_url": "https://pccs.example.com/sgx/certification/v4/", "use_secure_cert": true}"#;
    assert_eq!(word(id, &with(remote)), "pass");
    assert_eq!(word(id, &with(&remote.replace("true", "false"))), "warn");
    assert_eq!(word(id, &with(&remote.replace("https", "http"))), "warn");
    assert_eq!(word(id, &with(&remote.replace("true", "\"true\""))), "warn");
    assert_eq!(word(id, &with(&remote.replace("/sgx/certification/v4/", ""))), "warn");
    assert_eq!(
        word(id, &with(r#"{"pccs_url": "https://api.trustedservices.intel.com/sgx/certification/v4/"}"#)),
        "warn"
    );
    assert_eq!(word(id, &with("{}")), "warn");
    assert_eq!(word(id, &with(r#"{"pccs_url": "localhost:8081"}"#)), "fail");
    // A first line that was commented out leaves a comma at the beginning.
    assert_eq!(
        word(
            id,
            &with(
                "{\n //\"a\": 1\n ,\"pccs_url\": \"https://localhost:8081/sgx/certification/v4/\", \"use_secure_cert\": false\n}"
            )
        ),
        "warn"
    );
    let broken =
        run(id, &with("{\n  \"pccs_url\": \"https://localhost:8081/\"\n  \"use_secure_cert\": false\n}"));
    assert_eq!(broken.status, Status::Fail);
    assert!(broken.observed.unwrap().contains("line 3, column 3"));
    // A self-signed certificate that the client was told to refuse: seen on the wire, or only likely.
    let strict = QCNL.replace("false", "true");
    assert_eq!(word(id, &with(&strict)), "fail");
    let unasked =
        with(&strict).probe_output(Probe::CollateralService { url: URL.to_owned() }, ProbeOutput::default());
    assert_eq!(word(id, &unasked), "warn");
    assert_eq!(word(id, &Readings::empty_host()), "fail");
}

#[test]
fn the_local_cache() {
    let id = "hw.quote-services.pccs-service";
    let no_key = healthy().file(PCCS_PATH, r#"{"ApiKey": ""}"#);
    assert_eq!(word(id, &no_key), "warn");
    let stopped = healthy().probe_stdout(
        Probe::Units,
        UNITS.replace(
            "pccs.service\nLoadState=loaded\nActiveState=active",
            "pccs.service\nLoadState=loaded\nActiveState=inactive",
        ),
    );
    assert_eq!(word(id, &stopped), "fail");
    assert_eq!(word(id, &stopped.file_reading(QCNL_PATH, Err(Unread::NotPermitted))), "unknown");
    let absent = healthy().probe_stdout(Probe::Units, "Id=pccs.service\nLoadState=not-found\n");
    assert_eq!(word(id, &absent), "fail");
    let container = absent.file("/proc/net/tcp", tcp(&[("00000000", 8081)]));
    assert_eq!(word(id, &container), "pass");
    let remote =
        healthy().file(QCNL_PATH, r#"{"pccs_url": "https://pccs.example.com/sgx/certification/v4/"}"#);
    assert_eq!(word(id, &remote), "not-applicable");
    assert_eq!(word(id, &healthy().file_reading(PCCS_PATH, Err(Unread::NotPermitted))), "pass");
}

#[test]
fn answers_of_the_service() {
    let id = "hw.quote-services.collateral-reach";
    let with = |status: i32, stdout: &str| {
        let output = ProbeOutput { status: Some(status), stdout: stdout.into(), stderr: String::new() };
        healthy().probe_output(Probe::CollateralService { url: URL.to_owned() }, output)
    };
    assert_eq!(word(id, &with(0, "404")), "warn");
    assert_eq!(word(id, &with(0, "503")), "fail");
    let refused = run(id, &with(7, "000"));
    assert_eq!(refused.status, Status::Fail);
    assert!(refused.observed.unwrap().contains("nobody listens"));
    let facts = HostFacts::collect(&healthy(), CollectOptions::quick());
    let not_asked = crate::checks::get(id).unwrap().run(&facts);
    assert_eq!(not_asked.status, Status::NotApplicable);
    assert_eq!(not_asked.observed.as_deref(), Some("the network was not asked"));
}

#[test]
fn the_daemon_and_the_key_provider() {
    let aesmd = "hw.quote-services.aesmd";
    assert_eq!(
        word(aesmd, &healthy().probe_stdout(Probe::Units, "Id=aesmd.service\nLoadState=not-found\n")),
        "not-applicable"
    );
    assert_eq!(
        word(
            aesmd,
            &healthy().probe_stdout(
                Probe::Units,
                "Id=aesmd.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n"
            )
        ),
        "warn"
    );
    let provider = "hw.quote-services.key-provider";
    assert_eq!(word(provider, &healthy().file("/proc/net/tcp", tcp(&[("00000000", 22)]))), "fail");
    assert_eq!(word(provider, &healthy().file("/proc/net/tcp", tcp(&[("00000000", 3443)]))), "warn");
    let six = healthy().file("/proc/net/tcp", "").file(
        "/proc/net/tcp6",
        " 0: 00000000000000000000000001000000:0D73 00000000000000000000000000000000:0000 0A 0\n",
    );
    assert_eq!(word(provider, &six), "pass");
    let half = six.file_reading("/proc/net/tcp6", Err(Unread::NotPermitted));
    assert_eq!(word(provider, &half), "unknown");
}
