//! The gateway's own checks, and what each of its quotes has to bind.

use dstack_check::{CheckDef, Finding, Fix, Report, Status};

use super::acme_info::{AcmeInfo, MAX_KEYS};
use super::{Binds, Gateway, Quoted};
use crate::verify::certificate::Presented;
use crate::verify::cvm::{Part, Subject};
use crate::verify::quoted;

/// Carries out a check of the gateway's own report.
pub(super) fn judge(check: &CheckDef, gateway: &Gateway<'_>) -> Finding {
    match check.id {
        "gateway.acme-info.readable" => readable(check, gateway),
        "gateway.account.quoted" => account(check, gateway),
        "gateway.account.cvm" => of_report(check, gateway.account.as_ref()),
        "gateway.certificate.readable" => certificate(check, gateway),
        "gateway.certificate.quoted" => certificate_quoted(check, gateway),
        "gateway.certificate.cvm" => of_report(check, report_in_use(gateway)),
        "gateway.certificate.names" => {
            on_chain(check, gateway, |presented| presented.named(check, gateway.evidence.domain.as_deref()))
        }
        "gateway.certificate.validity" => {
            on_chain(check, gateway, |presented| presented.valid_at(check, gateway.verifier.now()))
        }
        "gateway.history" => history(check, gateway),
        _ => check.unknown("this version does not know how to carry the check out"),
    }
}

/// Whether a quote binds what it has to.
pub(super) fn binding(check: &CheckDef, subject: &Subject<'_>, binds: &Binds) -> Finding {
    let Part::Read(quote) = &subject.quote else { return check.skipped("quote.readable") };
    let observed = quote.report.report_data;
    if observed == binds.expected {
        return check.pass().observed(format!("binds {}", binds.what));
    }
    check
        .fail()
        .observed(format!("report data {observed}"))
        .expected(format!("report data {}, from {}", binds.expected, binds.what))
        .fix(Fix::new("do not count on this quote: it was made for something else"))
}

fn readable(check: &CheckDef, gateway: &Gateway<'_>) -> Finding {
    match &gateway.info {
        None => check.unknown("no answer of AcmeInfo was given").fix(Fix::new(
            "ask the gateway for /.dstack/acme-info on one of its host names, or for AcmeInfo on its RPC port",
        )),
        Some(Err(why)) => check.unknown(why),
        Some(Ok(info)) => check.pass().observed(format!(
            "{}, {} certificate keys",
            if info.account_uri.is_empty() { "no ACME account" } else { info.account_uri.as_str() },
            info.listed
        )),
    }
}

fn on_info(check: &CheckDef, gateway: &Gateway<'_>, judge: impl FnOnce(&AcmeInfo) -> Finding) -> Finding {
    match gateway.info() {
        Some(info) => judge(info),
        None => check.skipped("gateway.acme-info.readable"),
    }
}

fn account(check: &CheckDef, gateway: &Gateway<'_>) -> Finding {
    on_info(check, gateway, |info| {
        if info.account_uri.is_empty() {
            return check
                .unknown("the gateway names no ACME account: it has none yet, or its certificates come from a file")
                .fix(Fix::new("add a ZT domain with a DNS credential, so that the gateway registers an account"));
        }
        match bound(&info.account, &Binds::account(&info.account_uri)) {
            Bound::Yes => check.pass().observed(info.account_uri.clone()),
            Bound::No(observed) => check
                .fail()
                .observed(observed)
                .expected(format!("a quote that binds {}", info.account_uri))
                .fix(Fix::new(
                    "do not put this account in a CAA record: another CVM's quote is shown for it",
                )),
            Bound::Untold(why) => check.unknown(why),
        }
    })
}

/// Whether the report data of a quote is what it should be.
enum Bound {
    Yes,
    /// What it is instead, in words.
    No(String),
    /// Why that cannot be told.
    Untold(String),
}

fn bound(quoted: &Quoted, binds: &Binds) -> Bound {
    match quoted {
        None => Bound::Untold(format!("the gateway shows no quote for {}", binds.what)),
        Some(Err(why)) => Bound::Untold(why.clone()),
        Some(Ok(evidence)) => match quoted::report_data(evidence) {
            None => Bound::Untold(format!("what the gateway shows for {} is no TDX quote", binds.what)),
            Some(data) if data == binds.expected => Bound::Yes,
            Some(data) => Bound::No(format!("report data {data}")),
        },
    }
}

/// The answer of a report about a quote.
fn of_report(check: &CheckDef, report: Option<&Report>) -> Finding {
    match report {
        None => check.unknown("there is no report about the quote"),
        Some(report) => {
            let finding = quoted::summary(check, report);
            match &finding.status {
                Status::Fail | Status::Warn | Status::Unknown { .. } => {
                    finding.evidence("in full", format!("the report \"{}\"", report.subject()))
                }
                Status::Pass | Status::Skipped { .. } | Status::NotApplicable => finding,
            }
        }
    }
}

/// Runs a check of the certificates that the gateway shows.
fn on_chain(check: &CheckDef, gateway: &Gateway<'_>, judge: impl FnOnce(&Presented) -> Finding) -> Finding {
    match &gateway.chain {
        Part::Absent => check
            .unknown("no certificate of the gateway was given")
            .fix(Fix::new("connect to the gateway over TLS and take the certificates that it shows")),
        Part::Unreadable(why) => check.unknown(why),
        Part::Read(presented) => judge(presented),
    }
}

fn certificate(check: &CheckDef, gateway: &Gateway<'_>) -> Finding {
    on_chain(check, gateway, |presented| presented.readable(check))
}

fn certificate_quoted(check: &CheckDef, gateway: &Gateway<'_>) -> Finding {
    let Some(leaf) = gateway.leaf() else { return check.skipped("gateway.certificate.readable") };
    on_info(check, gateway, |info| {
        let key = leaf.public_key.as_slice();
        let mut listed = info.keys.iter().filter(|known| known.public_key.as_deref() == Ok(key)).peekable();
        let fix = || {
            Fix::new(
                "do not send secrets through this gateway: the key of its certificate was not shown to be made in a CVM",
            )
        };
        if listed.peek().is_none() {
            return check
                .fail()
                .observed(format!("none of the {} keys listed is that of the certificate", info.listed))
                .expected(format!("the key {}", hex::encode(key)))
                .fix(fix());
        }
        let binds = Binds::key(key);
        let (mut other, mut untold) = (None, None);
        for known in listed {
            match bound(&known.evidence, &binds) {
                Bound::Yes => {
                    return check.pass().observed(format!("key {} of {}", known.number, info.listed));
                }
                Bound::No(observed) => other = Some(observed),
                Bound::Untold(why) => untold = Some(why),
            }
        }
        match (other, untold) {
            (Some(observed), _) => check
                .fail()
                .observed(observed)
                .expected("a quote that binds the certificate's key")
                .fix(fix()),
            (None, Some(why)) => check.unknown(why),
            (None, None) => check.unknown("the gateway shows no quote for the certificate's key"),
        }
    })
}

/// The report about the quote that binds the key in use.
fn report_in_use<'g>(gateway: &'g Gateway<'_>) -> Option<&'g Report> {
    let key = gateway.leaf()?.public_key.as_slice();
    let binds = Binds::key(key);
    let mut of_key = gateway.quoted_keys().filter(|(known, _)| known.public_key.as_deref() == Ok(key));
    let (_, report) = of_key.find(|(known, _)| matches!(bound(&known.evidence, &binds), Bound::Yes))?;
    report
}

fn history(check: &CheckDef, gateway: &Gateway<'_>) -> Finding {
    const SHOWN: usize = 5;
    on_info(check, gateway, |info| {
        if info.listed == 0 {
            return check.unknown("the gateway lists no certificate key: it has had no certificate yet");
        }
        let (mut good, mut wrong, mut untold) = (0_usize, Vec::new(), Vec::new());
        for known in &info.keys {
            let told = match &known.public_key {
                Ok(key) => bound(&known.evidence, &Binds::key(key)),
                Err(why) => Bound::Untold(why.clone()),
            };
            match told {
                Bound::Yes => good += 1,
                Bound::No(observed) => wrong.push(format!("key {}: {observed}", known.number)),
                Bound::Untold(why) => untold.push(format!("key {}: {why}", known.number)),
            }
        }
        let observed = format!("{good} of {} keys are bound by their quotes", info.listed);
        let shown = |lines: &[String]| lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
        if !wrong.is_empty() {
            return check
                .fail()
                .observed(format!("{observed}\n{}", shown(&wrong)))
                .expected("report data from each key")
                .fix(Fix::new("ask the gateway's operator about these keys, and look for their certificates in the transparency logs"));
        }
        if !untold.is_empty() {
            return check.unknown(format!("{observed}\n{}", shown(&untold)));
        }
        if info.listed > info.keys.len() {
            return check.unknown(format!("{observed}; no more than {MAX_KEYS} were looked at"));
        }
        check.pass().observed(observed)
    })
}
