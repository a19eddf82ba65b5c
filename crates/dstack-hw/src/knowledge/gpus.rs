//! NVIDIA devices that have a confidential mode.
