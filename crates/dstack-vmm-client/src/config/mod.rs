//! `vmm.toml`, the configuration of a VMM host: model, lint and edits.
