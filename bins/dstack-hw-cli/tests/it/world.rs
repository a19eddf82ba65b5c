//! A directory to work in, and the program with nothing from the environment of the tests.

use std::ops::Deref;

use cli_support::testing::{self, Sandbox};

/// What belongs to one test.
pub(crate) struct World(Sandbox);

impl World {
    pub(crate) fn new() -> Self {
        Self(Sandbox::new(env!("CARGO_BIN_EXE_dstack-hw")))
    }

    /// Runs the program and gives its data as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        testing::json(&self.command(arguments).output().unwrap())
    }
}

impl Deref for World {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
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
