//! dstack-vmmctl
