#![doc = include_str!("../README.md")]

mod finding;
mod fix;

pub use finding::{CheckId, Evidence, Finding, Status};
pub use fix::Fix;
