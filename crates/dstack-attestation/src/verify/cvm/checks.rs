//! The list of checks of an app's evidence.

use dstack_check::CheckDef;

/// Every check that [`Verifier::app`](crate::Verifier::app) carries out, parents before children.
pub const CVM_CHECKS: &[CheckDef] = &[
    CheckDef::new("eventlog.readable", "the event log can be read")
        .layer("event log")
        .needs("the event log that comes with a quote, or the guest's tcb_info")
        .why("the log explains what the registers in the quote stand for"),
    CheckDef::new("eventlog.digests", "every runtime event has the digest of its content")
        .layer("event log")
        .parents(&["eventlog.readable"])
        .why("an entry that shows one thing and was measured as another explains nothing"),
    CheckDef::new("eventlog.order", "dstack's events are each there once and in order")
        .layer("event log")
        .parents(&["eventlog.readable"])
        .why("two events of one name are two answers to one question"),
    CheckDef::new("eventlog.boot-complete", "the guest finished booting")
        .layer("event log")
        .parents(&["eventlog.readable"])
        .why("before system-ready, what dstack measures is not complete"),
    CheckDef::new("quote.present", "there is a quote")
        .layer("quote")
        .needs("an answer of the guest agent's GetQuote")
        .why("without a quote, everything rests on what the host and the guest say about themselves"),
    CheckDef::new("quote.readable", "the quote is a TDX quote").layer("quote").parents(&["quote.present"]),
    CheckDef::new("quote.signature", "the quote was signed by genuine TDX hardware")
        .layer("quote")
        .why("only the signature ties the values in a quote to hardware"),
    CheckDef::new("quote.debug", "the quote says that the host cannot debug the CVM")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("the host can read and change the memory of a TD in debug mode"),
    CheckDef::new("quote.module-signer", "the quote names a TDX module of Intel's")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("the TDX module keeps the host out of the CVM"),
    CheckDef::new("quote.service-td", "the quote names no service TD")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("a service TD can migrate the CVM, which dstack does not provide for"),
    CheckDef::new("quote.report-data", "the quote answers the challenge")
        .layer("quote")
        .parents(&["quote.readable"])
        .needs("the report data that was asked for")
        .why("a quote without a fresh challenge may be an old one"),
    CheckDef::new("eventlog.replay-rtmr3", "the log replays to the quote's RTMR3")
        .layer("event log")
        .parents(&["eventlog.readable", "quote.readable"])
        .why("only then do the events of dstack and the app stand for what was measured"),
    CheckDef::new("eventlog.replay-boot", "the log replays to the quote's RTMR0 to RTMR2")
        .layer("event log")
        .parents(&["eventlog.readable", "quote.readable"])
        .why("only then do the boot entries stand for what the firmware and the kernel measured"),
    CheckDef::new("app.compose.hash", "the app-compose that the guest shows is the one that was measured")
        .layer("app")
        .parents(&["eventlog.readable"])
        .needs("the app-compose text from the guest's tcb_info")
        .why("reading the shown app-compose tells nothing about the app when another one was measured"),
    CheckDef::new("app.compose.deployed", "the measured app-compose is the one that was deployed")
        .layer("app")
        .parents(&["eventlog.readable"])
        .needs("the app-compose that was deployed, or its hash")
        .why("the app-compose decides which code runs"),
    CheckDef::new("app.mrconfigid.compose", "the CVM was created for the measured app-compose")
        .layer("app")
        .parents(&["eventlog.readable", "quote.readable"])
        .why("MRCONFIGID is fixed before the guest starts and cannot be changed from inside"),
    CheckDef::new("app.id.app-id", "the app id is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .why("the KMS gives keys by app id"),
    CheckDef::new("app.id.instance-id", "the instance id is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .why("the evidence may be that of another instance of the app"),
    CheckDef::new("app.key-provider", "the key provider is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .why("whoever gives the keys can read what they protect"),
    CheckDef::new("app.tcb-info.consistent", "the guest's tcb_info agrees with the quote and the log")
        .layer("identity")
        .needs("the guest agent's Info, with public_tcbinfo")
        .why("dashboards and scripts show tcb_info, which nothing signs"),
];
