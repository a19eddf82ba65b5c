//! One file a command.

pub(crate) mod check;
pub(crate) mod compose;
pub(crate) mod config;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod gpus;
pub(crate) mod hosts;
pub(crate) mod images;
pub(crate) mod info;
pub(crate) mod init;
pub(crate) mod lifecycle;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod plan;
pub(crate) mod rollback;
pub(crate) mod update;
pub(crate) mod wait;
