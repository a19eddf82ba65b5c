//! Shell completions and man pages out of a clap definition.

use std::path::{Path, PathBuf};

use clap::Command;
pub use clap_complete::Shell;

use crate::{CliError, ExitCode, Output, atomic};

/// The arguments of a `completions` command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
#[non_exhaustive]
pub struct CompletionsArgs {
    /// The shell to write completions for
    #[arg(value_enum)]
    pub shell: Shell,
}

impl CompletionsArgs {
    /// Writes the completion script of the program that `command` describes.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn run(&self, command: &Command, out: &mut Output) -> Result<ExitCode, CliError> {
        out.text(&script(command, self.shell))?;
        Ok(ExitCode::Ok)
    }
}

/// The arguments of a `man` command.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
#[non_exhaustive]
pub struct ManArgs {
    /// Write a page for each command into this directory instead of the main page to stdout
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl ManArgs {
    /// Writes the man pages of the program that `command` describes; into a directory, it lists the files on stdout.
    ///
    /// # Errors
    /// The directory cannot be made, or a page or the output cannot be written.
    pub fn run(&self, command: &Command, out: &mut Output) -> Result<ExitCode, CliError> {
        match &self.dir {
            None => out.text(&man_page(command)?)?,
            Some(directory) => {
                for path in write_man_pages(command, directory)? {
                    out.line(path.display())?;
                }
            }
        }
        Ok(ExitCode::Ok)
    }
}

/// The completion script of a program for a shell.
///
/// ```
/// use clap::Command;
/// use cli_support::completions::{Shell, script};
///
/// let command = Command::new("dstack-example").subcommand(Command::new("ls"));
/// assert!(script(&command, Shell::Bash).contains("dstack-example"));
/// ```
pub fn script(command: &Command, shell: Shell) -> String {
    let mut command = command.clone();
    let name = command.get_name().to_owned();
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The man page (section 1, roff) of a program itself.
///
/// # Errors
/// None in practice: writing into memory does not fail.
pub fn man_page(command: &Command) -> Result<String, CliError> {
    let mut out = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut out).map_err(CliError::bug)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The man pages of a program and all its commands, as file name and roff text: `dstack-example.1`,
/// `dstack-example-ls.1`, and so on, without hidden commands.
///
/// # Errors
/// None in practice: writing into memory does not fail.
pub fn man_pages(command: &Command) -> Result<Vec<(String, String)>, CliError> {
    let mut command = command.clone().disable_help_subcommand(true);
    // Building hands the options that are global down to the commands and gives these their full names.
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, pages: &mut Vec<(String, String)>) -> Result<(), CliError> {
    let page = man_page(command)?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    pages.push((format!("{name}.1"), page));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        collect(sub, pages)?;
    }
    Ok(())
}

/// Writes all man pages into a directory, which is made where it does not exist, and returns their paths.
///
/// # Errors
/// The directory cannot be made or a page cannot be written.
pub fn write_man_pages(command: &Command, directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut paths = Vec::new();
    std::fs::create_dir_all(directory).map_err(|error| {
        CliError::new(ExitCode::Unreachable, error)
            .context(format_args!("cannot make the directory {}", directory.display()))
    })?;
    for (name, page) in man_pages(command)? {
        let path = directory.join(name);
        atomic::write(&path, page.as_bytes(), atomic::Mode::Keep(0o644)).map_err(CliError::unreachable)?;
        paths.push(path);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let nested = Command::new("config").subcommand(Command::new("lint").about("Look for mistakes"));
        Command::new("dstack-example")
            .version("1.2.3")
            .arg(clap::Arg::new("json").long("json").global(true).num_args(0))
            .subcommand(nested)
            .subcommand(Command::new("secret-door").hide(true))
    }

    #[test]
    fn every_visible_command_has_a_page_with_its_full_name() {
        let pages = man_pages(&command()).unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["dstack-example.1", "dstack-example-config.1", "dstack-example-config-lint.1"]);
        let (_, lint) = &pages[2];
        assert!(lint.contains("Look for mistakes") && lint.contains(r"\-\-json"), "{lint}");
    }

    #[test]
    fn pages_are_written_into_a_new_directory_and_over_old_ones() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("share/man/man1");
        let first = write_man_pages(&command(), &target).unwrap();
        let second = write_man_pages(&command(), &target).unwrap();
        assert_eq!((first.len(), &first), (3, &second));
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 3);
        let blocked = directory.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let error = write_man_pages(&command(), &blocked).unwrap_err();
        assert_eq!(error.kind(), ExitCode::Unreachable);
    }

    #[test]
    fn scripts_know_commands_and_options() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = script(&command(), shell);
            assert!(script.contains("lint") && script.contains("json"), "{shell}");
        }
    }
}
