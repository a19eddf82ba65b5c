//! The client half: a connection to one VMM.

mod api_trait;
mod logs;

pub use api_trait::VmmApi;
pub use logs::{LogChannel, LogEvent, LogRequest, LogStream};
