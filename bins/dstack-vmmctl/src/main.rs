//! dstack-vmmctl
fn main() {}
