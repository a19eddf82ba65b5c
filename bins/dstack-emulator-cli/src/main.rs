//! dstack-emulator-cli
fn main() {}
