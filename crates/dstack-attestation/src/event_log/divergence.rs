//! Where a log contradicts itself or the registers it should explain.

use std::fmt;

use crate::event_log::{Entry, EventLog, Rtmr, Rtmrs};
use crate::{Digest48, hash};

/// A place where a log contradicts itself or a register value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Divergence {
    /// The digest that a runtime entry states is not that of its name and payload.
    Digest {
        /// Which entry, from 0.
        index: usize,
        /// The entry's name.
        name: String,
        /// The digest in the log.
        stated: Digest48,
        /// The digest of the content.
        computed: Digest48,
    },
    /// The `preimage` of a runtime entry is not the canonical form of its name and payload.
    Preimage {
        /// Which entry, from 0.
        index: usize,
        /// The entry's name.
        name: String,
        /// Whether the preimage at least hashes to the stated digest. Then the entry was measured with another
        /// content than the one shown.
        hashes_to_stated: bool,
    },
    /// Replaying the log does not give the register.
    Register {
        /// The register.
        rtmr: Rtmr,
        /// What the log gives.
        replayed: Digest48,
        /// What the register holds.
        expected: Digest48,
        /// After how many entries the log did give it. The quote is then older than the end of the log.
        matched_after: Option<usize>,
    },
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest { index, name, stated, computed } => {
                write!(f, "entry {index} ({name:?}) states digest {stated}, its content has {computed}")
            }
            Self::Preimage { index, name, hashes_to_stated: true } => {
                write!(f, "entry {index} ({name:?}) was measured with another content than it shows")
            }
            Self::Preimage { index, name, hashes_to_stated: false } => {
                write!(f, "entry {index} ({name:?}) has a preimage that is not its content")
            }
            Self::Register { rtmr, replayed, expected, matched_after: None } => {
                write!(f, "{rtmr} is {expected}, the log replays to {replayed}")
            }
            Self::Register { rtmr, replayed, expected, matched_after: Some(entries) } => write!(
                f,
                "{rtmr} is {expected}, the log replays to {replayed}; it had that value after its first {entries} entries"
            ),
        }
    }
}

impl EventLog {
    /// Every runtime entry whose stated digest or preimage does not fit its name and payload, in order.
    pub fn divergences(&self) -> impl Iterator<Item = Divergence> + '_ {
        self.entries().iter().enumerate().filter_map(|(index, entry)| entry_divergence(index, entry))
    }

    /// How the replayed value of one register differs from the value it should have. `None` when it does not.
    pub fn register_divergence(&self, rtmr: Rtmr, expected: &Digest48) -> Option<Divergence> {
        let replayed = self.replay().get(rtmr);
        (replayed != *expected).then(|| Divergence::Register {
            rtmr,
            replayed,
            expected: *expected,
            matched_after: self.prefix_with(rtmr, expected),
        })
    }

    /// The first contradiction: an entry that does not fit its own digest, or else the first register that the log
    /// does not replay to.
    pub fn first_divergence(&self, expected: &Rtmrs) -> Option<Divergence> {
        self.divergences().next().or_else(|| {
            Rtmr::ALL.iter().find_map(|rtmr| self.register_divergence(*rtmr, &expected.get(*rtmr)))
        })
    }
}

fn entry_divergence(index: usize, entry: &Entry) -> Option<Divergence> {
    let canonical = entry.canonical_preimage()?;
    let computed = entry.digest();
    let name = || entry.name().to_owned();
    if let Some(preimage) = entry.stated_preimage().filter(|preimage| *preimage != canonical) {
        let hash = hash::sha384(&[preimage]);
        let hashes_to_stated = entry.stated_digest() == Some(hash);
        return Some(Divergence::Preimage { index, name: name(), hashes_to_stated });
    }
    let stated = entry.stated_digest().filter(|stated| *stated != computed)?;
    Some(Divergence::Digest { index, name: name(), stated, computed })
}
