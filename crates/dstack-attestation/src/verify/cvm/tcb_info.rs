//! Does the `tcb_info` of the guest agent, which nothing signs, agree with what does prove something?

use dstack_check::{CheckDef, Finding, Fix};

use crate::Digest48;
use crate::agent::TcbInfo;
use crate::event_log::{Entry, EventLog, Rtmr};
use crate::verify::cvm::subject::{Part, Subject, list};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] =
    &[CheckDef::new("app.tcb-info.consistent", "the guest's tcb_info agrees with the quote and the log")
        .layer("identity")
        .needs("the guest agent's Info, with public_tcbinfo")
        .why("dashboards and scripts show tcb_info, which nothing signs")
        .proves("every value in tcb_info that can be held against the quote or the log is the same there")
        .leaves_open("whatever in tcb_info stands in neither of them, such as the device id")];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "app.tcb-info.consistent" => consistent(check, subject),
        _ => return None,
    })
}

/// The value of one runtime register; `None` off TDX.
const fn register(tcb: &TcbInfo, rtmr: Rtmr) -> Option<Digest48> {
    match rtmr {
        Rtmr::Rtmr0 => tcb.rtmr0,
        Rtmr::Rtmr1 => tcb.rtmr1,
        Rtmr::Rtmr2 => tcb.rtmr2,
        Rtmr::Rtmr3 => tcb.rtmr3,
    }
}

fn consistent(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let tcb = match &subject.tcb_info {
        Part::Absent => return check.not_applicable(),
        Part::Unreadable(why) => return check.unknown(why),
        Part::Read(tcb) => tcb,
    };
    let mut wrong = Vec::new();
    let mut compared = 0;
    let mut hold = |field: &str, stated: Option<String>, actual: Option<String>, source: &str| {
        let (Some(stated), Some(actual)) = (stated, actual) else { return };
        compared += 1;
        if stated != actual {
            wrong.push(format!("{field} is {stated}, {source} {actual}"));
        }
    };
    let text = |value: Option<Digest48>| value.map(|value| value.to_string());
    if let Part::Read(quote) = &subject.quote {
        let measured = &quote.report.measurements;
        hold("mrtd", text(tcb.mrtd), text(Some(measured.mrtd)), "the quote has");
        for rtmr in Rtmr::ALL {
            let field = format!("rtmr{}", rtmr.index());
            hold(&field, text(register(tcb, rtmr)), text(Some(measured.rtmrs().get(rtmr))), "the quote has");
        }
        let aggregated = measured.mr_aggregated(&quote.report.creator);
        // Agents that do not know the digest leave the member out.
        let stated = Some(tcb.mr_aggregated).filter(|value| !value.is_zero()).map(|value| value.to_string());
        hold("mr_aggregated", stated, Some(aggregated.to_string()), "the quote gives");
    } else if let Part::Read(log) = &subject.log {
        let replayed = log.replay();
        for rtmr in Rtmr::ALL {
            let field = format!("rtmr{}", rtmr.index());
            hold(&field, text(register(tcb, rtmr)), text(Some(replayed.get(rtmr))), "the log replays to");
        }
    }
    let pairs = [
        ("compose_hash", &tcb.compose_hash, subject.system.compose_hash),
        ("os_image_hash", &tcb.os_image_hash, subject.system.os_image_hash),
    ];
    for (field, stated, logged) in pairs {
        let stated = Some(stated.to_ascii_lowercase()).filter(|text| !text.is_empty());
        hold(field, stated, logged.map(|value| value.to_string()), "the log has");
    }
    if let Part::Read(log) = &subject.log
        && !is_prefix_of_the_other(&tcb.event_log, log)
    {
        compared += 1;
        wrong.push("its event log is another one than that of the quote".to_owned());
    }
    if !wrong.is_empty() {
        return check
            .fail()
            .observed(list(&wrong))
            .expected("the same values everywhere")
            .fix(Fix::new("believe the quote and the log that replays to it, not tcb_info"));
    }
    if compared == 0 {
        return check.unknown("there is neither a quote nor a log to compare it with");
    }
    check.pass().observed(format!("{compared} values agree"))
}

/// Whether one log continues the other. An app may measure something between two requests.
fn is_prefix_of_the_other(a: &EventLog, b: &EventLog) -> bool {
    let same = |(a, b): (&Entry, &Entry)| a.rtmr() == b.rtmr() && a.digest() == b.digest();
    a.entries().iter().zip(b.entries()).all(same)
}
