//! Releases of the TDX module.
