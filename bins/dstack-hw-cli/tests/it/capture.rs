//! `capture`.
