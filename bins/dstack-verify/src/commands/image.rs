//! `image`: is this directory the OS image with that hash?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_attestation::ImageClaim;
use dstack_attestation::image::ImageDirectory;

use crate::context::{Context, Run};
use crate::files;
use crate::given::Fixed;
use crate::judge::JudgeArgs;
use crate::screen::{Question, ViewArgs};

/// Arguments of `image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Image {
    /// The directory of the image, with metadata.json and sha256sum.txt in it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The OS image hash it must have
    #[arg(long, value_name = "HEX")]
    hash: Option<Fixed<32>>,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for Image {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let judge = JudgeArgs::default().judge()?;
        let named = files::named(&self.directory);
        match std::fs::metadata(&self.directory) {
            Err(error) => return Err(files::unreadable(&self.directory, error)),
            Ok(metadata) if !metadata.is_dir() => {
                return Err(CliError::usage(format!("{named} is no directory")).hint(
                    "an image is a directory with metadata.json, sha256sum.txt and the files these name",
                ));
            }
            Ok(_) => {}
        }
        let step = context.progress.step("hashing the files of the image");
        let image = ImageDirectory::read(&self.directory).map_err(CliError::usage)?;
        drop(step);
        let mut claim = ImageClaim::default();
        claim.os_image_hash = self.hash.map(|hash| hash.0);
        let report = judge.verifier().image(&named, &image, &claim);
        self.view.show(context, &judge.dated(report, &named), Question::Match)
    }
}
