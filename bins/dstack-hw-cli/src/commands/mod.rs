//! One file a command.

pub(crate) mod capture;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod facts;
pub(crate) mod list_checks;
pub(crate) mod profile;
pub(crate) mod snapshot;
