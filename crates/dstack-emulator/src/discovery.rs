//! The file by which programs on the same machine find a running VMM (upstream `vmm/src/discovery.rs`).

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::store::write_atomic;

/// The content of the file.
#[derive(Serialize)]
struct Announcement<'a> {
    id: &'a str,
    pid: u32,
    address: &'a str,
    working_dir: &'a Path,
    config_file: Option<&'a Path>,
    image_path: &'a Path,
    run_path: &'a Path,
    node_name: &'a str,
    version: &'a str,
    started_at: u64,
}

/// What there is to announce.
pub(crate) struct Announced<'a> {
    pub(crate) id: &'a str,
    /// `unix:/path` or `http://address`.
    pub(crate) endpoint: &'a str,
    pub(crate) image_path: &'a Path,
    pub(crate) run_path: &'a Path,
    pub(crate) node_name: &'a str,
    pub(crate) version: &'a str,
    /// Seconds since the Unix epoch.
    pub(crate) started_at: u64,
}

/// An announcement, which is taken back when it is dropped.
#[derive(Debug)]
pub(crate) struct Discoverable {
    path: PathBuf,
}

impl Discoverable {
    /// Writes the file into a directory, made if missing.
    pub(crate) fn announce(directory: &Path, announced: &Announced<'_>) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}.json", announced.id));
        let content = Announcement {
            id: announced.id,
            pid: std::process::id(),
            address: announced.endpoint.strip_prefix("http://").unwrap_or(announced.endpoint),
            // The address is absolute, so nothing is relative to this.
            working_dir: announced.run_path,
            config_file: None,
            image_path: announced.image_path,
            run_path: announced.run_path,
            node_name: announced.node_name,
            version: announced.version,
            started_at: announced.started_at,
        };
        write_atomic(&path, &serde_json::to_vec_pretty(&content)?)?;
        Ok(Self { path })
    }
}

impl Drop for Discoverable {
    fn drop(&mut self) {
        // Nobody is left to tell; a file whose process is gone is taken for stale.
        let _ = std::fs::remove_file(&self.path);
    }
}
