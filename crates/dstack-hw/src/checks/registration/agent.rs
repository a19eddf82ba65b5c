//! What the agent did.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::sgx::elsewhere;
use crate::facts::registration::AgentOutcome;
use crate::knowledge::bios_menus::{Setting, fix_for, update_for};
use crate::{Fact, HostFacts};

const LOG: &str = "/var/log/mpa_registration.log";
const UNIT: &str = "mpa_registration_tool";

pub(super) fn agent(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let registration = &facts.registration;
    let ran = registration.agent_log.known().is_some_and(|log| log.runs > 0 || !log.statements.is_empty());
    match facts.services.unit(UNIT) {
        Fact::Known(unit) => {
            let finding =
                |finding: Finding| finding.evidence("systemctl show mpa_registration_tool", unit.state());
            if unit.active_state == "failed" || !matches!(unit.result.as_str(), "" | "success") {
                return finding(check.warn())
                    .observed(format!("the agent's unit ended badly: {}", unit.state()))
                    .expected("inactive (dead) with success: the agent ends when it has done its work")
                    .fix(
                        Fix::new("read the agent's log, then start it again")
                            .command(format!("cat {LOG}"))
                            .command(format!("systemctl restart {UNIT}")),
                    );
            }
            if unit.unit_file_state == "disabled" && !ran {
                return finding(check.warn())
                    .observed("the agent is installed, not enabled, and has not run")
                    .expected("enabled: it has to run after firmware updates too")
                    .fix(Fix::new("enable the agent").command(format!("systemctl enable --now {UNIT}")));
            }
            // Ending at once is its normal way; an agent that is still active is at work.
            finding(check.pass())
                .observed("installed; it ends when it has done its work, which is as it should be")
        }
        other => {
            if registration.agent.known().is_some() || ran {
                let source = if ran { LOG } else { "/opt/intel/sgx-ra-service" };
                return check
                    .pass()
                    .observed("the agent is there")
                    .evidence(source, if ran { "it ran" } else { "mpa_registration" });
            }
            let complete =
                registration.status.known().is_some_and(|status| status.complete && status.error == 0);
            match (other, &registration.agent) {
                (Fact::Absent, _) if complete => check
                    .pass()
                    .observed("the agent is not installed, and the platform is registered without it; a firmware update may need it again"),
                (Fact::Absent, _) => check
                    .warn()
                    .observed("the registration agent is not installed")
                    .expected("sgx-ra-service, or another way of registering: the manifest sent to a cache or by the provider")
                    .evidence("/opt/intel/sgx-ra-service", "is not there")
                    .fix(Fix::new("install the agent from Intel's package source").command("apt install sgx-ra-service")),
                (Fact::Unread(why), _) => check.unknown(format!("units: {}", why.why())),
                (Fact::Known(_), _) => check.unknown("the agent's unit was not understood"),
            }
        }
    }
}

pub(super) fn log(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let registration = &facts.registration;
    let registered = registration.status.known().is_some_and(|status| status.complete && status.error == 0);
    let log = match &registration.agent_log {
        Fact::Known(log) => log,
        Fact::Absent if registered => {
            return check.not_applicable().observed("the platform is registered; there is no log of how");
        }
        Fact::Absent => {
            return check
                .unknown(format!("{LOG} is not there: the agent has not run, or not on this installation"));
        }
        Fact::Unread(why) => return check.unknown(format!("{LOG}: {}", why.why())),
    };
    let Some(statement) = log.last() else {
        return check.unknown(
            "the log does not say how a run went; its level may be set too low in /etc/mpa_registration.conf",
        );
    };
    let finding = |finding: Finding| finding.evidence(LOG, statement.line.as_str());
    let expected = "passed successfully, or nothing to do";
    match statement.outcome {
        AgentOutcome::Registered => finding(check.pass()).observed("the platform was registered"),
        AgentOutcome::NothingToDo => finding(check.pass()).observed("nothing to do: the platform is registered"),
        // An older refusal in the log is no matter where the firmware says that all is done.
        _ if registered => finding(check.pass()).observed("the last words in the log are a failure, and the platform is registered by now"),
        AgentOutcome::NotSent => finding(check.warn())
            .observed("nothing was sent: the firmware says that the server must not keep the keys. The unit looks fine all the same")
            .expected(format!("{expected}; or somebody registers the platform with its manifest through a cache"))
            .fix(fix_for(Setting::SgxAutoRegistration, &facts.firmware)),
        AgentOutcome::Unreachable => finding(check.fail())
            .observed("the registration server could not be reached")
            .expected(expected)
            .fix(
                Fix::new("allow outbound HTTPS, or set the proxy in /etc/mpa_registration.conf, then run the agent again")
                    .command(format!("systemctl restart {UNIT}")),
            ),
        AgentOutcome::NoRequest => finding(check.fail())
            .observed("the firmware prepared nothing to send, although the platform is not registered")
            .expected(expected)
            .fix(fix_for(Setting::SgxFactoryReset, &facts.firmware)),
        AgentOutcome::FirmwareError => finding(check.fail())
            .observed("the firmware's part of the registration has an error")
            .expected(expected)
            .fix(update_for(&facts.firmware)),
        _ => finding(check.fail())
            .observed("the registration server refused, or the agent failed")
            .expected(expected)
            .fix(Fix::new("look the error code up in the variable SgxRegistrationStatus (`hw.registration.status`)")),
    }
}
