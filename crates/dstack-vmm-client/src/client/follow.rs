//! Reading a log to its end.

use super::Client;
use super::logs::{LogRequest, LogStream};

/// How logs are followed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FollowOptions {}

pub(super) fn stream(_client: Client, _request: LogRequest) -> LogStream {
    Box::pin(futures_util::stream::empty())
}
