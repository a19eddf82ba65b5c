//! The host this runs on.
