//! Versions of QEMU and what they can do.
