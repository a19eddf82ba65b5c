//! Checks of the event log.

use dstack_check::{CheckDef, Finding, Fix};

use crate::event_log::{Divergence, EventLog, Rtmr};
use crate::quote::TdxQuote;
use crate::verify::cvm::subject::{Part, Subject, list};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    CheckDef::new("eventlog.readable", "the event log can be read")
        .layer("event log")
        .needs("the event log that comes with a quote, or the guest's tcb_info")
        .why("the log explains what the registers in the quote stand for")
        .proves("the log is well-formed, and every entry says which register it went into")
        .leaves_open("whether anything in it is true: the log is the guest's or its host's word until it replays"),
    CheckDef::new("eventlog.digests", "every runtime event has the digest of its content")
        .layer("event log")
        .parents(&["eventlog.readable"])
        .why("an entry that shows one thing and was measured as another explains nothing")
        .proves("no runtime entry states a digest or a preimage that its name and payload do not have")
        .leaves_open("whether these entries are the ones that were measured: the replay tells that"),
    CheckDef::new("eventlog.order", "dstack's events are each there once and in order")
        .layer("event log")
        .parents(&["eventlog.readable"])
        .why("two events of one name are two answers to one question")
        .proves("up to system-ready, the log has one readable answer for each of dstack's events and hides none")
        .leaves_open("what the app measured after system-ready, under whatever name"),
    CheckDef::new("eventlog.boot-complete", "the guest finished booting")
        .layer("event log")
        .parents(&["eventlog.readable"])
        .why("before system-ready, what dstack measures is not complete")
        .proves("dstack's set-up of the guest came to its end and handed over to the app")
        .leaves_open("whether the app itself runs and is well"),
    CheckDef::new("eventlog.replay-rtmr3", "the log replays to the quote's RTMR3")
        .layer("event log")
        .parents(&["eventlog.readable", "quote.readable"])
        .why("only then do the events of dstack and the app stand for what was measured")
        .proves("RTMR3 of the quote was extended with exactly these runtime events, in this order, and no others")
        .leaves_open(
            "whether a genuine dstack image measured them: another OS can extend RTMR3 with whatever it likes",
        ),
    CheckDef::new("eventlog.replay-boot", "the log replays to the quote's RTMR0 to RTMR2")
        .layer("event log")
        .parents(&["eventlog.readable", "quote.readable"])
        .why("only then do the boot entries stand for what the firmware and the kernel measured")
        .proves("RTMR0 to RTMR2 of the quote were extended with exactly the digests of these entries")
        .leaves_open("which image and which settings the digests belong to: names and payloads in them are remarks"),
];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "eventlog.readable" => readable(check, subject),
        "eventlog.digests" => digests(check, subject),
        "eventlog.order" => order(check, subject),
        "eventlog.boot-complete" => boot_complete(check, subject),
        "eventlog.replay-rtmr3" => replay_rtmr3(check, subject),
        "eventlog.replay-boot" => replay_boot(check, subject),
        _ => return None,
    })
}

fn readable(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    match &subject.log {
        Part::Absent => check.unknown("no event log was given, and tcb_info has none").fix(Fix::new(
            "fetch the log with GetQuote from inside the CVM, or set public_tcbinfo in the app-compose",
        )),
        Part::Unreadable(why) => check.unknown(why),
        Part::Read(log) => check
            .pass()
            .observed(format!("{} entries", log.entries().len()))
            .evidence(subject.log_source, runtime_names(log)),
    }
}

fn runtime_names(log: &EventLog) -> String {
    let names: Vec<String> = log.runtime_events().map(|event| format!("{:?}", event.entry.name())).collect();
    format!("RTMR3: {}", names.join(", "))
}

fn digests(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Part::Read(log) = &subject.log else { return check.unknown("there is no log") };
    let wrong: Vec<Divergence> = log.divergences().collect();
    if wrong.is_empty() {
        let runtime = log.runtime_events().count();
        return check.pass().observed(format!("{runtime} runtime events"));
    }
    check
        .fail()
        .observed(list(&wrong))
        .expected("the digest of every runtime event is the hash of its name and payload")
        .fix(Fix::new("do not believe the log: somebody changed it after it was written"))
}

fn order(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let problems = &subject.system.problems;
    if problems.is_empty() {
        return check.pass();
    }
    let finding = if problems.iter().any(|problem| problem.is_ambiguous()) {
        check.fail().fix(Fix::new("do not believe the log: it gives two answers to one question, or none"))
    } else {
        check.warn().fix(Fix::new("compare the OS image with the version of dstack it is said to be"))
    };
    finding.observed(list(problems)).expected("dstack's events, in the order in which a boot measures them")
}

fn boot_complete(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let app_events = subject.system.app_events;
    match subject.system.system_ready {
        Some(index) => check
            .pass()
            .observed(format!("system-ready is entry {index}, followed by {app_events} of the app")),
        None => check
            .fail()
            .observed("no system-ready event")
            .expected("a system-ready event in RTMR3")
            .fix(Fix::new("wait until the guest has booted and fetch the evidence again")),
    }
}

fn replay_rtmr3(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let (Part::Read(log), Part::Read(quote)) = (&subject.log, &subject.quote) else {
        return check.not_applicable();
    };
    match divergence(log, quote, Rtmr::Rtmr3) {
        None => check.pass().observed(format!("RTMR3 {}", quote.report.measurements.rtmr3)),
        Some(divergence) => {
            let older = matches!(divergence, Divergence::Register { matched_after: Some(_), .. });
            let fix = if older {
                "take quote and log from one and the same answer: events were measured after this quote was made"
            } else {
                "do not believe the log: it is not the one of this quote, or entries were changed, moved or removed"
            };
            check.fail().observed(divergence.to_string()).expected("the quote's RTMR3").fix(Fix::new(fix))
        }
    }
}

fn replay_boot(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let (Part::Read(log), Part::Read(quote)) = (&subject.log, &subject.quote) else {
        return check.not_applicable();
    };
    // Certificates leave most of the firmware's entries out, so that nothing follows from their logs here.
    if subject.evidence.attestation.as_ref().is_some_and(|attested| attested.shortened_log) {
        return check.not_applicable().observed("the log came without the entries of the firmware");
    }
    let boot = [Rtmr::Rtmr0, Rtmr::Rtmr1, Rtmr::Rtmr2];
    let wrong: Vec<Divergence> = boot.into_iter().filter_map(|rtmr| divergence(log, quote, rtmr)).collect();
    if wrong.is_empty() {
        return check.pass();
    }
    check.fail().observed(list(&wrong)).expected("the quote's RTMR0 to RTMR2").fix(Fix::new(
        "compare RTMR0 to RTMR2 of the quote itself with those of the OS image, not with the log",
    ))
}

fn divergence(log: &EventLog, quote: &TdxQuote, rtmr: Rtmr) -> Option<Divergence> {
    log.register_divergence(rtmr, &quote.report.measurements.rtmrs().get(rtmr))
}
