//! What the fuzz targets do, as plain functions: one module a target.
//!
//! A target feeds arbitrary bytes to a parser and asserts what must hold for all of them. The binaries under
//! `fuzz_targets/` hand the functions to the engine; the tests here hand them the kept corpora.

pub mod app_compose;
pub mod env_file;
pub mod log_lines;
pub mod vmm_toml;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs every kept input of a target. An input that fails panics with its name.
    fn replay(target: &str, run: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let mut inputs: Vec<_> =
            std::fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{} is empty", corpus.display());
        for input in inputs {
            let bytes = std::fs::read(&input).unwrap();
            if std::panic::catch_unwind(|| run(&bytes)).is_err() {
                panic!("{} fails", input.display());
            }
        }
    }

    #[test]
    fn app_compose() {
        replay("app_compose", super::app_compose::run);
    }

    #[test]
    fn env_file() {
        replay("env_file", super::env_file::run);
    }

    #[test]
    fn log_lines() {
        replay("log_lines", super::log_lines::run);
    }

    #[test]
    fn vmm_toml() {
        replay("vmm_toml", super::vmm_toml::run);
    }
}
