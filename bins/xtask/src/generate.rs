//! `cargo xtask gen`: everything that is generated and committed.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::process::{Failure, root, say};

/// Writes the CLI reference, the JSON Schemas and the list of checks.
#[derive(clap::Args)]
pub(crate) struct Gen {
    /// Change nothing; fail when a file is not what would be written.
    #[arg(long)]
    check: bool,
}

/// A generated file.
struct Generated {
    /// Path below the root of the workspace.
    path: &'static str,
    text: String,
}

impl Gen {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if self.check {
            check()?;
        } else {
            for file in all()? {
                let path = root().join(file.path);
                if std::fs::read_to_string(&path).is_ok_and(|old| old == file.text) {
                    continue;
                }
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(&path, file.text)?;
                say(&format!("wrote {}", file.path));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Fails when a generated file is not what would be written.
pub(crate) fn check() -> Result<(), Failure> {
    let mut stale = Vec::new();
    for file in all()? {
        let path: PathBuf = root().join(file.path);
        if std::fs::read_to_string(path).map_or(true, |text| text != file.text) {
            stale.push(file.path);
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!("not up to date, run `cargo xtask gen`: {}", stale.join(", ")).into())
    }
}

fn all() -> Result<Vec<Generated>, Failure> {
    Ok(Vec::new())
}
