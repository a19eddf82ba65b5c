//! What a command line owes its reader.

/// The options without a help text and the commands without a description, as `COMMAND OPTION` and `COMMAND`. Empty for
/// a command line that is documented; meant for a test of each program.
pub fn undocumented(command: &clap::Command) -> Vec<String> {
    let mut missing: Vec<String> = command
        .get_arguments()
        .filter(|argument| argument.get_help().is_none())
        .map(|argument| format!("{} {}", command.get_name(), argument.get_id()))
        .collect();
    for sub in command.get_subcommands() {
        if sub.get_about().is_none() {
            missing.push(sub.get_name().to_owned());
        }
        missing.extend(undocumented(sub));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let bare = clap::Command::new("bare").arg(clap::Arg::new("wide"));
        let told = clap::Command::new("told").about("does it").arg(clap::Arg::new("far").help("how far"));
        let command = clap::Command::new("main").subcommand(bare).subcommand(told);
        assert_eq!(undocumented(&command), ["bare", "bare wide"]);
    }
}
