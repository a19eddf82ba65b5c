//! `.env` files: reading, writing, and reading what was written.

use dstack_vmm_client::env::EnvFile;

/// Takes any bytes for a `.env` file.
pub fn run(data: &[u8]) {
    match EnvFile::parse(data) {
        Ok(file) => {
            let written = file.environment.to_env_file();
            let again = EnvFile::parse(written.as_bytes()).map(|file| file.environment);
            assert_eq!(again.as_ref(), Ok(&file.environment));
        }
        Err(error) => assert!(error.line >= 1 && error.column >= 1),
    }
}
