//! `dstack-emulator`: see the library of this package.

fn main() -> std::process::ExitCode {
    cli_support::main_with("dstack-emulator", dstack_emulator_cli::run)
}
