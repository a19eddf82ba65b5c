//! What is known about the terminal: whether there is one, how wide it is, whether it shows colour and Unicode.

use std::io::IsTerminal;

use dstack_check::render::{Style, Symbols};

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    /// When the text goes to a terminal and the environment does not say otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The environment variables that decide how text looks, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Environment {
    /// `NO_COLOR`: any text but the empty one switches colour off (no-color.org).
    pub no_color: Option<String>,
    /// `CLICOLOR_FORCE`: anything but empty and `0` colours even what goes into a pipe (bixense.com/clicolors).
    pub clicolor_force: Option<String>,
    /// `CLICOLOR`: `0` switches colour off.
    pub clicolor: Option<String>,
    /// `TERM`: `dumb` switches colour and live progress off.
    pub term: Option<String>,
    /// The locale: the first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set and not empty.
    pub locale: Option<String>,
}

impl Environment {
    /// What the process was started with.
    pub fn of_process() -> Self {
        Self::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// The variables out of `lookup`.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let filled = |name: &str| lookup(name).filter(|value| !value.is_empty());
        Self {
            no_color: filled("NO_COLOR"),
            clicolor_force: filled("CLICOLOR_FORCE"),
            clicolor: filled("CLICOLOR"),
            term: filled("TERM"),
            locale: filled("LC_ALL").or_else(|| filled("LC_CTYPE")).or_else(|| filled("LANG")),
        }
    }

    /// Whether to colour. The choice on the command line goes before `NO_COLOR`, that before `CLICOLOR_FORCE`.
    pub fn colour(&self, choice: ColourChoice, is_terminal: bool) -> bool {
        match choice {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto => {
                let off = self.clicolor.as_deref() == Some("0") || self.is_dumb();
                let forced = self.clicolor_force.as_deref().is_some_and(|value| value != "0");
                self.no_color.is_none() && (forced || is_terminal && !off)
            }
        }
    }

    /// Whether the terminal can only append.
    pub fn is_dumb(&self) -> bool {
        self.term.as_deref() == Some("dumb")
    }

    /// Unicode symbols where the locale says UTF-8, else ASCII.
    pub fn symbols(&self) -> Symbols {
        let locale = self.locale.as_deref().unwrap_or("").to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") { Symbols::Unicode } else { Symbols::Ascii }
    }
}

/// Columns of the terminal behind a file descriptor, where there is one and it knows.
fn width(fd: impl rustix::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(fd).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// How reports and tables look on stdout.
pub(crate) fn stdout_style(choice: ColourChoice, environment: &Environment) -> Style {
    let stdout = std::io::stdout();
    let is_terminal = stdout.is_terminal();
    Style::new()
        .with_colour(environment.colour(choice, is_terminal))
        .with_width(if is_terminal { width(&stdout) } else { None })
        .with_symbols(environment.symbols())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::read(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colour_follows_choice_then_environment_then_terminal() {
        use ColourChoice::{Always, Auto, Never};
        for (pairs, choice, is_terminal, expected) in [
            (&[][..], Auto, true, true),
            (&[], Auto, false, false),
            (&[("NO_COLOR", "1")], Auto, true, false),
            (&[("NO_COLOR", "")], Auto, true, true),
            (&[("NO_COLOR", "1")], Always, false, true),
            (&[("CLICOLOR_FORCE", "1")], Auto, false, true),
            (&[("CLICOLOR_FORCE", "0")], Auto, false, false),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], Auto, true, false),
            (&[("CLICOLOR_FORCE", "1")], Never, true, false),
            (&[("CLICOLOR", "0")], Auto, true, false),
            (&[("TERM", "dumb")], Auto, true, false),
        ] {
            let environment = environment(pairs);
            assert_eq!(
                environment.colour(choice, is_terminal),
                expected,
                "{pairs:?} {choice:?} {is_terminal}"
            );
        }
    }

    #[test]
    fn symbols_follow_the_locale() {
        assert_eq!(environment(&[("LANG", "en_US.UTF-8")]).symbols(), Symbols::Unicode);
        assert_eq!(environment(&[("LANG", "C.utf8")]).symbols(), Symbols::Unicode);
        assert_eq!(environment(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]).symbols(), Symbols::Ascii);
        assert_eq!(environment(&[]).symbols(), Symbols::Ascii);
    }
}
