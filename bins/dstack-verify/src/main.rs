//! `dstack-verify`: see the library of this package.

fn main() -> std::process::ExitCode {
    cli_support::main_with("dstack-verify", dstack_verify::run)
}
