//! What an attestation says twice, and whether it says the same.

use std::fmt;

use super::VersionedAttestation;
use crate::quote::TdxQuote;
use crate::report_data::ReportData;

/// Two parts of an attestation that do not agree. The quote is signed, the log can be replayed; the other parts are
/// copies that nothing protects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contradiction {
    /// The report data next to the quote is not that of the quote.
    ReportData {
        /// In the quote.
        quoted: ReportData,
        /// Next to it.
        stated: ReportData,
    },
    /// The runtime events next to the log are not those of the log.
    RuntimeEvents {
        /// The first one that differs, from 0.
        index: usize,
        /// Its name in the log. `None` when the log ends before it.
        logged: Option<String>,
        /// Its name in the list. `None` when the list ends before it.
        listed: Option<String>,
    },
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReportData { quoted, stated } => {
                write!(f, "the quote's report data is {quoted}, the attestation states {stated}")
            }
            Self::RuntimeEvents { index, logged: Some(logged), listed: Some(listed) } if logged == listed => {
                write!(
                    f,
                    "runtime event {index} ({logged:?}) has another payload in the list than in the log"
                )
            }
            Self::RuntimeEvents { index, logged, listed } => {
                let name = |name: &Option<String>| {
                    name.as_ref().map_or_else(|| "nothing".to_owned(), |name| format!("{name:?}"))
                };
                write!(
                    f,
                    "runtime event {index} is {} in the log and {} in the list",
                    name(logged),
                    name(listed)
                )
            }
        }
    }
}

impl VersionedAttestation {
    /// Where the attestation contradicts itself: at most one contradiction of each kind. A quote that cannot be read
    /// contradicts nothing.
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let mut found = Vec::new();
        if let Ok(quote) = TdxQuote::parse(&self.quote)
            && quote.report.report_data != self.report_data
        {
            found.push(Contradiction::ReportData {
                quoted: quote.report.report_data,
                stated: self.report_data,
            });
        }
        found.extend(self.runtime_contradiction());
        found
    }

    fn runtime_contradiction(&self) -> Option<Contradiction> {
        let mut logged = self.event_log.entries().iter().filter(|entry| entry.is_runtime());
        let mut listed = self.runtime_events.iter();
        let mut index = 0;
        loop {
            let (entry, event) = (logged.next(), listed.next());
            match (entry, event) {
                (None, None) => return None,
                (Some(entry), Some(event))
                    if entry.name() == event.name() && entry.payload() == event.payload() => {}
                _ => {
                    return Some(Contradiction::RuntimeEvents {
                        index,
                        logged: entry.map(|entry| entry.name().to_owned()),
                        listed: event.map(|event| event.name().to_owned()),
                    });
                }
            }
            index += 1;
        }
    }
}
