//! A directory to work in, and the program with nothing from the environment of the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// What belongs to one test.
pub(crate) struct World {
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// The directory that the program runs in.
    pub(crate) fn work(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The text of a file in it.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.work().join(name)).unwrap()
    }

    /// The program.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dstack-hw"));
        command
            .args(arguments)
            .env_clear()
            .env("LANG", "C.UTF-8")
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program and gives everything it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.told(&self.command(arguments).output().unwrap())
    }

    /// Runs the program with a text on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> String {
        let path = self.write("input", input);
        let file = std::fs::File::open(path).unwrap();
        self.told(&self.command(arguments).stdin(file).output().unwrap())
    }

    /// Runs the program and gives its data as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command(arguments).output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Exit code, stdout and stderr in one text, without what differs from run to run.
    pub(crate) fn told(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
        let told =
            format!("code: {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr));
        told.replace(self.work().to_str().unwrap(), "[dir]")
    }
}

/// A recorded output of the library's fixtures, for `--from`.
pub(crate) fn recorded(name: &str) -> String {
    format!("{}/../../crates/dstack-hw/tests/fixtures/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"))
}

/// A synthetic host of the library's fixtures, for `--root`.
pub(crate) fn host(name: &str) -> String {
    format!("{}/../../crates/dstack-hw/tests/fixtures/hosts/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Snapshots without the paths of the checkout.
#[macro_export]
macro_rules! snapshot {
    ($($arguments:tt)*) => {
        insta::with_settings!({
            filters => vec![(r"/[^\s:]*/tests/fixtures/", "[fixtures]/")],
        }, {
            insta::assert_snapshot!($($arguments)*);
        });
    };
}
