//! What a user sees of a bug.

use std::panic::PanicHookInfo;

use crate::ExitCode;

/// Makes every panic, in whichever thread, a short message and exit code 70.
///
/// The program ends inside the hook: release builds abort on panic, which would give the code of a signal instead.
pub(crate) fn install(name: &'static str) {
    std::panic::set_hook(Box::new(move |info| {
        let text = message(name, payload(info), info.location().map(ToString::to_string));
        crate::run::to_stderr(&text);
        #[expect(clippy::exit, reason = "the only way to choose the exit code of a panic")]
        std::process::exit(i32::from(ExitCode::Bug.code()));
    }));
}

fn payload<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("(no message)")
}

fn message(name: &str, payload: &str, location: Option<String>) -> String {
    let payload = dstack_check::text::neutralise(payload);
    let location = location.unwrap_or_else(|| "an unknown place".to_owned());
    let version = env!("CARGO_PKG_VERSION");
    let repository = env!("CARGO_PKG_REPOSITORY");
    format!(
        "error: {name} {version} stopped at a bug of its own: {payload}\n\
         hint: it was at {location}; please report this line with the command at {repository}/issues\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_whose_fault_it_is_and_where() {
        let text =
            message("dstack-example", "index \u{1b}[2J out of range", Some("src/ls.rs:7:9".to_owned()));
        insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }
}
