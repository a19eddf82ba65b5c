//! A piece of a terminal session: prompts, commands and what they printed.

use std::collections::BTreeMap;

use super::cpu::CpuLines;
use super::log_line::LogLines;
use crate::{Reading, Unread};

/// The most files that are taken from one paste.
const MAX_FILES: usize = 256;

/// Commands that may stand behind a bare `#` or `$`, or at the beginning of a line.
const COMMANDS: [&str; 14] = [
    "sudo",
    "dmesg",
    "journalctl",
    "cat",
    "grep",
    "egrep",
    "zgrep",
    "lscpu",
    "uname",
    "head",
    "tail",
    "ls",
    "rdmsr",
    "systemctl",
];

/// What a paste was taken apart into.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) log: LogLines,
    pub(super) cpu: CpuLines,
    pub(super) files: BTreeMap<String, Reading<String>>,
}

/// What the lines behind a command are.
enum Output {
    /// To be seen from the lines.
    Any,
    /// The content of a file.
    File(String),
}

impl Session {
    pub(super) fn read(text: &str) -> Self {
        let mut session = Self::default();
        let mut output = Output::Any;
        for line in text.lines() {
            let line = clean(line);
            if let Some(command) = command(&line) {
                session.log.saw_command(command);
                output = session.output_of(command);
                continue;
            }
            match &output {
                Output::File(path) => session.file_line(path, &line),
                Output::Any => {
                    if !session.log.push(&line) {
                        session.cpu.push(&line);
                    }
                }
            }
        }
        // A command without output showed nothing, or the paste ends there: which, nobody knows.
        session
            .files
            .retain(|_, content| content.as_ref().map_or(true, |content| !content.trim().is_empty()));
        session
    }

    fn output_of(&mut self, command: &str) -> Output {
        let words: Vec<&str> = command.split_whitespace().filter(|word| *word != "sudo").collect();
        let path = match words[..] {
            ["uname", "-r"] => "/proc/sys/kernel/osrelease",
            ["cat", path] if is_plain_file(path) => path,
            _ => return Output::Any,
        };
        if self.files.len() >= MAX_FILES {
            return Output::Any;
        }
        self.files.insert(path.to_owned(), Ok(String::new()));
        Output::File(path.to_owned())
    }

    fn file_line(&mut self, path: &str, line: &str) {
        let Some(content) = self.files.get_mut(path) else { return };
        if line.starts_with("cat: ") && line.contains(path) {
            if line.ends_with("No such file or directory") {
                *content = Err(Unread::Absent);
            } else if line.ends_with("Permission denied") {
                *content = Err(Unread::NotPermitted);
            } else {
                *content = Err(Unread::Failed("the paste shows an error instead of the content".to_owned()));
            }
        } else if let Ok(content) = content {
            content.push_str(line);
            content.push('\n');
        }
    }
}

/// A file whose content stands for itself. Logs and `/proc/cpuinfo` are recognised from their lines.
fn is_plain_file(path: &str) -> bool {
    path.starts_with('/')
        && path != "/proc/cpuinfo"
        && !path.starts_with("/var/log/")
        && !path.contains(['*', '?', '{'])
}

/// A line without its end, without colours and other escapes of terminals, and without the marks that mails and issues
/// put before what they quote.
pub(super) fn clean(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            clean.push(character);
            continue;
        }
        match characters.next() {
            // `ESC [ ... letter`.
            Some('[') => while characters.next().is_some_and(|next| !('@'..='~').contains(&next)) {},
            // `ESC ] ... BEL`: the title of the window.
            Some(']') => while characters.next().is_some_and(|next| next != '\u{7}') {},
            _ => {}
        }
    }
    clean.truncate(clean.trim_end().len());
    let mut rest = clean.as_str();
    while let Some(quoted) = rest.strip_prefix('>') {
        rest = quoted.strip_prefix(' ').unwrap_or(quoted);
    }
    rest.to_owned()
}

/// The command of a line that is one, behind a prompt or on its own.
pub(super) fn command(line: &str) -> Option<&str> {
    let known =
        |command: &str| command.split_whitespace().next().is_some_and(|word| COMMANDS.contains(&word));
    if let Some((prompt, command)) = prompted(line) {
        // A prompt with a user or a folder in it is one; a lone sign may be the beginning of a comment.
        let named = prompt.contains('@') || prompt.contains('~') || prompt.contains('/');
        if named || known(command) {
            return Some(command.trim());
        }
    }
    let bare = line.trim_start();
    let looks_like_a_call = known(bare)
        && (bare.contains(" /") || bare.contains('|') || bare.starts_with("sudo ") || !bare.contains(' '));
    looks_like_a_call.then_some(bare)
}

/// Splits `user@host:~$ command`, `[root@host ~]# command`, `$ command`.
fn prompted(line: &str) -> Option<(&str, &str)> {
    let (at, sign) = line.char_indices().find(|(_, character)| matches!(character, '$' | '#'))?;
    let prompt = line.get(..at)?;
    let rest = line.get(at + sign.len_utf8()..)?;
    if !(rest.is_empty() || rest.starts_with(' ')) {
        return None;
    }
    // A time stamp is no prompt, and neither is a sentence.
    let is_prompt = prompt.is_empty()
        || (prompt.contains('@') && prompt.split_whitespace().count() <= 3 && !prompt.starts_with("[ "));
    is_prompt.then_some((prompt, rest.trim_start()))
}
