//! From a project file to running VMs: what a project wants, what runs, the plan between them, and carrying it out.

pub mod diff;
pub mod project;
