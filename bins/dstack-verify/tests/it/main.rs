//! The integration tests of `dstack-verify`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[test]
fn every_command_and_option_is_documented() {
    assert_eq!(cli_support::undocumented(&dstack_verify::command_line()), [""; 0]);
}
