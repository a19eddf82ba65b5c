//! The VMM: its state, its methods, and the server in front of them.

mod guests;
mod images;
mod lifecycle;
mod logs;
mod machine;
mod methods;
mod node;
mod pages;
mod reload;
mod serve;
mod timers;
mod update;
mod validate;
mod views;

pub(crate) use images::Images;
pub(crate) use lifecycle::random_uuid;
pub(crate) use node::{Node, Profiles};
pub(crate) use serve::{Listener, Served, serve};
