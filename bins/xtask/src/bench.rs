//! `cargo xtask bench`.

use std::process::ExitCode;

use crate::process::{Failure, cargo, run};

/// Runs every benchmark; the figures go into docs/benchmarks.md.
#[derive(clap::Args)]
pub(crate) struct Bench {}

impl Bench {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        run(&mut cargo(["bench", "--package", "dstack-vmm-client", "--package", "dstack-vmmctl"]))?;
        Ok(ExitCode::SUCCESS)
    }
}
