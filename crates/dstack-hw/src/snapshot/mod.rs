//! What a set-up host looks like, and how two of them differ.
