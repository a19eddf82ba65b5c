//! dstack-emulator-cli
