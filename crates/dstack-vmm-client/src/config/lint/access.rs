//! Who reaches the API, and with what?

use dstack_check::{CheckDef, Finding, Fix};

use super::{Input, cite_all};
use crate::DstackVersion;
use crate::config::ListenAddress;
use crate::config::tree::{Node, Place};

/// The shortest token that is not complained about, in bytes: 128 bits if every byte counted.
const SHORTEST_TOKEN: usize = 16;

pub(super) fn address(check: &CheckDef, input: &Input<'_>) -> Finding {
    match input.config.listen() {
        Ok(address) => check.pass().observed(address.to_string()),
        Err(error) => {
            let fix = Fix::new("give the API a unix socket or a loopback address")
                .command(input.set_command("address", "127.0.0.1:9080"));
            let finding = check.fail().observed(error.to_string()).expected("unix:PATH or IP:PORT").fix(fix);
            input.cite(finding, "address")
        }
    }
}

pub(super) fn port_key(check: &CheckDef, input: &Input<'_>) -> Finding {
    let written = ListenAddress::parse(&input.config.address, None);
    let (written, port) = match (written, input.config.port) {
        (Ok(ListenAddress::Unix(_)), _) => return check.not_applicable(),
        // The address is an IP without port, which is where the key belongs.
        (Err(_), Some(_)) => return check.pass(),
        (Err(error), None) => return check.unknown(error.to_string()),
        (Ok(ListenAddress::Tcp(written)), port) => (written.port(), port),
    };
    match port {
        Some(port) if port != written => {
            let fix = Fix::new("write one port").command(input.set_command("port", &written.to_string()));
            let finding = check
                .warn()
                .observed(format!("the API listens on {port}, address says {written}"))
                .expected("one port")
                .fix(fix);
            input.cite(input.cite(finding, "port"), "address")
        }
        None if input.context.version == DstackVersion::Next => {
            let fix = Fix::new("write the port a second time, as a key of its own")
                .command(input.set_command("port", &written.to_string()));
            let finding = check
                .warn()
                .observed("`dstack-vmm check-config` fails on this file, although the VMM runs with it")
                .expected(format!("port = {written} at the top of the file"))
                .fix(fix);
            input.cite(finding, "port")
        }
        _ => check.pass(),
    }
}

pub(super) fn api_auth(check: &CheckDef, input: &Input<'_>) -> Finding {
    let Ok(address) = input.config.listen() else { return check.unknown("the address cannot be read") };
    if address.is_local() {
        return check.pass().observed(format!("{address} is reached from this machine alone"));
    }
    let auth = &input.config.auth;
    let covered = input.context.version.capabilities().auth_covers_rpc;
    if covered && auth.enabled {
        return check.pass().observed(format!("{address}, with authentication"));
    }
    let local = Fix::new(if covered {
        "switch authentication on with a random token, or listen on this machine alone"
    } else {
        "listen on this machine alone, and reach the API through an SSH tunnel or a proxy that authenticates"
    });
    let port = match address {
        ListenAddress::Tcp(socket) => socket.port(),
        ListenAddress::Unix(_) => 9080,
    };
    let fix = if covered {
        let fix = if auth.tokens.is_empty() { local.command(input.token_command()) } else { local };
        fix.command(input.set_command("auth.enabled", "true"))
    } else {
        local.command(input.set_command("address", &format!("127.0.0.1:{port}")))
    };
    let observed = match (covered, auth.enabled) {
        (true, _) => format!("{address} takes every call without a credential"),
        (false, true) => {
            format!("{address} takes every call without a credential; in v0.5 tokens guard /logs alone")
        }
        (false, false) => {
            format!("{address} takes every call without a credential, which v0.5 cannot change")
        }
    };
    let finding = check.fail().observed(observed).expected("a local address, or authentication").fix(fix);
    input.cite(input.cite(finding, "address"), "auth.enabled")
}

pub(super) fn auth_scope(check: &CheckDef, input: &Input<'_>) -> Finding {
    let auth = &input.config.auth;
    if !auth.enabled {
        if auth.tokens.is_empty() && auth.htpasswd_file.as_os_str().is_empty() {
            return check.not_applicable();
        }
        let finding = check
            .warn()
            .observed("there are credentials, and authentication is off")
            .expected("auth.enabled = true, or no credentials")
            .fix(Fix::new("switch authentication on").command(input.set_command("auth.enabled", "true")));
        return input.cite(finding, "auth.enabled");
    }
    if input.context.version.capabilities().auth_covers_rpc {
        return check.pass();
    }
    let finding = check
        .warn()
        .observed("GET /logs wants a token, every other call wants none")
        .expected("nothing else to be guarded by it")
        .fix(Fix::new("keep the API on a unix socket or a loopback address, whatever [auth] says"));
    input.cite(finding, "auth.enabled")
}

pub(super) fn auth_credentials(check: &CheckDef, input: &Input<'_>) -> Finding {
    let auth = &input.config.auth;
    if !auth.enabled {
        return check.not_applicable();
    }
    let has_file = input.context.version == DstackVersion::Next && !auth.htpasswd_file.as_os_str().is_empty();
    if !auth.tokens.is_empty() || has_file {
        return check.pass();
    }
    let refused = if input.context.version.capabilities().auth_covers_rpc {
        "every request"
    } else {
        "every request for logs"
    };
    let finding = check
        .fail()
        .observed(format!("authentication is on and nothing can satisfy it: {refused} is refused"))
        .expected("a token in auth.tokens, or an htpasswd file")
        .fix(Fix::new("put a random token into auth.tokens").command(input.token_command()));
    input.cite(input.cite(finding, "auth.enabled"), "auth.tokens")
}

/// The tokens of the file with their places. The text is for looking at, never for showing.
fn tokens<'a>(input: &'a Input<'_>) -> Vec<(&'a Place, &'a str)> {
    let Some(Node::List(items)) = input.entry("auth.tokens").map(|entry| &entry.node) else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|(place, node)| match node {
            Node::Text(token) if !token.is_empty() => Some((place, token.as_str())),
            _ => None,
        })
        .collect()
}

fn new_token(input: &Input<'_>) -> Fix {
    let fix = Fix::new("replace it with a random token, on the clients too");
    match input.config.auth.tokens.as_slice() {
        [_] => fix.command(input.token_command()),
        // The command would replace the other tokens too.
        _ => fix.command("openssl rand -hex 32"),
    }
}

pub(super) fn token_length(check: &CheckDef, input: &Input<'_>) -> Finding {
    let tokens = tokens(input);
    if tokens.is_empty() {
        return check.not_applicable();
    }
    let short: Vec<(Place, String)> = tokens
        .iter()
        .filter(|(_, token)| token.len() < SHORTEST_TOKEN)
        .map(|(place, token)| ((*place).clone(), format!("a token of {} bytes", token.len())))
        .collect();
    if short.is_empty() {
        return check.pass();
    }
    let finding = check
        .warn()
        .observed(format!("short tokens: {} of {}", short.len(), tokens.len()))
        .expected(format!("{SHORTEST_TOKEN} bytes or more"))
        .fix(new_token(input));
    cite_all(finding, &short)
}

pub(super) fn token_placeholder(check: &CheckDef, input: &Input<'_>) -> Finding {
    let tokens = tokens(input);
    if tokens.is_empty() {
        return check.not_applicable();
    }
    let known: Vec<(Place, String)> = tokens
        .iter()
        .filter(|(_, token)| is_placeholder(token))
        .map(|(place, _)| ((*place).clone(), "a text to be replaced".to_owned()))
        .collect();
    if known.is_empty() {
        return check.pass();
    }
    cite_all(
        check.fail().observed("a token that stands for one").expected("a random token").fix(new_token(input)),
        &known,
    )
}

/// Whether the token is what instructions and templates write where a token belongs. Random hexadecimal text has none of
/// these words.
fn is_placeholder(token: &str) -> bool {
    const WORDS: [&str; 10] = [
        "changeme",
        "change-me",
        "change_me",
        "your-",
        "your_",
        "yourtoken",
        "placeholder",
        "replace",
        "example",
        "insert",
    ];
    const MARKS: [&str; 5] = ["<", ">", "{{", "${", "..."];
    const WHOLE: [&str; 7] = ["token", "secret", "password", "admin", "test", "todo", "mytoken"];
    let lower = token.trim().to_lowercase();
    let mut chars = lower.chars();
    let first = chars.next();
    WORDS.iter().chain(&MARKS).any(|part| lower.contains(part))
        || WHOLE.contains(&lower.as_str())
        || chars.all(|c| Some(c) == first)
}

pub(super) fn token_file_mode(check: &CheckDef, input: &Input<'_>) -> Finding {
    if tokens(input).is_empty() {
        return check.not_applicable();
    }
    let Some(mode) = input.context.file_mode else {
        return check.unknown("the permissions of the file are not known");
    };
    let mode = mode & 0o7777;
    if mode & 0o007 == 0 {
        return check.pass().observed(format!("mode {mode:04o}"));
    }
    let file = super::shell_word(&input.context.config_path);
    let finding = check
        .fail()
        .observed(format!("mode {mode:04o}: every user of the host may open it"))
        .expected("mode 0640 or 0600")
        .fix(
            Fix::new("take the rights of others away, then change the token, which may have been read")
                .command(format!("chmod o-rwx {file}")),
        );
    input.cite(finding, "auth.tokens")
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn placeholders() {
        for token in
            ["changeme", "YOUR_TOKEN_HERE", "<token>", "${VMM_TOKEN}", "{{ vmm_token }}", "xxxxxxxx", "admin"]
        {
            assert!(is_placeholder(token), "{token}");
        }
        for token in ["6f1c0f6c8c2b4b0c9a5d", "correct horse battery staple", "dGhpcyBpcyByYW5kb20"] {
            assert!(!is_placeholder(token), "{token}");
        }
    }
}
