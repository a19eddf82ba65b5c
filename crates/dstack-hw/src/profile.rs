//! Which checks a kind of host must pass.
