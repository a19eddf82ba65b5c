//! From a project file to running VMs: what a project wants, what runs, the plan between them, and carrying it out.
//!
//! 1. [`Project`] is the file `dstack.toml`; [`Project::resolve`] makes [`Desired`] of it and of the files it names.
//! 2. [`Observed`] is what a host answered.
//! 3. [`plan`](plan::plan) compares the two. A [`Plan`] says what changes line by line, what follows and what stands in the
//!    way; it can be printed, stored as JSON, and refused when it no longer fits.
//! 4. [`Deployment`] carries it out, on one host, and [`Fleet`] on several. Every version that was applied is kept in a
//!    [`Store`], so that there is a way back ([`rollback`](rollback::rollback)).
//!
//! All but the last are pure functions over values and need no feature; carrying out needs the feature `client`.
//!
//! ```
//! use dstack_vmm_client::deploy::{Project, ProjectFiles};
//!
//! let project = Project::parse(
//!     r#"
//!     schema = 1
//!     name = "hello"
//!     image = "dstack-0.5.11"
//!     compose = "docker-compose.yaml"
//!     ports = ["tcp:8080:80"]
//!     "#,
//! )?;
//! let mut files = ProjectFiles::new();
//! files.insert("docker-compose.yaml", "services: {}\n");
//! let desired = project.resolve(&files)?;
//! println!("{}", desired.hash());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adopt;
pub mod allowlist;
#[cfg(feature = "client")]
pub mod apply;
#[cfg(feature = "client")]
pub mod authorize;
pub mod change;
pub mod checks;
mod compare;
pub mod diff;
#[cfg(feature = "client")]
pub mod error;
#[cfg(feature = "client")]
mod files;
#[cfg(feature = "client")]
pub mod fleet;
pub mod history;
pub mod journal;
mod judge;
pub mod observe;
pub mod plan;
pub mod project;
pub mod render;
#[cfg(feature = "client")]
mod request;
pub mod resolve;
#[cfg(feature = "client")]
mod retire;
pub mod rollback;
#[cfg(feature = "client")]
mod run;
mod select;
#[cfg(feature = "client")]
pub mod store;

pub use allowlist::{Allowlist, AllowlistError};
#[cfg(feature = "client")]
pub use apply::{Applied, DeployOptions, Deployment, Event, VmChoice};
#[cfg(feature = "client")]
pub use authorize::{AllowlistFile, AuthorizeError, Authorizer};
pub use change::{Change, Consequence, EnvChange};
pub use checks::CHECKS;
pub use diff::LineDiff;
#[cfg(feature = "client")]
pub use error::DeployError;
#[cfg(feature = "client")]
pub use files::FileError;
#[cfg(feature = "client")]
pub use fleet::{Fleet, FleetHost, HostOutcome};
pub use history::{Entry, History, NoSuchVersion, VersionRef};
pub use observe::{NodeFacts, Observed, PortRange};
pub use plan::{Plan, PlanContext, PlanKind, PolicyState, Step, Target};
pub use project::{
    FileRole, GpuSelection, HostSpec, InitProject, PortSpec, Problem, Project, ProjectError, Protocol,
};
pub use resolve::{Desired, DesiredEnv, ProjectFiles, ResolveError};
pub use rollback::Rollback;
#[cfg(feature = "client")]
pub use store::{LockedStore, Store, StoreError};

#[cfg(test)]
mod tests;
