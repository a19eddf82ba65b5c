//! `cargo xtask bench`.

use std::process::ExitCode;

use crate::process::{Failure, cargo, run};

/// Runs every benchmark; the figures go into docs/benchmarks.md.
#[derive(clap::Args)]
pub(crate) struct Bench {}

impl Bench {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mut command = cargo(["bench"]);
        for name in ["dstack-vmm-client", "dstack-vmmctl", "dstack-hw", "dstack-hw-cli", "dstack-attestation"]
        {
            command.args(["--package", name]);
        }
        run(&mut command)?;
        Ok(ExitCode::SUCCESS)
    }
}
