//! The evidence with everything read that can be read.

use std::cell::OnceCell;

use crate::Policy;
use crate::agent::TcbInfo;
use crate::event_log::{EventLog, SystemEvents};
use crate::quote::appraise::Appraisal;
use crate::quote::verify::VerifiedQuote;
use crate::quote::{TdxQuote, emulated};
use crate::verify::{CvmEvidence, Verifier};

/// A part of the evidence: not given, not readable and why, or read.
pub(in crate::verify) enum Part<T> {
    Absent,
    Unreadable(String),
    Read(T),
}

impl<T> Part<T> {
    pub(in crate::verify) fn of<E: std::fmt::Display>(read: Option<Result<T, E>>) -> Self {
        match read {
            None => Self::Absent,
            Some(Err(error)) => Self::Unreadable(error.to_string()),
            Some(Ok(value)) => Self::Read(value),
        }
    }
}

pub(in crate::verify) struct Subject<'a> {
    pub(in crate::verify) evidence: &'a CvmEvidence,
    pub(in crate::verify) policy: &'a Policy,
    pub(in crate::verify) verifier: &'a Verifier,
    pub(in crate::verify) quote: Part<TdxQuote>,
    pub(in crate::verify) log: Part<EventLog>,
    /// Where the log was taken from, in words.
    pub(in crate::verify) log_source: &'static str,
    /// What the log says about the system; empty without a log.
    pub(in crate::verify) system: SystemEvents,
    pub(in crate::verify) tcb_info: Part<TcbInfo>,
    appraisal: OnceCell<Option<Appraisal<'a>>>,
}

impl<'a> Subject<'a> {
    pub(in crate::verify) fn new(evidence: &'a CvmEvidence, verifier: &'a Verifier) -> Self {
        let given = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        let tcb_info = Part::of(given(&evidence.tcb_info).map(|text| {
            let read: Result<TcbInfo, _> = serde_json::from_str(text);
            read.map_err(|error| format!("tcb_info cannot be read: {error}"))
        }));
        let own_log = given(&evidence.event_log).map(EventLog::parse);
        let log_source = if own_log.is_some() { "the quote's event_log" } else { "tcb_info.event_log" };
        let log = match (own_log, &tcb_info) {
            (Some(read), _) => Part::of(Some(read)),
            (None, Part::Read(tcb)) if !tcb.event_log.entries().is_empty() => {
                Part::Read(tcb.event_log.clone())
            }
            (None, Part::Read(_) | Part::Absent) => Part::Absent,
            (None, Part::Unreadable(why)) => Part::Unreadable(why.clone()),
        };
        let system = match &log {
            Part::Read(log) => log.system_events(),
            Part::Absent | Part::Unreadable(_) => SystemEvents::default(),
        };
        let quote = Part::of(evidence.quote.as_deref().map(TdxQuote::parse));
        let (policy, appraisal) = (&verifier.policy, OnceCell::new());
        Self { evidence, policy, verifier, quote, log, log_source, system, tcb_info, appraisal }
    }

    /// The app-compose text that the guest shows.
    pub(in crate::verify) fn app_compose(&self) -> Option<&str> {
        let shown = self.evidence.app_compose.as_deref().or(match &self.tcb_info {
            Part::Read(tcb) => Some(tcb.app_compose.as_str()),
            Part::Absent | Part::Unreadable(_) => None,
        });
        shown.filter(|text| !text.is_empty())
    }

    /// By what the evidence is known to be emulated, in words. `None` when nothing marks it so.
    pub(in crate::verify) fn emulated(&self) -> Option<String> {
        match &self.quote {
            Part::Read(quote) if quote.is_emulated() => {
                return Some("the quote carries an emulator's mark".to_owned());
            }
            Part::Read(_) | Part::Unreadable(_) | Part::Absent => {}
        }
        let versions = &self.evidence.service_versions;
        let marked = versions.iter().find(|version| emulated::is_emulated_version(version))?;
        Some(format!("the service's version is {marked:?}"))
    }

    /// What is known about the genuineness of the quote: worked out once. `None` without a quote that can be read, and
    /// for emulated evidence, behind which there is no platform.
    pub(in crate::verify) fn appraisal(&self) -> Option<&Appraisal<'a>> {
        let appraise = || {
            let (Part::Read(_), Some(quote)) = (&self.quote, &self.evidence.quote) else { return None };
            if self.emulated().is_some() {
                return None;
            }
            let Verifier { collateral, now, root, .. } = self.verifier;
            Some(Appraisal::new(quote, collateral, *now, root))
        };
        self.appraisal.get_or_init(appraise).as_ref()
    }

    /// What the quote's signatures vouch for, where all of them hold.
    pub(in crate::verify) fn verified(&self) -> Option<&VerifiedQuote> {
        self.appraisal()?.verified()
    }

    /// Whether the evidence is emulated and the caller takes that.
    pub(in crate::verify) fn emulated_and_accepted(&self) -> bool {
        self.policy.danger_accept_emulated && self.emulated().is_some()
    }
}

/// At most five of the lines, and how many more there are.
pub(in crate::verify) fn list(lines: &[impl ToString]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<String> = lines.iter().take(SHOWN).map(ToString::to_string).collect();
    if lines.len() > SHOWN {
        text.push(format!("and {} more", lines.len() - SHOWN));
    }
    text.join("\n")
}

/// The values of a set that one has to be of, at most five of them.
pub(in crate::verify) fn one_of<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<T> = values.into_iter().collect();
    match values.as_slice() {
        [only] => only.to_string(),
        several => format!("one of\n{}", list(several)),
    }
}
