//! `vmm.toml`, the configuration of a VMM host: model, lint and edits.
//!
//! Everything here is a function from text to values: nothing is read from or written to a disk.
//!
//! - [`VmmConfig`] is what a VMM would run with, [`KEYS`] every key with its default;
//! - [`lint`] says what is wrong with a file, as findings of [`CHECKS`];
//! - [`set`] and [`unset`] change one key and leave every other byte alone.
//!
//! # Which files count
//! A VMM lays these over each other, the later over the earlier: the defaults built into it; `/etc/vmm/vmm.toml` and
//! `/etc/vmm/vmm.json`; `vmm.toml` and `vmm.json` of the working directory; the file given with `-c` (TOML when its name
//! ends in `.toml`, else JSON). Tables merge; lists and single values are replaced as a whole.
//! [`VmmConfig::from_layers`] does the same with texts. (Source: `load_config/src/lib.rs` of dstack.)

mod array;
mod checks;
mod edit;
mod error;
mod keys;
mod lines;
mod lint;
mod listen;
mod model;
mod port_range;
mod read;
mod secret;
mod splice;
mod tree;
mod value;

pub use checks::CHECKS;
pub use edit::{Edited, force_set, set, unset};
pub use error::{ConfigError, EditError};
pub use keys::{KEYS, KeyDef, KeyDefault, KeyType, Readers, key_def, nearest_keys};
pub use lint::{LintContext, lint};
pub use listen::{AddressError, ListenAddress, MAX_SOCKET_PATH};
pub use model::{
    AuthSection, AutoRestart, CvmSection, GatewaySection, GpuSection, HostApi, ImageSection, KeyProvider,
    LogRotation, NetdSection, NetworkFilter, Networking, PortMapping, SupervisorSection, VmmConfig,
};
pub use port_range::{PortRange, Protocol};
pub use secret::ApiToken;
pub use tree::{Format, Layer};
pub use value::{ConfigValue, parse_size};
