//! `snapshot`: how the host is set up.

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_hw::snapshot::{HostSnapshot, SnapshotSpec};
use serde::Serialize;

use crate::context::Context;
use crate::failure::from_hw;
use crate::files;
use crate::source::{SourceArgs, TreeArgs};

/// Arguments of `snapshot`.
///
/// Files that hold secrets are recorded by owner, rights and presence, never by content or hash.
#[derive(Debug, clap::Args)]
pub(crate) struct Snapshot {
    /// File to write, or - for standard output
    #[arg(long, short, value_name = "FILE", default_value = "dstack-hw-snapshot.json")]
    output: PathBuf,
    /// A TOML file that says what is looked at, in place of the built-in list
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// A name for the snapshot
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    #[command(flatten)]
    tree: TreeArgs,
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    file: String,
    bytes: usize,
}

impl Snapshot {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let spec = match &self.spec {
            None => SnapshotSpec::builtin(),
            Some(path) => SnapshotSpec::from_toml(&files::read_text(path)?)
                .map_err(|error| from_hw(error).context(files::named(path)))?,
        };
        let opened = SourceArgs { root: self.tree.root.clone(), ..SourceArgs::default() }.open()?;
        let mut snapshot = HostSnapshot::take(opened.source.as_ref(), &spec)
            .made_by(format!("dstack-hw {}", env!("CARGO_PKG_VERSION")));
        if let Some(label) = &self.label {
            snapshot = snapshot.label(label.as_str());
        }
        let text = snapshot.to_json();
        files::write(context, &self.output, &text)?;
        if self.output.as_os_str() != "-" {
            let file = self.output.display().to_string();
            context.progress.note(format_args!("wrote {file} ({} KiB)", text.len().div_ceil(1024)));
            if context.out.is_json() {
                let document = Document { schema: "dstack-hw/snapshot-taken/v1", file, bytes: text.len() };
                context.out.json(&document)?;
            }
        }
        Ok(ExitCode::Ok)
    }
}
