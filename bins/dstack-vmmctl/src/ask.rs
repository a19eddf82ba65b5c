//! Questions on the terminal.

use std::io::{BufRead, IsTerminal, Write};

use cli_support::CliError;
use dstack_check::text::neutralise_line;

/// Asks a question that only the whole word yes answers with yes.
///
/// # Errors
/// There is nobody to ask: `unasked` says what would have been asked about, and the hint how to answer in advance.
pub(crate) fn yes(question: &str, unasked: &str) -> Result<bool, CliError> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(CliError::usage(format!("{unasked}, and there is no terminal to ask on"))
            .hint("`--yes` answers in advance"));
    }
    let question = format!("{} Type yes to go on: ", neutralise_line(question));
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(CliError::unreachable)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(CliError::unreachable)?;
    Ok(answer.trim() == "yes")
}
