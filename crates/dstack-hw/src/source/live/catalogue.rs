//! What is run for each [`Probe`]: programs, arguments, patience.

use std::time::Duration;

use crate::source::{Probe, UNITS};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the network may take. The command gives up by itself a moment earlier.
const NETWORK_PATIENCE: Duration = Duration::from_millis(3_500);

/// What is run for a [`Probe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProbeCommand {
    /// Programs to look for, best first: absolute paths, or names for the folders of programs.
    pub(crate) programs: Vec<String>,
    /// The arguments after the name of the program.
    pub(crate) arguments: Vec<String>,
    /// How long it may take.
    pub(crate) patience: Duration,
}

impl Probe {
    /// What is run. `Err` says why an argument is not one that is run with.
    pub(crate) fn command(&self) -> Result<ProbeCommand, &'static str> {
        let run = |programs: &[&str], arguments: &[&str]| ProbeCommand {
            programs: programs.iter().map(|&program| program.to_owned()).collect(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            patience: PATIENCE,
        };
        // The first is where dstack's VMM looks unless its configuration says otherwise.
        let qemu = |arguments: &[&str]| {
            run(&["/usr/bin/qemu-system-x86_64", "qemu-system-x86_64", "/usr/libexec/qemu-kvm"], arguments)
        };
        Ok(match self {
            Self::QemuVersion => qemu(&["--version"]),
            Self::QemuObjects => qemu(&["-object", "help"]),
            Self::QemuTdxProperties => qemu(&["-object", "tdx-guest,help"]),
            Self::Units => {
                let mut command = run(
                    &["systemctl"],
                    &[
                        "show",
                        "--no-pager",
                        "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result,ExecMainStatus,MainPID,User",
                        "--",
                    ],
                );
                command.arguments.extend(UNITS.iter().map(|&unit| unit.to_owned()));
                command
            }
            Self::VsockListeners => run(&["ss"], &["--vsock", "--listening", "--numeric"]),
            Self::RegistrationStatus => run(&["mpa_manage"], &["-get_registration_status"]),
            Self::QuoteServiceLog => run(
                &["journalctl"],
                &[
                    "--boot",
                    "--unit=qgsd.service",
                    "--unit=tdx-qgs.service",
                    "--unit=pccs.service",
                    "--unit=aesmd.service",
                    "--unit=mpa_registration_tool.service",
                    "--lines=200",
                    "--output=cat",
                    "--no-pager",
                    "--quiet",
                ],
            ),
            Self::CollateralService { url } => {
                plain_url(url)?;
                let mut command = run(
                    &["curl"],
                    &[
                        // First, or the settings of the user are read all the same.
                        "--disable",
                        "--silent",
                        "--insecure",
                        "--globoff",
                        "--noproxy",
                        "*",
                        "--proto",
                        "=http,https",
                        "--max-time",
                        "3",
                        "--max-redirs",
                        "0",
                        "--output",
                        "/dev/null",
                        "--write-out",
                        "%{http_code}%{stderr}tls-verify-result %{ssl_verify_result}\n",
                        "--url",
                    ],
                );
                command.arguments.push(url.clone());
                command.patience = NETWORK_PATIENCE;
                command
            }
            Self::GpuConfidentialState => run(&["nvidia-smi"], &["conf-compute", "-f"]),
            Self::UnitFiles => {
                run(&["systemctl"], &["list-unit-files", "--no-pager", "--no-legend", "--plain"])
            }
            Self::RpmPackages => {
                run(&["rpm"], &["-qa", "--qf", "%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n"])
            }
            Self::ProgramVersion { path } => {
                if !path.starts_with('/') || path.split('/').any(|part| part == "..") || path.contains('\0') {
                    return Err("not the absolute path of a program");
                }
                run(&[path], &["--version"])
            }
        })
    }
}

/// Is it a URL that may be asked: `http` or `https`, a host, and no user, query, fragment or blank?
fn plain_url(url: &str) -> Result<(), &'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or("neither an http nor an https URL")?;
    let host = rest.split('/').next().unwrap_or_default();
    let plain = |character: char| character.is_ascii_graphic() && !"\"'<>\\^`{|}?#@".contains(character);
    if host.is_empty() || url.len() > 2048 || !url.chars().all(plain) {
        return Err("not a plain URL: a host, a port and a path, without user and query");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_urls_are_asked() {
        for url in [
            "https://localhost:8081/sgx/certification/v4/rootcacrl",
            "http://[2001:db8::1]:8081/x",
            "https://pccs.example.com",
        ] {
            assert!(Probe::CollateralService { url: url.to_owned() }.command().is_ok(), "{url}");
        }
        for url in [
            "file:///etc/passwd",
            "https://",
            "--config",
            "https://user:secret@pccs.example.com/",
            "https://pccs.example.com/?key=1",
            "https://a b/",
            "https://a/\n--output\n/etc/x",
        ] {
            assert!(Probe::CollateralService { url: url.to_owned() }.command().is_err(), "{url}");
        }
    }

    #[test]
    fn the_url_is_the_value_of_an_option_and_never_one_itself() {
        let command = Probe::CollateralService { url: "https://localhost/".to_owned() }.command().unwrap();
        let arguments: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        assert!(matches!(arguments[..], ["--disable", .., "--url", "https://localhost/"]), "{arguments:?}");
        assert!(!arguments.contains(&"--location"));
    }

    #[test]
    fn a_program_is_named_by_an_absolute_path_without_detours() {
        for path in ["qemu", "", "/usr/bin/../../tmp/x", "--help"] {
            assert!(Probe::ProgramVersion { path: path.to_owned() }.command().is_err(), "{path}");
        }
        assert!(Probe::ProgramVersion { path: "/usr/bin/docker".to_owned() }.command().is_ok());
    }

    #[test]
    fn nothing_is_run_through_a_shell_or_to_change_the_host() {
        let probes = [
            Probe::QemuVersion,
            Probe::QemuObjects,
            Probe::QemuTdxProperties,
            Probe::Units,
            Probe::VsockListeners,
            Probe::RegistrationStatus,
            Probe::QuoteServiceLog,
            Probe::GpuConfidentialState,
            Probe::UnitFiles,
            Probe::RpmPackages,
        ];
        for probe in probes {
            let command = probe.command().unwrap();
            for program in command.programs {
                let name = program.rsplit('/').next().unwrap_or_default().to_owned();
                assert!(
                    !matches!(name.as_str(), "sh" | "bash" | "env" | "sudo" | "modprobe" | "apt" | "apt-get"),
                    "{name}"
                );
            }
        }
    }
}
