//! Evidence that somebody tampered with: each attack is answered by exactly the findings that name it.
//!
//! The attacks start from the [`Scene`](scene::Scene) of an honest app on a platform of the test authority, whose quote is
//! signed and whose collateral is in date, so that nothing else is wrong when one thing is.

mod attestation;
mod bytes;
mod emulated;
mod lengths;
mod log;
mod platform;
mod scene;
mod services;
mod swapped;
