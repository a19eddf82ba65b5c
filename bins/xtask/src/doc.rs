//! `cargo xtask doc`.

use std::process::ExitCode;

use crate::process::{Failure, cargo, run};

/// Builds the API documentation of every crate.
#[derive(clap::Args)]
pub(crate) struct Doc {
    /// Open it in a browser.
    #[arg(long)]
    open: bool,
}

impl Doc {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        build(self.open)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Builds the documentation with warnings as errors.
pub(crate) fn build(open: bool) -> Result<(), Failure> {
    let mut command = cargo(["doc", "--workspace", "--no-deps", "--all-features", "--exclude", "xtask"]);
    if open {
        command.arg("--open");
    }
    run(command.env("RUSTDOCFLAGS", "-D warnings"))
}
