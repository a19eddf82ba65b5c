//! From a project file to running VMs: what a project wants, what runs, the plan between them, and carrying it out.

pub mod change;
pub mod checks;
pub mod diff;
pub mod history;
pub mod journal;
mod judge;
pub mod observe;
pub mod plan;
pub mod project;
pub mod render;
pub mod resolve;
mod select;
