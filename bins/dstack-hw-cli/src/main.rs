//! `dstack-hw`: see the library of this package.

fn main() -> std::process::ExitCode {
    cli_support::main_with("dstack-hw", dstack_hw_cli::run)
}
