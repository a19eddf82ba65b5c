//! What the firmware's variables say.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::sgx::elsewhere;
use crate::facts::registration::{AgentOutcome, RegistrationStatus, STATUS};
use crate::knowledge::bios_menus::{Setting, fix_for, update_for};
use crate::knowledge::error_codes::{Family, by_code};
use crate::{Fact, HostFacts, Unread};

/// Where the variables are.
const EFIVARS: &str = "/sys/firmware/efi/efivars";

pub(super) fn variables(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let registration = &facts.registration;
    match &registration.variables {
        Fact::Known(names) if names.iter().any(|name| name == STATUS) => check
            .pass()
            .observed(format!("{} variables of SGX registration", names.len()))
            .evidence(EFIVARS, STATUS),
        _ if registration.status.known().is_some() => {
            check.pass().observed("SgxRegistrationStatus is there").evidence(EFIVARS, STATUS)
        }
        Fact::Known(_) => {
            let fix = Fix::new(
                "turn SGX and the in-band access to SGX package information on in the firmware; platforms of one package may do without",
            )
            .only_a_hint();
            check
                .warn()
                .observed("efivarfs has no SgxRegistrationStatus: SGX or its package information is off in the firmware, or this platform has no multi-package registration")
                .expected(STATUS)
                .evidence(EFIVARS, "no variable SgxRegistrationStatus")
                .fix(fix)
        }
        Fact::Absent => match &registration.booted_by_uefi {
            Fact::Absent => check
                .fail()
                .observed("the system was not booted by UEFI: there are no variables")
                .expected("a boot by UEFI")
                .evidence("/sys/firmware/efi", "is not there")
                .fix(fix_for(Setting::UefiBoot, &facts.firmware)),
            Fact::Known(()) => check.unknown(
                "efivarfs is empty or not mounted, as in containers: mount it at /sys/firmware/efi/efivars",
            ),
            Fact::Unread(why) => check.unknown(format!("/sys/firmware/efi: {}", why.why())),
        },
        Fact::Unread(why) => match registration.agent_log.known().and_then(|log| log.last()) {
            Some(statement) if statement.outcome != AgentOutcome::FirmwareError => check
                .pass()
                .observed("implied: the registration agent read them")
                .evidence("/var/log/mpa_registration.log", statement.line.as_str()),
            _ => check.unknown(format!("{EFIVARS}: {}", why.why())),
        },
    }
}

pub(super) fn status(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let registration = &facts.registration;
    if let Fact::Known(status) = &registration.status {
        return of_variable(check, facts, *status);
    }
    if let Fact::Known(said) = &registration.agent_status
        && said.to_ascii_lowercase().contains("completed successfully")
    {
        return check
            .pass()
            .observed("the agent says that the registration is complete")
            .evidence("mpa_manage -get_registration_status", said.as_str());
    }
    if let Some(log) = facts.services.quote_log.known().filter(|log| log.quotes_made() > 0) {
        return check
            .pass()
            .observed("implied: quotes were made, which takes the platform's certificate")
            .evidence(
                "journal of qgsd",
                format!("tee_att_get_quote return Success, {} times", log.quotes_made()),
            );
    }
    let statement = registration.agent_log.known().and_then(|log| log.last());
    match statement.map(|statement| (statement.outcome, statement.line.as_str())) {
        Some((outcome, line)) if outcome.is_success() => {
            return match certificate_missing(facts) {
                Some(missing) => without_certificate(check)
                    .evidence("/var/log/mpa_registration.log", line)
                    .evidence("journal of qgsd", missing),
                None => check
                    .pass()
                    .observed("the agent's log says that the platform is registered")
                    .evidence("/var/log/mpa_registration.log", line),
            };
        }
        // The agent read that out of the variable.
        Some((AgentOutcome::Failed, line)) if line.contains("completed unsuccessfully") => {
            return check
                .fail()
                .observed("the registration was refused")
                .expected("a registration that is complete")
                .evidence("/var/log/mpa_registration.log", line)
                .fix(
                    Fix::new("look the error code up, then let the agent try again")
                        .command("dstack-hw explain CODE"),
                );
        }
        _ => {}
    }
    // The quote library names the missing certificate; why it is missing is not known from that.
    if let Some(line) = certificate_missing(facts) {
        return check
            .fail()
            .observed("there is no certificate for this platform: it is not registered, or the collateral cache does not have it")
            .expected("a certificate for the platform")
            .evidence("journal of qgsd", line)
            .fix(
                Fix::new("register the platform, then let the cache fetch its certificate")
                    .command("systemctl restart mpa_registration_tool")
                    .command("PCKIDRetrievalTool"),
            );
    }
    check.unknown(match &registration.status {
        Fact::Absent => {
            "there is no variable SgxRegistrationStatus, and the agent's log says nothing".to_owned()
        }
        Fact::Unread(why) => format!("SgxRegistrationStatus: {}; the agent's log says nothing", why.why()),
        Fact::Known(_) => String::new(),
    })
}

fn of_variable(check: &CheckDef, facts: &HostFacts, status: RegistrationStatus) -> Finding {
    let excerpt = format!("complete {}, error {:#04x}", u8::from(status.complete), status.error);
    let finding = |finding: Finding| {
        finding
            .expected("complete, error 0x00")
            .evidence("UEFI variable SgxRegistrationStatus", excerpt.as_str())
    };
    match (status.complete, status.error) {
        (true, 0) => match certificate_missing(facts) {
            Some(line) => finding(without_certificate(check)).evidence("journal of qgsd", line),
            None => finding(check.pass()).observed("registered"),
        },
        (false, 0) => {
            if facts
                .registration
                .configuration
                .known()
                .is_some_and(|configuration| configuration.keys_not_kept)
            {
                return finding(not_sent(check, facts));
            }
            finding(check.fail())
                .observed("not registered yet: the manifest waits to be sent")
                .fix(run_again())
        }
        (_, error) => {
            let entry = by_code(Family::Registration, u64::from(error));
            let by_firmware = error & 0x80 == 0;
            let observed = match entry {
                Some(entry) => {
                    format!("registration ended with {error:#04x} ({}): {}", entry.name, entry.meaning)
                }
                None if by_firmware => {
                    format!("the firmware reports error {error:#04x} in its part of the registration")
                }
                None => format!("registration ended with error {error:#04x}, which is not known"),
            };
            let fix = match entry {
                Some(entry) if !entry.fix.is_empty() => Fix::new(entry.fix),
                _ if by_firmware => update_for(&facts.firmware),
                _ => run_again(),
            };
            finding(check.fail()).observed(observed).fix(fix)
        }
    }
}

/// Registered, by what the firmware or the agent says, and yet without a certificate.
fn without_certificate(check: &CheckDef) -> Finding {
    check
        .warn()
        .observed("the registration is said to be complete, and yet there is no certificate for the platform: a stale registration, or the cache did not fetch it")
        .expected("a registration that is complete, and a certificate for the platform")
        .fix(
            Fix::new(
                "let the cache fetch the certificate first; if that does not help, register anew with a factory reset of SGX in the firmware, which makes everything sealed on this host unreadable",
            )
            .command("PCKIDRetrievalTool"),
        )
}

fn not_sent(check: &CheckDef, facts: &HostFacts) -> Finding {
    check
        .fail()
        .observed("not registered, and the agent sends nothing: the firmware says that the server must not keep the keys")
        .expected("a registration that is complete")
        .fix(fix_for(Setting::SgxAutoRegistration, &facts.firmware))
}

fn run_again() -> Fix {
    Fix::new("let the agent try again, and read its log; behind a proxy set it in /etc/mpa_registration.conf")
        .command("systemctl restart mpa_registration_tool")
        .command("cat /var/log/mpa_registration.log")
}

/// The line of the quote services that says that the platform has no certificate, if no quote was made after it.
fn certificate_missing(facts: &HostFacts) -> Option<&str> {
    let log = facts.services.quote_log.known()?;
    let line = log.errors_since_success().find(|line| {
        line.text.contains("0xe011") || line.text.contains("No certificate data for this platform")
    })?;
    Some(&line.text)
}

pub(super) fn direct(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let registration = &facts.registration;
    let warn = || {
        check
            .warn()
            .observed("the server must not keep the platform's keys: the host cannot register itself, only with its manifest through a cache")
            .expected("SGX Auto MP Registration enabled in the firmware")
            .fix(fix_for(Setting::SgxAutoRegistration, &facts.firmware))
    };
    match &registration.configuration {
        Fact::Known(configuration) => {
            let server = configuration.server.as_deref().unwrap_or("a server that is not named");
            let excerpt = format!("flags bit 0 = {}, {server}", u8::from(configuration.keys_not_kept));
            let source = "UEFI variable SgxRegistrationConfiguration";
            if configuration.keys_not_kept {
                warn().evidence(source, excerpt)
            } else {
                check.pass().observed("the host may register itself").evidence(source, excerpt)
            }
        }
        other => match registration.agent_log.known().and_then(|log| log.last()) {
            Some(statement) if statement.outcome == AgentOutcome::NotSent => {
                warn().evidence("/var/log/mpa_registration.log", statement.line.as_str())
            }
            Some(statement) if statement.outcome == AgentOutcome::Registered => check
                .pass()
                .observed("implied: the agent registered the platform")
                .evidence("/var/log/mpa_registration.log", statement.line.as_str()),
            _ => check.unknown(match other.unread() {
                Some(why @ Unread::Failed(_)) => why.why(),
                Some(why) => format!("SgxRegistrationConfiguration: {}", why.why()),
                None => "there is no variable SgxRegistrationConfiguration".to_owned(),
            }),
        },
    }
}
