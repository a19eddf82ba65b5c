//! How patient a reader of a log is.

use std::time::Duration;

/// How logs are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowOptions {
    /// The longest line in bytes; longer ones are cut and marked. 1 MiB.
    pub max_line_bytes: usize,
    /// Silence after which a connection counts as dead. 150 s: the server sends a sign of life every 60 s.
    pub idle_timeout: Duration,
    /// How long to try to reach the server again. 60 s.
    pub give_up_after: Duration,
    /// Pause before the second attempt to reconnect; it doubles each time. 50 ms.
    pub first_pause: Duration,
    /// The longest pause. 1 s.
    pub longest_pause: Duration,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            max_line_bytes: 1024 * 1024,
            idle_timeout: Duration::from_secs(150),
            give_up_after: Duration::from_secs(60),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(1),
        }
    }
}
