//! Faults on purpose: what a network and a failing server do to a caller, on request.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The call is served after this time, by the clock of the machine.
    Latency(Duration),
    /// The call is not carried out and fails with these words (status 400, in the form of the call).
    Error(String),
    /// The call is not carried out; this is the raw reply.
    Raw {
        /// HTTP status.
        status: u16,
        /// `Content-Type` header.
        content_type: String,
        /// Body.
        body: Vec<u8>,
    },
    /// The connection is closed without a reply, and the call was not carried out.
    DropBefore,
    /// The call is carried out, then the connection is closed without a reply.
    DropAfter,
    /// The call is carried out; the reply breaks off after this many bytes of its body.
    Cut(usize),
    /// The call is carried out; its reply arrives in pieces of this many bytes.
    Slow {
        /// Bytes a piece, at least 1.
        piece: usize,
        /// Time between two pieces.
        every: Duration,
    },
}

/// A fault, the calls it befalls, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Method name such as `CreateVm`, the path `logs`, a guest method as `guest/Info`, or `*` for any call.
    pub method: String,
    /// What goes wrong.
    pub fault: Fault,
    /// How many calls it befalls; `None` for all from now on.
    pub times: Option<u32>,
}

/// The faults in force. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Rule>>>);

impl Faults {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next call of `method` go wrong.
    pub fn once(&self, method: &str, fault: Fault) {
        self.add(Rule { method: method.to_owned(), fault, times: Some(1) });
    }

    /// Lets every call of `method` go wrong from now on.
    pub fn always(&self, method: &str, fault: Fault) {
        self.add(Rule { method: method.to_owned(), fault, times: None });
    }

    /// Adds a rule. Rules apply in the order in which they were added, one a call.
    pub fn add(&self, rule: Rule) {
        self.rules().push(rule);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// The faults that are still to come.
    pub fn pending(&self) -> Vec<Rule> {
        self.rules().clone()
    }

    /// The fault that befalls a call of `method` now, used up by one.
    pub(crate) fn take(&self, method: &str) -> Option<Fault> {
        let mut rules = self.rules();
        let at = rules.iter().position(|rule| rule.method == "*" || rule.method == method)?;
        let rule = rules.get_mut(at)?;
        let fault = rule.fault.clone();
        match &mut rule.times {
            None => {}
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => {
                rules.remove(at);
            }
        }
        Some(fault)
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text that describes no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read fault {text:?}: {reason}")]
#[non_exhaustive]
pub struct FaultSyntax {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Rule {
    type Err = FaultSyntax;

    /// Reads `METHOD=KIND[:ARGUMENT][*COUNT]`.
    ///
    /// | kind | argument |
    /// |---|---|
    /// | `latency` | milliseconds |
    /// | `error` | the words |
    /// | `status` | an HTTP status; the body is empty HTML |
    /// | `drop-before`, `drop-after` | none |
    /// | `cut` | bytes |
    /// | `slow` | bytes a piece, `/`, milliseconds between pieces |
    ///
    /// ```
    /// use dstack_emulator::fault::{Fault, Rule};
    ///
    /// let rule: Rule = "CreateVm=drop-after*1".parse()?;
    /// assert_eq!(rule.fault, Fault::DropAfter);
    /// assert_eq!(rule.times, Some(1));
    /// # Ok::<(), dstack_emulator::fault::FaultSyntax>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, FaultSyntax> {
        let wrong = |reason| FaultSyntax { text: text.to_owned(), reason };
        let (method, rest) = text.split_once('=').ok_or(wrong("expected METHOD=KIND"))?;
        if method.is_empty() {
            return Err(wrong("the method is missing"));
        }
        let (rest, times) = match rest.rsplit_once('*').map(|(rest, count)| (rest, count.parse())) {
            Some((rest, Ok(count))) if count > 0 => (rest, Some(count)),
            // A star that no number follows belongs to the words of an error.
            _ => (rest, None),
        };
        let (kind, argument) = rest.split_once(':').unwrap_or((rest, ""));
        let fault = match kind {
            "latency" => Fault::Latency(millis(argument).ok_or(wrong("expected milliseconds"))?),
            "error" => Fault::Error(argument.to_owned()),
            "status" => Fault::Raw {
                status: argument
                    .parse()
                    .ok()
                    .filter(|status| (200..1000).contains(status))
                    .ok_or(wrong("expected an HTTP status"))?,
                content_type: "text/html".to_owned(),
                body: Vec::new(),
            },
            "drop-before" => Fault::DropBefore,
            "drop-after" => Fault::DropAfter,
            "cut" => Fault::Cut(argument.parse().map_err(|_| wrong("expected a number of bytes"))?),
            "slow" => {
                let (piece, every) = argument.split_once('/').ok_or(wrong("expected BYTES/MILLISECONDS"))?;
                Fault::Slow {
                    piece: piece
                        .parse()
                        .ok()
                        .filter(|piece| *piece > 0)
                        .ok_or(wrong("expected a number of bytes"))?,
                    every: millis(every).ok_or(wrong("expected milliseconds"))?,
                }
            }
            _ => return Err(wrong("expected latency, error, status, drop-before, drop-after, cut or slow")),
        };
        Ok(Self { method: method.to_owned(), fault, times })
    }
}

fn millis(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

impl fmt::Display for Rule {
    /// In the form that is read, as far as that form can say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.method)?;
        match &self.fault {
            Fault::Latency(time) => write!(f, "latency:{}", time.as_millis())?,
            Fault::Error(words) => write!(f, "error:{words}")?,
            Fault::Raw { status, .. } => write!(f, "status:{status}")?,
            Fault::DropBefore => f.write_str("drop-before")?,
            Fault::DropAfter => f.write_str("drop-after")?,
            Fault::Cut(bytes) => write!(f, "cut:{bytes}")?,
            Fault::Slow { piece, every } => write!(f, "slow:{piece}/{}", every.as_millis())?,
        }
        match self.times {
            Some(times) => write!(f, "*{times}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_as_written() {
        for text in [
            "*=latency:250",
            "CreateVm=error:no space * left*2",
            "Status=status:502*1",
            "StartVm=drop-before",
            "CreateVm=drop-after*1",
            "logs=cut:100",
            "logs=slow:10/5",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in
            ["CreateVm", "=error:x", "A=explode", "A=latency:soon", "A=cut", "A=slow:0/1", "A=status:7"]
        {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_is_used_up() {
        let faults = Faults::new();
        faults.add("Status=drop-before*2".parse().unwrap());
        assert_eq!(faults.take("CreateVm"), None);
        assert_eq!(faults.take("Status"), Some(Fault::DropBefore));
        assert_eq!(faults.take("Status"), Some(Fault::DropBefore));
        assert_eq!(faults.take("Status"), None);
    }
}
