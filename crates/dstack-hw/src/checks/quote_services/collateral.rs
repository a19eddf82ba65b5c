//! Where certificates come from.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::sgx::elsewhere;
use crate::facts::services::{CollateralUrl, PCCS_PATH, QCNL_PATH, Qcnl};
use crate::knowledge::error_codes::{Family, by_code};
use crate::{Fact, HostFacts, Unread};

/// What a working file says, for fixes.
const USUAL: &str =
    r#"{"pccs_url": "https://localhost:8081/sgx/certification/v4/", "use_secure_cert": false}"#;

pub(super) fn qcnl(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    if let Some(error) = &facts.services.qcnl_error {
        return check
            .fail()
            .observed(format!("the file cannot be understood: {error}"))
            .expected("JSON with // comments")
            .evidence(QCNL_PATH, error.as_str())
            .fix(
                Fix::new("correct the file at that place, then restart the service")
                    .command("systemctl restart qgsd"),
            );
    }
    let config = match &facts.services.qcnl {
        Fact::Known(config) => config,
        Fact::Absent => {
            return check
                .fail()
                .observed("the collateral client is not set up")
                .expected(QCNL_PATH)
                .evidence(QCNL_PATH, "is not there")
                .fix(
                    Fix::new(format!(
                        "install the client and name a collateral service in {QCNL_PATH}, as in {USUAL}"
                    ))
                    .command("apt install libsgx-dcap-default-qpl"),
                );
        }
        Fact::Unread(why) => return check.unknown(format!("{QCNL_PATH}: {}", why.why())),
    };
    let restart = |action: String| Fix::new(action).command("systemctl restart qgsd");
    let Some(url) = &config.pccs_url else {
        let finding = match &config.pccs_url_error {
            Some(why) => check.fail().observed(format!("`pccs_url` {why}")),
            None => check
                .warn()
                .observed("no `pccs_url` is set: the client asks the address that it was built with"),
        };
        return finding
            .expected("the URL of a collateral service, up to /sgx/certification/v4/")
            .evidence(QCNL_PATH, "pccs_url")
            .fix(restart(format!("set `pccs_url` in {QCNL_PATH}, as in {USUAL}")));
    };
    let excerpt = described(config, url);
    let finding = |finding: Finding| finding.evidence(QCNL_PATH, excerpt.as_str());
    if let Some(comma) = config.superfluous_commas.first() {
        return finding(check.warn())
            .observed(format!(
                "line {}, column {}: a comma {}, which the client's own reader may refuse",
                comma.line, comma.column, comma.place
            ))
            .expected("JSON with // comments")
            .fix(restart("remove the comma".to_owned()));
    }
    if !config.wrong_kind.is_empty() {
        return finding(check.warn())
            .observed(format!(
                "the client passes over settings with a value of the wrong kind: {}",
                config.wrong_kind.join(", ")
            ))
            .expected("true and false without quotes, numbers without quotes, URLs in quotes")
            .fix(restart("correct the values".to_owned()));
    }
    if url.is_intel() && !config.own_headers {
        return finding(check.warn())
            .observed("the client asks Intel's own service, which gives certificates to subscribers only, and sends no key")
            .expected("a local PCCS that has a key, or a public one")
            .fix(restart("set `pccs_url` to a PCCS".to_owned()));
    }
    if !url.has_api_path() {
        return finding(check.warn())
            .observed("`pccs_url` does not name a version of the certification API")
            .expected("a path that ends in /sgx/certification/v4/")
            .fix(restart("add /sgx/certification/v4/ to the URL".to_owned()));
    }
    if config.checks_certificates() && url.is_local() && url.secure && verified(facts) != Some(true) {
        let finding = finding(if verified(facts) == Some(false) { check.fail() } else { check.warn() });
        return finding
            .observed("the client refuses certificates that nobody signed, and a local PCCS signs its own as a rule: quotes fail with 0xb033 and curl error 60 then")
            .expected("use_secure_cert false for a local PCCS, or a certificate of a known authority")
            .fix(restart("set `use_secure_cert` to false".to_owned()));
    }
    if !url.is_local() && (!config.checks_certificates() || !url.secure) {
        return finding(check.warn())
            .observed(if url.secure {
                "the client accepts any certificate from a service on another machine"
            } else {
                "the client asks a service on another machine without TLS"
            })
            .expected("https and use_secure_cert true; what is fetched is signed by Intel, yet who listens learns which platforms ask")
            .fix(restart("use https and set `use_secure_cert` to true".to_owned()));
    }
    finding(check.pass()).observed(format!("collateral comes from {url}"))
}

/// Would checking the certificate of the service have succeeded?
fn verified(facts: &HostFacts) -> Option<bool> {
    Some(facts.services.collateral.known()?.tls_verify? == 0)
}

fn described(config: &Qcnl, url: &CollateralUrl) -> String {
    let secure = match config.use_secure_cert {
        Some(secure) => secure.to_string(),
        None => "not set, which means true".to_owned(),
    };
    format!("pccs_url {url}, use_secure_cert {secure}")
}

pub(super) fn pccs(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let services = &facts.services;
    let unit = services.unit("pccs");
    let url = services.qcnl.known().and_then(|config| config.pccs_url.as_ref());
    match url {
        Some(url) if !url.is_local() => {
            return check
                .not_applicable()
                .observed(format!("collateral comes from {}, not from this host", url.host));
        }
        None if unit.is_absent() => return check.not_applicable().observed("no local cache is installed"),
        None if unit.known().is_none() => {
            return check.unknown(format!("neither {QCNL_PATH} nor the units are known"));
        }
        _ => {}
    }
    let port = url.map_or(8081, CollateralUrl::effective_port);
    let listens = services
        .tcp_listeners
        .known()
        .map(|listeners| listeners.iter().any(|listener| listener.port == port));
    // Without the client's file it is not known whether anybody asks this cache.
    let active = unit.known().is_some_and(|unit| unit.is_active());
    if url.is_none() && services.qcnl.unread().is_some() && !active && listens != Some(true) {
        return check.unknown(format!(
            "the cache does not run; whether the client asks it is not known: {QCNL_PATH} was not read"
        ));
    }
    let start = Fix::new("start the cache, and read its journal if it does not stay up")
        .command("systemctl enable --now pccs")
        .command("journalctl -u pccs -b");
    match unit {
        Fact::Known(unit) if unit.is_active() => {
            let finding = |finding: Finding| finding.evidence("systemctl show pccs", unit.state());
            match &services.pccs {
                Fact::Known(config) if !config.has_api_key && config.fill_mode.as_deref() != Some("OFFLINE") => {
                    finding(check.warn())
                        .observed("the cache runs without an API key: Intel answers 401 when it asks for this platform's certificate")
                        .expected("`ApiKey` in the cache's configuration, from Intel's portal for provisioning certification")
                        .evidence(PCCS_PATH, "ApiKey is empty")
                        .fix(
                            Fix::new("get a key from https://api.portal.trustedservices.intel.com, set `ApiKey`, restart the cache")
                                .command(format!("${{EDITOR:-nano}} {PCCS_PATH}"))
                                .command("systemctl restart pccs"),
                        )
                }
                Fact::Known(_) => finding(check.pass()).observed("the cache runs and has an API key or works offline"),
                _ => finding(check.pass()).observed("the cache runs; whether it has an API key is not known"),
            }
        }
        _ if listens == Some(true) => check
            .pass()
            .observed(format!(
                "somebody listens on TCP port {port}: a cache without a unit, as in a container"
            ))
            .evidence("/proc/net/tcp", format!("port {port}")),
        Fact::Known(unit) => check
            .fail()
            .observed(format!("the collateral client asks this host, and the cache is {}", unit.state()))
            .expected("active (running)")
            .evidence("systemctl show pccs", unit.state())
            .fix(start),
        Fact::Absent => check
            .fail()
            .observed("the collateral client asks this host, and no cache is installed")
            .expected("pccs, or another host in `pccs_url`")
            .evidence(QCNL_PATH, url.map_or_else(String::new, ToString::to_string))
            .fix(
                Fix::new(format!("install the cache, or set `pccs_url` in {QCNL_PATH} to one elsewhere"))
                    .command("apt install sgx-dcap-pccs"),
            ),
        Fact::Unread(why) => check.unknown(format!("units: {}", why.why())),
    }
}

pub(super) fn reach(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let answer = match &facts.services.collateral {
        Fact::Known(answer) => answer,
        Fact::Absent => return check.unknown("no collateral service is known to ask"),
        Fact::Unread(Unread::NotAsked) => {
            return check.not_applicable().observed("the network was not asked");
        }
        Fact::Unread(why) => return check.unknown(why.why()),
    };
    let source = format!("GET {}", answer.url);
    let intel = facts
        .services
        .qcnl
        .known()
        .and_then(|config| config.pccs_url.as_ref())
        .is_some_and(CollateralUrl::is_intel);
    let look = Fix::new("look at the log of the collateral service, and ask it by hand")
        .command(format!("curl -k -s -o /dev/null -w '%{{http_code}}\\n' '{}'", answer.url));
    match (answer.status, answer.curl) {
        (Some(200), _) => check.pass().observed("200").evidence(source, "HTTP 200"),
        // Intel keeps the list at another address; that the service answers at all is what is asked.
        (Some(status), _) if intel && status < 500 => {
            check.pass().observed("Intel's service answers").evidence(source, format!("HTTP {status}"))
        }
        (Some(status), _) => {
            let words = by_code(Family::Pccs, u64::from(status))
                .map_or("not what a collateral service answers", |entry| entry.meaning);
            let finding = if status < 500 { check.warn() } else { check.fail() };
            finding
                .observed(format!("HTTP {status}: {words}"))
                .expected("HTTP 200 and Intel's root revocation list")
                .evidence(source, format!("HTTP {status}"))
                .fix(
                    by_code(Family::Pccs, u64::from(status))
                        .filter(|entry| !entry.fix.is_empty())
                        .map_or(look, |entry| Fix::new(entry.fix)),
                )
        }
        (None, code) => {
            let entry = code.and_then(|code| by_code(Family::Curl, u64::try_from(code).ok()?));
            let words = entry.map_or("no answer", |entry| entry.meaning);
            let excerpt =
                code.map_or_else(|| "no answer".to_owned(), |code| format!("curl exit status {code}"));
            let fix = entry.filter(|entry| !entry.fix.is_empty()).map_or(look, |entry| Fix::new(entry.fix));
            check.fail().observed(words).expected("HTTP 200").evidence(source, excerpt).fix(fix)
        }
    }
}
