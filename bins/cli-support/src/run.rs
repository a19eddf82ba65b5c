//! From `main` to a command and back to an exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use clap::error::ErrorKind;

use crate::{CliError, ColourChoice, Environment, ExitCode, OutputArgs};

/// Runs a program: reads the command line, calls `f`, shows what went wrong, and gives the exit code.
///
/// `--help` and `--version` end with 0, a wrong command line with 2, a panic with 70. Errors go to stderr, as text or,
/// where the command line has `--json`, as one line of JSON.
pub fn main_with<C: clap::Parser>(
    name: &'static str,
    f: impl FnOnce(C) -> Result<ExitCode, CliError>,
) -> std::process::ExitCode {
    crate::panic::install(name);
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let look = Look {
        environment: Environment::of_process(),
        stdout_is_terminal: io::stdout().is_terminal(),
        stderr_is_terminal: io::stderr().is_terminal(),
    };
    run(arguments, &look, &mut io::stdout(), &mut io::stderr(), f).into()
}

/// What decides how errors and help look.
struct Look {
    environment: Environment,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
}

fn run<C: clap::Parser>(
    arguments: Vec<OsString>,
    look: &Look,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
    f: impl FnOnce(C) -> Result<ExitCode, CliError>,
) -> ExitCode {
    let asked = before_parsing(&arguments);
    let colour = look.environment.colour(asked.color, look.stderr_is_terminal);
    let result = match C::try_parse_from(arguments) {
        Ok(command) => f(command),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let colour = look.environment.colour(asked.color, look.stdout_is_terminal);
            return show_help(stdout, &rendered(&error, colour));
        }
        // Without a command there is help to show, but nothing was done: that is for stderr and no success.
        Err(error) if !asked.json || is_help(&error) => {
            let _ = stderr.write_all(rendered(&error, colour).as_bytes());
            return ExitCode::Usage;
        }
        Err(error) => Err(usage(&error)),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let text = if asked.json { error.render_json() } else { error.render(colour) };
            let _ = stderr.write_all(text.as_bytes());
            error.kind()
        }
    }
}

fn is_help(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

fn rendered(error: &clap::Error, colour: bool) -> String {
    let text = error.render();
    if colour { text.ansi().to_string() } else { text.to_string() }
}

fn show_help(stdout: &mut dyn Write, text: &str) -> ExitCode {
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::Unreachable,
        _ => ExitCode::Ok,
    }
}

/// clap's message without its `error:` and without the usage lines, which are for people; its tips become hints.
fn usage(error: &clap::Error) -> CliError {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nUsage:").next().unwrap_or(text);
    let text = text.split("\n\nFor more information").next().unwrap_or(text);
    let tip = |line: &str| line.trim_start().strip_prefix("tip: ").map(str::to_owned);
    let message: Vec<&str> = text.lines().filter(|line| tip(line).is_none()).collect();
    let error = CliError::usage(message.join("\n").trim_end().to_owned());
    text.lines().filter_map(tip).fold(error, CliError::hint)
}

/// `--json` and `--color` as they stand on the command line, for errors that come before or while it is read.
fn before_parsing(arguments: &[OsString]) -> OutputArgs {
    let mut asked = OutputArgs::default();
    let mut options = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    while let Some(argument) = options.next() {
        let colour = match argument.as_ref() {
            "--" => break,
            "--json" => {
                asked.json = true;
                continue;
            }
            "--color" => options.next(),
            other => other.strip_prefix("--color=").map(|value| value.to_owned().into()),
        };
        match colour.as_deref() {
            Some("always") => asked.color = ColourChoice::Always,
            Some("never") => asked.color = ColourChoice::Never,
            _ => {}
        }
    }
    asked
}

/// Writes talk to stderr at once; nothing can be done where that fails.
pub(crate) fn to_stderr(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    #[command(name = "example", version = "1.2.3")]
    struct Cli {
        #[command(flatten)]
        output: OutputArgs,
        #[arg(long)]
        count: Option<u8>,
    }

    fn ran(arguments: &[&str], f: impl FnOnce(Cli) -> Result<ExitCode, CliError>) -> (u8, String, String) {
        let look = Look {
            environment: Environment::default(),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        };
        let arguments =
            std::iter::once("example").chain(arguments.iter().copied()).map(OsString::from).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(arguments, &look, &mut out, &mut err, f);
        (code.code(), String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_command_decides_the_code() {
        let quiet = |code| (code, String::new(), String::new());
        assert_eq!(ran(&[], |_| Ok(ExitCode::Ok)), quiet(0));
        assert_eq!(
            ran(&["--count", "7"], |cli| Ok(if cli.count == Some(7) { ExitCode::No } else { ExitCode::Ok })),
            quiet(1)
        );
        assert_eq!(ran(&[], |_| Err(CliError::reader_gone())), quiet(0));
    }

    #[test]
    fn the_options_reach_the_command() {
        let seen = ran(&["--json", "--color", "never"], |cli| {
            assert!(cli.output.json);
            assert_eq!(cli.output.color, ColourChoice::Never);
            Ok(ExitCode::Ok)
        });
        assert_eq!(seen.0, 0);
    }

    #[test]
    fn usage_errors_in_json_mode_are_json() {
        let (code, out, err) = ran(&["--json", "--count", "many"], |_| Ok(ExitCode::Ok));
        assert_eq!((code, out.as_str()), (2, ""));
        let value: serde_json::Value = serde_json::from_str(&err).unwrap();
        assert_eq!(
            value["error"]["message"],
            "invalid value 'many' for '--count <COUNT>': invalid digit found in string"
        );
        assert_eq!(value["error"]["exit_code"], 2);
    }

    #[test]
    fn the_look_is_found_before_parsing() {
        let asked = |arguments: &[&str]| {
            let arguments: Vec<OsString> =
                std::iter::once("example").chain(arguments.iter().copied()).map(OsString::from).collect();
            let OutputArgs { json, color } = before_parsing(&arguments);
            (json, color)
        };
        assert_eq!(asked(&[]), (false, ColourChoice::Auto));
        assert_eq!(asked(&["ls", "--json", "--color=always"]), (true, ColourChoice::Always));
        assert_eq!(asked(&["--color", "never", "--json"]), (true, ColourChoice::Never));
        assert_eq!(asked(&["exec", "--", "--json", "--color=always"]), (false, ColourChoice::Auto));
        assert_eq!(asked(&["--color"]), (false, ColourChoice::Auto));
    }

    #[test]
    fn help_into_a_closed_pipe_is_success() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(show_help(&mut Closed, "help"), ExitCode::Ok);
    }
}
