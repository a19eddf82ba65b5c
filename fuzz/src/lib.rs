//! What the fuzz targets do, as plain functions: one module a target.
//!
//! A target feeds arbitrary bytes to a parser and asserts what must hold for all of them. The binaries under
//! `fuzz_targets/` hand the functions to the engine; the tests here hand them the kept corpora.

pub mod app_compose;
pub mod capture;
pub mod certificate;
pub mod collateral;
pub mod cpuinfo;
pub mod dmi;
pub mod document;
pub mod efivar;
pub mod env_file;
pub mod event_log;
pub mod kernel_log;
pub mod log_lines;
pub mod policy_toml;
pub mod qcnl;
pub mod quote;
pub mod service_evidence;
pub mod versioned_attestation;
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
    fn capture() {
        replay("capture", super::capture::run);
    }

    #[test]
    fn certificate() {
        replay("certificate", super::certificate::run);
    }

    #[test]
    fn collateral() {
        replay("collateral", super::collateral::run);
    }

    #[test]
    fn cpuinfo() {
        replay("cpuinfo", super::cpuinfo::run);
    }

    #[test]
    fn dmi() {
        replay("dmi", super::dmi::run);
    }

    #[test]
    fn document() {
        replay("document", super::document::run);
    }

    #[test]
    fn efivar() {
        replay("efivar", super::efivar::run);
    }

    #[test]
    fn env_file() {
        replay("env_file", super::env_file::run);
    }

    #[test]
    fn event_log() {
        replay("event_log", super::event_log::run);
    }

    #[test]
    fn kernel_log() {
        replay("kernel_log", super::kernel_log::run);
    }

    #[test]
    fn log_lines() {
        replay("log_lines", super::log_lines::run);
    }

    #[test]
    fn policy_toml() {
        replay("policy_toml", super::policy_toml::run);
    }

    #[test]
    fn qcnl() {
        replay("qcnl", super::qcnl::run);
    }

    #[test]
    fn quote() {
        replay("quote", super::quote::run);
    }

    #[test]
    fn service_evidence() {
        replay("service_evidence", super::service_evidence::run);
    }

    #[test]
    fn versioned_attestation() {
        replay("versioned_attestation", super::versioned_attestation::run);
    }

    #[test]
    fn vmm_toml() {
        replay("vmm_toml", super::vmm_toml::run);
    }
}
