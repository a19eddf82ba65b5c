//! The app-compose: the document that says what a CVM runs, and whose bytes are its identity.
//!
//! Its SHA-256 is the compose hash that is measured, put into `MRCONFIGID` and authorised by policies. Nothing on the
//! server or in the guest normalises it, so [`AppComposeDocument`] owns the bytes and never writes them anew:
//!
//! ```
//! use dstack_vmm_client::app_compose::AppComposeDocument;
//!
//! let bytes = br#"{"manifest_version": 2, "name": "demo", "runner": "docker-compose", "x-team": 7}"#;
//! let document = AppComposeDocument::from_bytes(bytes)?;
//! assert_eq!(document.bytes(), bytes);
//! assert_eq!(document.fields().name, "demo");
//! assert_eq!(document.unknown_fields()[0].path, "x-team");
//! # Ok::<(), dstack_vmm_client::app_compose::ComposeError>(())
//! ```
//!
//! A new document comes from [`AppComposeBuilder`], a changed one from [`AppComposeDocument::set`], which touches the
//! bytes of one value alone. [`lint`] says what a VMM, a guest or an operator will trip over, with line and column.

mod builder;
mod document;
mod duplicates;
mod edit;
mod fields;
mod hash;
mod json;
mod lint;
mod parse;
mod schema;
mod size;
pub(crate) mod syntax;

pub use builder::{AppComposeBuilder, BuildError};
pub use document::{AppComposeDocument, ComposeError};
pub use edit::EditError;
pub use fields::{
    AppCompose, EventLogVersion, GpuPolicy, KeyProvider, MAX_INIT_SCRIPTS, MAX_MANIFEST_VERSION, PortAttrs,
    PortPolicy, Requirements, Runner, Snapshotter, VerityVolume,
};
pub use hash::ComposeHash;
pub use json::Layout;
pub use lint::{CHECKS, lint, lint_file};
pub use schema::UnknownField;
pub use size::{SizeError, parse_size};
