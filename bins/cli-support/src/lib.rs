//! What all binaries of the dstack toolkit share, so that they behave alike.
//!
//! - stdout is data, stderr is talk: [`Output`] and [`Progress`]
//! - `--json` and `--color` everywhere: [`OutputArgs`]
//! - one meaning for each exit code: [`ExitCode`]
//! - errors as a chain with hints below: [`CliError`]
//! - secrets from files, environment or stdin, never from arguments: [`SecretSource`]
//! - files written whole or not at all: [`atomic`]
//! - completions and man pages out of the clap definition: [`completions`]
//! - with the feature `testing`: `testing`, what the tests of all programs share
//!
//! A `main.rs` is this:
//!
//! ```no_run
//! use cli_support::{CliError, ExitCode, Output, OutputArgs};
//!
//! #[derive(clap::Parser)]
//! #[command(name = "dstack-example", version)]
//! struct Cli {
//!     #[command(flatten)]
//!     output: OutputArgs,
//! }
//!
//! fn run(cli: Cli) -> Result<ExitCode, CliError> {
//!     let mut out = Output::stdout(&cli.output);
//!     out.line("hello")?;
//!     Ok(ExitCode::Ok)
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     cli_support::main_with("dstack-example", run)
//! }
//! ```

pub mod atomic;
#[cfg(test)]
mod captured;
pub mod completions;
mod error;
mod exit;
mod output;
mod panic;
mod progress;
mod run;
mod secret;
mod table;
mod terminal;
#[cfg(feature = "testing")]
pub mod testing;
mod undocumented;

pub use error::{CliError, ResultExt};
pub use exit::{EXIT_CODES_HELP, ExitCode};
pub use output::{Output, OutputArgs};
pub use progress::{Progress, Step};
pub use run::main_with;
pub use secret::{Secret, SecretError, SecretSource};
pub use table::{Align, Cell, Table};
pub use terminal::{ColourChoice, Environment};
pub use undocumented::undocumented;
