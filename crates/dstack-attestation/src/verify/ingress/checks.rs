//! Carries out the checks of an ingress.

use dstack_check::{CheckDef, Finding, Fix};
use serde_json::Value;

use super::{ACCOUNT, CHECKSUMS, Found, Ingress, QUOTE};
use crate::hash;
use crate::ra_tls::{HostName, RaTlsCertificate};
use crate::report_data;
use crate::verify::certificate::Presented;
use crate::verify::cvm::{Part, Subject};

pub(super) fn judge(check: &CheckDef, ingress: &Ingress<'_>, subject: &Subject<'_>) -> Finding {
    match check.id {
        "ingress.quote-file" => quote_file(check, ingress),
        "ingress.checksums" => checksums(check, ingress),
        "ingress.quote-binding" => quote_binding(check, ingress, subject),
        "ingress.certificate" => certificate(check, ingress),
        "ingress.live" => live(check, ingress),
        "ingress.validity" => validity(check, ingress, subject),
        "ingress.account" => account(check, ingress),
        _ => check.unknown("this version does not know how to carry the check out"),
    }
}

fn missing(check: &CheckDef, name: &str) -> Finding {
    check
        .unknown(format!("{name} was not given"))
        .fix(Fix::new(format!("fetch {name} from the ingress's /evidences/")))
}

fn quote_file(check: &CheckDef, ingress: &Ingress<'_>) -> Finding {
    match &ingress.quote {
        None => missing(check, QUOTE),
        Some(Err(why)) => check.unknown(why),
        Some(Ok(_)) => check.pass(),
    }
}

fn checksums(check: &CheckDef, ingress: &Ingress<'_>) -> Finding {
    const SHOWN: usize = 8;
    let listed = match &ingress.listed {
        None => return missing(check, CHECKSUMS),
        Some(Err(why)) => return check.unknown(why),
        Some(Ok(listed)) => listed.lines(),
    };
    let (mut wrong, mut absent) = (Vec::new(), Vec::new());
    for entry in listed {
        match ingress.evidence.files.get(&entry.name) {
            None => absent.push(entry.name.as_str()),
            Some(bytes) => {
                let digest = hash::sha256(&[bytes]);
                if digest != entry.sha256 {
                    wrong.push(format!("{} {digest}, listed {}", entry.name, entry.sha256));
                }
            }
        }
    }
    if !wrong.is_empty() {
        let lines: Vec<String> = wrong.into_iter().take(SHOWN).collect();
        return check.fail().observed(lines.join("\n")).expected("the digests listed").fix(Fix::new(
            "fetch all files again at one time; if they still differ, somebody changed them after the quote was made",
        ));
    }
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().copied().take(SHOWN).collect();
        return check
            .unknown(format!(
                "{} of {} listed files were not given: {}",
                absent.len(),
                listed.len(),
                names.join(", ")
            ))
            .fix(Fix::new("fetch every file that sha256sum.txt lists"));
    }
    let finding = check.pass().observed(format!("{} files", listed.len()));
    let unlisted = ingress
        .evidence
        .files
        .keys()
        .filter(|name| name.as_str() != QUOTE && name.as_str() != CHECKSUMS && !ingress.is_listed(name));
    let unlisted: Vec<&str> = unlisted.map(String::as_str).take(SHOWN).collect();
    if unlisted.is_empty() {
        finding
    } else {
        finding.evidence("not listed, and not looked at", unlisted.join(", "))
    }
}

fn quote_binding(check: &CheckDef, ingress: &Ingress<'_>, subject: &Subject<'_>) -> Finding {
    let Part::Read(quote) = &subject.quote else { return check.skipped("quote.readable") };
    let Some(bytes) = ingress.evidence.files.get(CHECKSUMS) else { return missing(check, CHECKSUMS) };
    let expected = report_data::sha256_of(bytes);
    let observed = quote.report.report_data;
    if observed == expected {
        return check.pass().observed(format!("report data {observed}"));
    }
    check
        .fail()
        .observed(format!("report data {observed}"))
        .expected(format!("report data {expected}, from {CHECKSUMS}"))
        .fix(Fix::new(
            "fetch quote.json and sha256sum.txt again at one time: both change when a certificate is renewed. If they still differ, the files are not those of this CVM",
        ))
}

fn certificate(check: &CheckDef, ingress: &Ingress<'_>) -> Finding {
    let domain = ingress.evidence.domain.as_deref().map(HostName::new);
    match ingress.certificate() {
        Found::Certificate(name, leaf) => {
            let finding = check.pass().observed(format!("{name}: {}", leaf.dns_names.iter().take(8).cloned().collect::<Vec<_>>().join(", ")));
            match domain {
                Some(domain) => finding.expected(domain.to_string()),
                None => finding.trusting("that the domain is one of the certificate's: none was named"),
            }
        }
        Found::Unknown(why) => check.unknown(why),
        Found::ForOthers(names) => check
            .fail()
            .observed(format!("certificates for {}", names.join(", ")))
            .expected(domain.map(|domain| domain.to_string()).unwrap_or_default())
            .fix(Fix::new("make sure that the evidence is fetched from the domain in question, and that the ingress serves it")),
    }
}

fn live(check: &CheckDef, ingress: &Ingress<'_>) -> Finding {
    let Found::Certificate(name, quoted) = ingress.certificate() else {
        return check.skipped("ingress.certificate");
    };
    let shown = match &ingress.chain {
        Part::Absent => {
            return check
                .unknown("no certificate of the host was given")
                .fix(Fix::new("connect to the domain over TLS and take the certificates that it shows"));
        }
        Part::Unreadable(why) => return check.unknown(why),
        Part::Read(presented) => presented.leaf(),
    };
    let Some(shown) = shown else { return check.unknown("the host showed no certificate") };
    if shown.der == quoted.der {
        return check.pass().observed(format!("that of {name}"));
    }
    let describe = |certificate: &RaTlsCertificate| {
        format!("{} of {}, serial {}", certificate.subject, certificate.issuer, certificate.serial)
    };
    let for_domain =
        ingress.evidence.domain.as_deref().is_none_or(|domain| shown.covers(&HostName::new(domain)));
    let finding = if shown.public_key == quoted.public_key && for_domain {
        check.warn().fix(Fix::new(
            "wait until the ingress has written new evidence: the certificate was renewed with the same key, which the quote binds through the old one",
        ))
    } else {
        check.fail().fix(Fix::new(
            "do not send secrets to this host: it does not use the certificate whose key was made in the CVM. Right after a renewal, fetch the evidence again",
        ))
    };
    finding.observed(describe(shown)).expected(describe(&quoted))
}

fn validity(check: &CheckDef, ingress: &Ingress<'_>, subject: &Subject<'_>) -> Finding {
    let now = subject.verifier.now();
    // What the host shows is what clients judge; the evidence may still be that of before a renewal.
    if let Part::Read(presented) = &ingress.chain {
        return presented.valid_at(check, now);
    }
    let Found::Certificate(_, quoted) = ingress.certificate() else {
        return check.skipped("ingress.certificate");
    };
    match Presented::read(&[quoted.der], None) {
        Part::Read(presented) => presented.valid_at(check, now),
        Part::Unreadable(why) => check.unknown(why),
        Part::Absent => check.unknown("there is no certificate"),
    }
}

fn account(check: &CheckDef, ingress: &Ingress<'_>) -> Finding {
    let Some(bytes) = ingress.evidence.files.get(ACCOUNT) else {
        return check.not_applicable().observed(format!("the evidence has no {ACCOUNT}"));
    };
    if !ingress.is_listed(ACCOUNT) {
        return check
            .fail()
            .observed(format!("{ACCOUNT} is not listed in {CHECKSUMS}"))
            .expected("a file that the quote binds")
            .fix(Fix::new("do not put this account in a CAA record: anybody can have added the file"));
    }
    let read: Result<Value, _> = serde_json::from_slice(bytes);
    let uri = read.ok().and_then(|value| value.get("uri").and_then(Value::as_str).map(str::to_owned));
    match uri {
        Some(uri) if !uri.is_empty() && uri.len() <= 2048 => check.pass().observed(uri),
        Some(_) | None => {
            check.unknown(format!("{ACCOUNT} has no member \"uri\" with the account's address"))
        }
    }
}
