//! `live`.
