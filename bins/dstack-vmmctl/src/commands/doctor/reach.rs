//! Whether the VMM can be talked to, and by whom else.

use dstack_check::{CheckDef, Finding, Fix, Hinted};
use dstack_vmm_client::Error;

use super::gather::{Facts, is_connected, why};
use super::{chain, not_known};
use crate::checks::{CLEARTEXT, CONNECT, CREDENTIALS, ENDPOINT, OPEN_API, PROTOCOL, TOKEN, VERSION};

pub(super) fn evaluate(check: &CheckDef, facts: &Facts) -> Finding {
    match check.id {
        id if id == ENDPOINT.id => endpoint(check, facts),
        id if id == TOKEN.id => token(check, facts),
        id if id == CONNECT.id => connect(check, facts),
        id if id == PROTOCOL.id => protocol(check, facts),
        id if id == CREDENTIALS.id => credentials(check, facts),
        id if id == VERSION.id => version(check, facts),
        id if id == OPEN_API.id => open_api(check, facts),
        id if id == CLEARTEXT.id => cleartext(check, facts),
        _ => not_known(check),
    }
}

fn endpoint(check: &CheckDef, facts: &Facts) -> Finding {
    match &facts.parsed {
        Ok(endpoint) => check.pass().observed(endpoint.to_string()),
        Err(error) => failed(check, error),
    }
}

fn token(check: &CheckDef, facts: &Facts) -> Finding {
    match &facts.credentials {
        Ok(true) => check.pass(),
        Ok(false) => check.not_applicable().observed("no token is given"),
        Err(error) => check
            .fail()
            .observed(error.clone())
            .expected("a file of mode 0600, or a variable that is set")
            .fix(Fix::new("name the source with `--token-from`, and give a file to its owner alone")),
    }
}

fn connect(check: &CheckDef, facts: &Facts) -> Finding {
    match &facts.version {
        Some(Ok(_)) => check.pass(),
        Some(Err(error)) if is_connected(error) => check.pass(),
        Some(Err(error)) => failed(check, error),
        None => check.unknown("no client could be made: is the certificate authority a PEM file?"),
    }
}

fn protocol(check: &CheckDef, facts: &Facts) -> Finding {
    match &facts.version {
        Some(Ok(server)) => check.pass().observed(format!("dstack VMM {}", server.reported.version)),
        // Who asks for credentials may be the VMM or a proxy before it; the next check says which are wanted.
        Some(Err(error @ (Error::Unauthorized { .. } | Error::Api { .. }))) => {
            check.pass().observed(chain(error))
        }
        Some(Err(error)) => failed(check, error),
        None => check.unknown("it was not asked"),
    }
}

fn credentials(check: &CheckDef, facts: &Facts) -> Finding {
    match &facts.version {
        Some(Ok(_)) => match &facts.credentials {
            Ok(true) => check.pass(),
            _ => check.pass().observed("none are wanted"),
        },
        Some(Err(error)) => {
            let finding = failed(check, error);
            match error {
                Error::Unauthorized { had_credentials: false, .. } => finding.fix(Fix::new(
                    "give the API token: `--token-from FILE`, or the variable DSTACK_VMM_TOKEN",
                )),
                _ => finding,
            }
        }
        None => check.unknown("it was not asked"),
    }
}

fn version(check: &CheckDef, facts: &Facts) -> Finding {
    match why(facts.version.as_ref()) {
        Err(why) => check.unknown(why),
        Ok(server) => {
            let observed = format!("{} ({})", server.reported.version, server.reported.rev);
            match server.warning() {
                None => check.pass().observed(observed),
                Some(warning) => check.warn().observed(warning).fix(Fix::new(
                    "look for a newer dstack-vmmctl; until then read plans twice before you apply them",
                )),
            }
        }
    }
}

fn open_api(check: &CheckDef, facts: &Facts) -> Finding {
    let Ok(endpoint) = &facts.parsed else { return check.unknown("the endpoint is none") };
    if endpoint.host_port().is_none() {
        return match facts.socket_mode {
            Some(mode) if mode & 0o002 != 0 => check
                .warn()
                .observed(format!("every user of the machine may write to the socket (mode {mode:04o})"))
                .fix(Fix::new("give the socket to a group of its own").command(format!(
                    "chmod 660 {}",
                    endpoint.socket_path().map(|path| path.display().to_string()).unwrap_or_default()
                ))),
            Some(mode) => check.pass().observed(format!("a unix socket of mode {mode:04o}")),
            None => check.unknown("the socket cannot be looked at"),
        };
    }
    match &facts.without_credentials {
        None => check.unknown("it was not asked"),
        Some(Ok(())) => {
            let guarded = facts.version.as_ref().and_then(|version| version.as_ref().ok());
            let fix = if guarded.is_some_and(|server| server.capabilities().auth_covers_rpc) {
                Fix::new("switch `auth.enabled` on in vmm.toml and give it a random token")
            } else {
                Fix::new(
                    "this version asks nobody for a credential: listen on a unix socket or the loopback address, and put a proxy that asks before it",
                )
            };
            check.warn().observed("calls without any credential are answered").fix(fix)
        }
        Some(Err(Error::Unauthorized { .. })) => check.pass().observed("it refuses them"),
        Some(Err(error)) => check.unknown(chain(error)),
    }
}

fn cleartext(check: &CheckDef, facts: &Facts) -> Finding {
    match (&facts.parsed, &facts.credentials) {
        (Ok(endpoint), Ok(true)) if endpoint.is_cleartext_remote() => check
            .fail()
            .observed(format!("the token goes to {endpoint} without TLS"))
            .fix(Fix::new("put TLS before the VMM and use https, or come in through an SSH tunnel")),
        (Ok(_), Ok(true)) => check.pass(),
        _ => check.not_applicable().observed("no token is sent"),
    }
}

/// A failed call: what happened, and the next step where it is known.
fn failed(check: &CheckDef, error: &Error) -> Finding {
    let finding = check.fail().observed(chain(error));
    match error.hint() {
        Some(hint) => finding.fix(Fix::new(hint.as_str().to_owned())),
        None => finding,
    }
}
