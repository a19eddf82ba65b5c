//! One file a command.

pub(crate) mod compose;
pub(crate) mod config;
pub(crate) mod env;
pub(crate) mod gpus;
pub(crate) mod hosts;
pub(crate) mod images;
pub(crate) mod info;
pub(crate) mod lifecycle;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod shell;
pub(crate) mod wait;
