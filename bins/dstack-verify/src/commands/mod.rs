//! One file a command.

pub(crate) mod app;
pub(crate) mod cert;
pub(crate) mod collateral;
pub(crate) mod compose;
pub(crate) mod gateway;
pub(crate) mod image;
pub(crate) mod ingress;
pub(crate) mod kms;
pub(crate) mod list_checks;
pub(crate) mod log;
pub(crate) mod nonce;
pub(crate) mod policy;
pub(crate) mod quote;
