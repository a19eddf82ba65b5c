//! The three answers that must not be confused: cannot, not enabled yet, ready.
