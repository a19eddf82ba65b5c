//! `snapshots`.
