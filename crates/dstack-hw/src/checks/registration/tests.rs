//! Findings on recorded and made-up hosts.

use dstack_check::{Finding, Status};

use crate::checks::asked::asked;
use crate::facts::registration::{CONFIGURATION, STATUS};
use crate::source::{Probe, ProbeOutput, Readings};
use crate::{CollectOptions, Unread};

const EFIVARS: &str = "/sys/firmware/efi/efivars";
const LOG: &str = "/var/log/mpa_registration.log";

fn run(id: &str, host: &Readings) -> Finding {
    asked(id, host, CollectOptions::quick())
}

fn word(id: &str, host: &Readings) -> &'static str {
    run(id, host).status.word()
}

const ALL: [&str; 5] = [
    "hw.registration.variables",
    "hw.registration.status",
    "hw.registration.direct",
    "hw.registration.agent",
    "hw.registration.log",
];

/// The variable with this state and error.
fn status(host: Readings, complete: bool, error: u8) -> Readings {
    host.file(format!("{EFIVARS}/{STATUS}"), vec![7, 0, 0, 0, 1, 0, 3, 0, u8::from(complete) | 2, 0, error])
}

fn configuration(host: Readings, flags: u8) -> Readings {
    let mut bytes = vec![7, 0, 0, 0, 1, 0, 0, 1, flags, 0];
    bytes.extend([0; 290]);
    host.file(format!("{EFIVARS}/{CONFIGURATION}"), bytes)
}

const UNIT: &str = "Id=mpa_registration_tool.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n\
                    UnitFileState=enabled\nResult=success\nExecMainStatus=0\nMainPID=0\n";
const DONE: &str = "[05-12-2024 06:31:16] INFO: Starts Registration Agent Flow.\n\
                    [05-12-2024 06:31:18] INFO: Registration Flow - PLATFORM_ESTABLISHMENT or TCB_RECOVERY passed successfully.\n";
const NOT_SENT: &str = "[05-12-2024 06:43:50] INFO: SGX MP Server configuration flag indicates that Registration Server won't save encrypted platform keys.\n";

fn healthy() -> Readings {
    configuration(status(Readings::empty_host(), true, 0), 0)
        .folder("/sys/firmware/efi", ["efivars"])
        .probe_stdout(Probe::Units, UNIT)
        .file(LOG, DONE)
}

#[test]
fn a_registered_host_passes_and_an_agent_that_ended_is_normal() {
    for id in ALL {
        assert_eq!(word(id, &healthy()), "pass", "{id}: {:?}", run(id, &healthy()));
    }
}

#[test]
fn nothing_known_is_unknown() {
    for id in ALL {
        assert_eq!(word(id, &Readings::nothing_known()), "unknown", "{id}");
    }
}

#[test]
fn where_the_variables_may_be_missing() {
    let legacy = Readings::empty_host();
    assert_eq!(word("hw.registration.variables", &legacy), "fail");
    let container = Readings::empty_host().folder("/sys/firmware/efi", ["efivars"]).folder(EFIVARS, []);
    assert_eq!(word("hw.registration.variables", &container), "unknown");
    let sgx_off = Readings::empty_host()
        .folder("/sys/firmware/efi", ["efivars"])
        .folder(EFIVARS, ["BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"]);
    assert_eq!(word("hw.registration.variables", &sgx_off), "warn");
}

#[test]
fn states_of_the_variable() {
    let of =
        |complete, error| run("hw.registration.status", &status(Readings::empty_host(), complete, error));
    assert_eq!(of(true, 0).status, Status::Pass);
    assert_eq!(of(false, 0).status, Status::Fail);
    let refused = of(true, 0xa5);
    assert_eq!(refused.status, Status::Fail);
    assert!(refused.observed.unwrap().contains("MPA_RS_PM_INVALID_PLATFORM_MANIFEST"));
    assert!(of(false, 0x12).observed.unwrap().contains("firmware reports error 0x12"));
    assert!(of(false, 0xf0).observed.unwrap().contains("not known"));
    let broken = Readings::nothing_known().file(format!("{EFIVARS}/{STATUS}"), vec![7, 0, 0]);
    assert_eq!(word("hw.registration.status", &broken), "unknown");
}

#[test]
fn an_agent_that_sent_nothing() {
    // F-22, canonical/tdx #131: the unit is fine, the log says that nothing was sent.
    let host = Readings::nothing_known().file(LOG, NOT_SENT).probe_stdout(Probe::Units, UNIT);
    assert_eq!(word("hw.registration.agent", &host), "pass");
    assert_eq!(word("hw.registration.log", &host), "warn");
    // It may have been registered through a cache.
    assert_eq!(word("hw.registration.status", &host), "unknown");
    assert_eq!(word("hw.registration.direct", &host), "warn");
    let by_variable = configuration(status(Readings::empty_host(), false, 0), 1);
    assert_eq!(word("hw.registration.direct", &by_variable), "warn");
    assert!(run("hw.registration.status", &by_variable).observed.unwrap().contains("sends nothing"));
}

#[test]
fn a_log_alone_gives_the_answer() {
    let host = Readings::nothing_known().file(LOG, DONE);
    for id in ALL {
        assert_eq!(word(id, &host), "pass", "{id}: {:?}", run(id, &host));
    }
}

#[test]
fn complete_and_yet_no_certificate() {
    // F-22, canonical/tdx #155.
    let host = healthy().probe_stdout(
        Probe::QuoteServiceLog,
        "[QPL] No certificate data for this platform.\ntee_att_init_quote return 0x11001\n",
    );
    assert_eq!(word("hw.registration.status", &host), "warn");
    let by_log = Readings::nothing_known()
        .file(LOG, DONE)
        .probe_stdout(Probe::QuoteServiceLog, "[QPL] No certificate data for this platform.\n");
    assert_eq!(word("hw.registration.status", &by_log), "warn");
    let refused = Readings::nothing_known().file(LOG, "ERROR: Registration Flow - Registration status indicates registration is completed unsuccessfully, and the error code is 162. \n");
    assert_eq!(word("hw.registration.status", &refused), "fail");
    let unknown = Readings::nothing_known()
        .probe_stdout(Probe::QuoteServiceLog, "[QPL] No certificate data for this platform.\n");
    assert_eq!(word("hw.registration.status", &unknown), "fail");
    let made =
        Readings::nothing_known().probe_stdout(Probe::QuoteServiceLog, "tee_att_get_quote return Success\n");
    assert_eq!(word("hw.registration.status", &made), "pass");
}

#[test]
fn what_the_tool_says() {
    let said =
        |output: ProbeOutput| Readings::nothing_known().probe_output(Probe::RegistrationStatus, output);
    let good = ProbeOutput {
        status: Some(0),
        stdout: "Registration process completed successfully.\n".into(),
        stderr: String::new(),
    };
    assert_eq!(word("hw.registration.status", &said(good)), "pass");
    let refused =
        ProbeOutput { status: Some(1), stdout: String::new(), stderr: "Please run as root\n".into() };
    assert_eq!(word("hw.registration.status", &said(refused)), "unknown");
}

#[test]
fn agents_that_are_not_there_or_not_well() {
    let unit = |text: &str| Readings::empty_host().probe_stdout(Probe::Units, text);
    assert_eq!(
        word("hw.registration.agent", &unit("Id=mpa_registration_tool.service\nLoadState=not-found\n")),
        "warn"
    );
    assert_eq!(
        word(
            "hw.registration.agent",
            &unit(&UNIT.replace("inactive", "failed").replace("success", "exit-code"))
        ),
        "warn"
    );
    assert_eq!(word("hw.registration.agent", &unit(&UNIT.replace("enabled", "disabled"))), "warn");
    let registered = status(unit("Id=mpa_registration_tool.service\nLoadState=not-found\n"), true, 0);
    assert_eq!(word("hw.registration.agent", &registered), "pass");
    assert_eq!(word("hw.registration.log", &registered), "not-applicable");
}

#[test]
fn ends_of_the_log() {
    let of = |text: &str| word("hw.registration.log", &Readings::nothing_known().file(LOG, text));
    assert_eq!(
        of(
            "ERROR: Failed to send request to server, error: 5\nERROR: Registration Flow - PLATFORM_ESTABLISHMENT or TCB_RECOVERY failed.\n"
        ),
        "fail"
    );
    assert_eq!(of("INFO: SGX Registration Agent version: 1.20.100.2\n"), "unknown");
    let denied = Readings::nothing_known().file_reading(LOG, Err(Unread::NotPermitted));
    assert_eq!(word("hw.registration.log", &denied), "unknown");
    assert_eq!(
        word("hw.registration.log", &status(Readings::nothing_known().file(LOG, NOT_SENT), true, 0)),
        "pass"
    );
}
