//! cli-support
