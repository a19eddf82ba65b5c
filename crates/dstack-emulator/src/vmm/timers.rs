//! What is going to happen, in the order of its time.

use std::collections::BTreeMap;

use crate::timeline::Happening;

/// Something that is due at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A step in the run of a VM.
    Happening {
        /// Id of the VM.
        vm: String,
        /// The run it belongs to.
        run: u64,
        /// What happens.
        what: Happening,
    },
    /// An exited VM is started again.
    Restart {
        /// Id of the VM.
        vm: String,
        /// The run that ended.
        run: u64,
    },
    /// A VM that is being removed is gone.
    Gone {
        /// Id of the VM.
        vm: String,
    },
    /// An image is pulled.
    Pulled {
        /// Its tag.
        tag: String,
    },
}

/// A queue by due time; of equal times the one planned first comes first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeMap<(u64, u64), Action>,
    planned: u64,
}

impl Timers {
    /// Plans something for a time in milliseconds since the Unix epoch.
    pub(crate) fn plan(&mut self, at_ms: u64, action: Action) {
        self.planned += 1;
        self.queue.insert((at_ms, self.planned), action);
    }

    /// The next thing that is due by now, and when it was due.
    pub(crate) fn due(&mut self, now_ms: u64) -> Option<(u64, Action)> {
        let entry = self.queue.first_entry()?;
        let (at, _) = *entry.key();
        (at <= now_ms).then(|| (at, entry.remove()))
    }

    /// When the next thing is due.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_the_order_of_their_time() {
        let pulled = |tag: &str| Action::Pulled { tag: tag.to_owned() };
        let mut timers = Timers::default();
        timers.plan(20, pulled("late"));
        timers.plan(10, pulled("first"));
        timers.plan(10, pulled("second"));
        assert_eq!(timers.next_ms(), Some(10));
        assert_eq!(timers.due(9), None);
        assert_eq!(timers.due(15), Some((10, pulled("first"))));
        assert_eq!(timers.due(15), Some((10, pulled("second"))));
        assert_eq!(timers.due(15), None);
        assert_eq!(timers.due(20), Some((20, pulled("late"))));
    }
}
