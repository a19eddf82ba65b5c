//! What the texts of a VM's life mean: its state, its boot steps, its times.
//!
//! The VMM sends all of them as free text. Sources: upstream `vmm/src/app.rs` for the states, `vmm/src/main_service.rs` and
//! `dstack-util/src/system_setup.rs` for the steps, `basefiles/` for those of the shell scripts, as of v0.5.11 and next.

mod boot_step;
mod humantime;
mod status;

pub use boot_step::BootStep;
pub use humantime::{NotADuration, parse_humantime};
pub use status::VmStatus;
