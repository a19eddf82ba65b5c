//! What a set-up host looks like: taken twice, compared, and shown to be the same or not.
//!
//! A [`HostSnapshot`] records what setting a host up changes: packages, files, units, users, kernel parameters, what is
//! listened on. [`diff`] compares two of them and says of every difference whether it matters. What is looked at
//! ([`SnapshotSpec`]) and what may differ ([`DiffRules`]) is data.
//!
//! Nothing that says who or where a machine is gets into a snapshot: no serial numbers, addresses, host names, and no
//! secrets in any form.

mod accounts;
mod diff;
mod files;
mod hide;
mod network;
mod packages;
mod pattern;
mod record;
mod settings;
mod spec;
mod system;
mod units;

use serde::de::DeserializeOwned;

pub use diff::{
    Change, DIFF_SCHEMA, DiffRules, Difference, Outcome, RULES_SCHEMA, Severity, Significance, SnapshotDiff,
    Uncompared, diff,
};
pub use hide::SECRET;
pub use packages::{dpkg as parse_dpkg_status, rpm as parse_rpm_list};
pub use pattern::Pattern;
pub use record::{
    FileRecord, Group, HostSnapshot, Listening, Module, Mount, NotRead, Package, SNAPSHOT_SCHEMA, Section,
    Seen, Service, User,
};
pub use spec::{FileRule, Record, SPEC_SCHEMA, SnapshotSpec};

use crate::{Error, HostSource};

impl HostSnapshot {
    /// Records the state of a host. Never fails: what cannot be read is recorded as unread.
    ///
    /// At most 20,000 files are recorded and 512 MiB digested. Programs are asked for their version; nothing is changed.
    pub fn take(source: &dyn HostSource, spec: &SnapshotSpec) -> Self {
        let names = ["/proc/sys/kernel/hostname", "/etc/hostname"];
        let names = names.into_iter().filter_map(|path| source.text(path).ok());
        let hider = hide::Hider::new(names.map(|name| name.trim().to_owned()));
        std::thread::scope(|scope| {
            // What waits for other programs goes side by side with what waits for the disk.
            let units = scope.spawn(|| units::units(source, spec));
            let programs = scope.spawn(|| system::programs(source, spec, &hider));
            let listening = scope.spawn(|| network::listening(source, spec));
            let services = scope.spawn(|| units::services(source));
            let (users, groups) = accounts::accounts(source, spec);
            Self {
                schema: SNAPSHOT_SCHEMA.to_owned(),
                made_by: None,
                label: None,
                spec: spec.clone(),
                os: system::os(source),
                kernel: system::kernel(source, spec, &hider),
                packages: packages::packages(source),
                files: files::files(source, spec, &hider),
                users,
                groups,
                modules: system::modules(source, spec),
                values: system::values(source, spec, &hider),
                mounts: system::mounts(source, spec),
                units: joined(units),
                services: joined(services),
                programs: joined(programs),
                listening: joined(listening),
            }
        })
    }
}

/// The value of a thread; a panic in it is one here.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A TOML document of a known schema.
fn read_toml<T: DeserializeOwned>(
    text: &str,
    what: &'static str,
    schema: &'static str,
    limit: usize,
) -> Result<T, Error> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    if text.len() > limit {
        return Err(Error::TooLarge { what, limit });
    }
    let malformed =
        |error: toml_edit::de::Error| Error::Malformed { what, why: error.to_string().trim_end().to_owned() };
    let head: Head = toml_edit::de::from_str(text).map_err(malformed)?;
    match head.schema {
        Some(found) if found == schema => toml_edit::de::from_str(text).map_err(malformed),
        Some(found) => Err(Error::Schema { what, found, supported: schema }),
        None => Err(Error::Malformed { what, why: format!("it has no line `schema = \"{schema}\"`") }),
    }
}
