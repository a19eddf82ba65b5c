//! A program that does what it is told, for tests of what whole processes do.

use clap::{CommandFactory, Parser, Subcommand};
use cli_support::completions::{CompletionsArgs, ManArgs};
use cli_support::{CliError, ExitCode, Output, OutputArgs, Progress, ResultExt, SecretSource, Table};
use dstack_check::{Finding, Fix, Report};

/// Does what the tests tell it
#[derive(Parser)]
#[command(name = "cli-support-probe", version, after_help = cli_support::EXIT_CODES_HELP)]
struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write numbered lines until nobody reads them
    Lines,
    /// Write a table
    Table,
    /// Write a report with a failed check
    Report,
    /// Fail with the conflict code
    Conflict,
    /// Panic
    Panic {
        /// Do it in another thread
        #[arg(long)]
        thread: bool,
    },
    /// Say how long the secret is
    Secret {
        /// `-`, `env:NAME` or a file
        source: SecretSource,
    },
    /// Talk on stderr
    Talk,
    /// Write a completion script
    Completions(CompletionsArgs),
    /// Write man pages
    Man(ManArgs),
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let mut out = Output::stdout(&cli.output);
    match cli.command {
        Command::Lines => {
            for number in 0u64.. {
                out.line(number)?;
            }
        }
        Command::Table => {
            let mut table = Table::new(["NAME", "STATE"]);
            table.row(["web", "running"]);
            out.table(&table)?;
        }
        Command::Report => {
            let finding = Finding::fail("probe.file.mode", "the file is for its owner alone")
                .observed("0644")
                .fix(Fix::new("narrow it").command("chmod 600 token"));
            return out.report(&Report::new("probe", [finding]));
        }
        Command::Conflict => {
            let refused = std::io::Error::other("the server said\u{1b}[2J no");
            return Err(CliError::conflict(refused).context("failed to apply the plan").hint("plan again"));
        }
        Command::Panic { thread } => {
            let boom = || panic!("the probe was told to");
            if thread {
                let _ = std::thread::spawn(boom).join();
            }
            boom();
        }
        Command::Secret { source } => {
            let secret = source.read().exit_hinted(|_| ExitCode::Usage)?;
            out.line(secret.expose().len())?;
        }
        Command::Talk => {
            let progress = Progress::stderr(&cli.output);
            progress.note("first");
            let mut step = progress.step("pulling the image");
            step.update("50 %");
            step.done("sha256:0123");
            out.line("data")?;
        }
        Command::Completions(completions) => return completions.run(&Cli::command(), &mut out),
        Command::Man(man) => return man.run(&Cli::command(), &mut out),
    }
    Ok(ExitCode::Ok)
}

fn main() -> std::process::ExitCode {
    cli_support::main_with("cli-support-probe", run)
}
