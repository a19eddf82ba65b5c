//! Running other programs, and talking about it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Why a command of this binary failed.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Writes a line to stderr.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // bins/xtask lies two folders below the root.
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The cargo that runs us, in the root of the workspace.
pub(crate) fn cargo<I, S>(arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    let status = command.status().map_err(|error| format!("cannot run {shown}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown} failed: {status}").into()) }
}

/// Runs a program and returns what it printed.
///
/// # Errors
/// When it cannot be started, does not succeed, or prints something that is not UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let shown = shown(command);
    let output = command.output().map_err(|error| format!("cannot run {shown}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{shown} failed: {}\n{stderr}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// The parts of a longer run, with how long each took.
#[derive(Default)]
pub(crate) struct Layers {
    done: Vec<(String, Duration, bool)>,
    not_run: Vec<(String, String)>,
}

impl Layers {
    /// Runs one part and remembers how it went; a failure does not keep the next from running.
    pub(crate) fn run(&mut self, name: &str, part: impl FnOnce() -> Result<(), Failure>) {
        say(&format!("== {name}"));
        let start = Instant::now();
        let result = part();
        let took = start.elapsed();
        if let Err(error) = &result {
            say(&format!("error: {error}"));
        }
        self.done.push((name.to_owned(), took, result.is_ok()));
    }

    /// Remembers a part that this machine cannot run.
    pub(crate) fn not_run(&mut self, name: &str, why: &str) {
        self.not_run.push((name.to_owned(), why.to_owned()));
    }

    /// Prints every part with its time.
    ///
    /// # Errors
    /// When a part failed, or could not be run where `CI` is set: what lands was checked in full. Names them.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        say("");
        let mut failed = Vec::new();
        for (name, took, ok) in &self.done {
            let word = if *ok { "ok    " } else { "FAILED" };
            say(&format!("{word} {:>7.1} s  {name}", took.as_secs_f64()));
            if !ok {
                failed.push(name.as_str());
            }
        }
        let everything_must_run = std::env::var_os("CI").is_some();
        for (name, why) in &self.not_run {
            say(&format!("not run              {name}: {why}"));
            if everything_must_run {
                failed.push(name.as_str());
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
    }
}
