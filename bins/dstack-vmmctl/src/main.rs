//! `dstack-vmmctl`: see the library of this package.

fn main() -> std::process::ExitCode {
    cli_support::main_with("dstack-vmmctl", dstack_vmmctl::run)
}
