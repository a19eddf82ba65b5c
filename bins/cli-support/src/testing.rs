//! What the tests of every program have in common: a directory to run it in, and the manners that all programs share.
//!
//! Everything here is for tests: it panics where something is not as it should be.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A program, and a directory of its own to run it in, with nothing from the environment of the tests.
#[derive(Debug)]
pub struct Sandbox {
    program: &'static str,
    dir: TempDir,
    work: PathBuf,
}

impl Sandbox {
    /// A new directory for the program at this path, which is `env!("CARGO_BIN_EXE_...")` in a test.
    pub fn new(program: &'static str) -> Self {
        Self::within(program, "")
    }

    /// The same with the program running in a folder of the directory, so that there is room beside it.
    pub fn within(program: &'static str, folder: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join(folder);
        std::fs::create_dir_all(&work).unwrap();
        Self { program, dir, work }
    }

    /// The directory that everything is in.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The directory that the program runs in.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The text of a file in it.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.work.join(name)).unwrap()
    }

    /// The program, in a UTF-8 locale, with nothing on its standard input.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(arguments)
            .env_clear()
            .env("LANG", "C.UTF-8")
            .current_dir(&self.work)
            .stdin(Stdio::null());
        command
    }

    /// Runs the program and gives everything it said.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.told(&self.command(arguments).output().unwrap())
    }

    /// Runs the program with bytes on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> String {
        let file = std::fs::File::open(self.write("input", input)).unwrap();
        self.told(&self.command(arguments).stdin(file).output().unwrap())
    }

    /// [`told`] without the path of the directory.
    pub fn told(&self, output: &Output) -> String {
        self.steady(&told(output))
    }

    /// A text without the path of the directory.
    pub fn steady(&self, text: &str) -> String {
        text.replace(self.root().to_str().unwrap(), "[dir]")
    }

    /// The completions that the program makes name this command, its man page has its name, and the page of one
    /// command has this word.
    pub fn has_completions_and_man_pages(&self, name: &str, command: &str, word: &str) {
        for shell in ["bash", "zsh", "fish"] {
            let script = self.run(&["completions", shell]);
            assert!(script.starts_with("code: 0\n") && script.contains(command), "{script}");
        }
        let page = self.run(&["man"]);
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        let pages = self.run(&["man", "--dir", "pages"]);
        assert!(pages.starts_with("code: 0\n"), "{pages}");
        let page = self.read(&format!("pages/{name}-{command}.1"));
        assert!(page.contains(word), "{page}");
    }
}

/// Exit code, stdout and stderr in one text.
pub fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
    format!("code: {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

/// The data of an output as JSON.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A command line that is sound, with a text of help for every command and option.
pub fn is_sound_and_documented(command_line: clap::Command) {
    assert_eq!(crate::undocumented(&command_line), [""; 0]);
    command_line.debug_assert();
}

/// A program whose reader goes away, as `| head` does, ends well and says nothing.
pub fn bears_a_reader_that_goes_away(mut command: Command) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

/// A program has no colours in a pipe, has them on request, and `NO_COLOR` goes before what else the environment says.
pub fn has_colours_on_request(command: impl Fn() -> Command) {
    let coloured = |mut command: Command| {
        let output = command.output().unwrap();
        assert!(!output.stdout.is_empty(), "{}", told(&output));
        output.stdout.contains(&0x1b)
    };
    assert!(!coloured(command()));
    let mut always = command();
    always.args(["--color", "always"]);
    assert!(coloured(always));
    let mut never = command();
    never.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!coloured(never));
}

/// A program is plain ASCII outside UTF-8 locales.
pub fn is_plain_ascii_without_utf_8(mut command: Command) {
    let output = command.env("LANG", "C").output().unwrap();
    assert!(!output.stdout.is_empty() && output.stdout.is_ascii(), "{}", told(&output));
}

/// What a program that ends with exit code 2 said: one line of JSON on stderr and nothing else. Returns the error.
pub fn error_in_json(mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{}", told(&output));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let mut document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["error"]["exit_code"], 2);
    document["error"].take()
}

/// Every form of JSON `PREFIX/NAME/v1` that the sources in these directories name is described in the document. Returns
/// how many there are.
pub fn forms_of_json_described(document: &Path, prefix: &str, sources: &[PathBuf]) -> usize {
    fn look(directory: &Path, prefix: &str, named: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, prefix, named);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for after in text.split(&format!("\"{prefix}/")).skip(1) {
                named.extend(after.split_once("/v1\"").map(|(name, _)| name.to_owned()));
            }
        }
    }
    let described = std::fs::read_to_string(document).unwrap();
    let mut named = BTreeSet::new();
    for directory in sources {
        look(directory, prefix, &mut named);
    }
    // Some are put together from parts; what stands between two far-off quotes is none at all.
    named.retain(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    let missing: Vec<&String> =
        named.iter().filter(|name| !described.contains(&format!("`{prefix}/{name}/v1`"))).collect();
    assert!(missing.is_empty(), "not in {}: {missing:?}", document.display());
    named.len()
}

/// Every file beside `main.rs` in this directory is a module of it: one that is forgotten would never run.
pub fn every_file_is_a_module(directory: &Path) {
    let main = std::fs::read_to_string(directory.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else { continue };
        assert!(main.contains(&format!("mod {module};")), "{name} is not a module");
    }
}
