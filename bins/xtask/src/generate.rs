//! `cargo xtask gen`: everything that is generated and committed.

use std::fmt::Write;
use std::process::ExitCode;

use dstack_check::CheckDef;

use crate::process::{Failure, root, say};

/// Writes the CLI reference, the JSON Schemas and the index of checks.
#[derive(clap::Args)]
pub(crate) struct Gen {
    /// Change nothing; fail when a file is not what would be written.
    #[arg(long)]
    check: bool,
}

/// A generated file.
struct Generated {
    /// Path below the root of the workspace.
    path: &'static str,
    text: String,
}

impl Gen {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if self.check {
            check()?;
        } else {
            for file in all()? {
                let path = root().join(file.path);
                if std::fs::read_to_string(&path).is_ok_and(|old| old == file.text) {
                    continue;
                }
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(&path, file.text)?;
                say(&format!("wrote {}", file.path));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Fails when a generated file is not what would be written.
pub(crate) fn check() -> Result<(), Failure> {
    let mut stale = Vec::new();
    for file in all()? {
        if std::fs::read_to_string(root().join(file.path)).map_or(true, |text| text != file.text) {
            stale.push(file.path);
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!("not up to date, run `cargo xtask gen`: {}", stale.join(", ")).into())
    }
}

fn all() -> Result<Vec<Generated>, Failure> {
    Ok(vec![
        Generated { path: "docs/checks/README.md", text: index_of_checks()? },
        Generated {
            path: "docs/cli/dstack-vmmctl.md",
            text: reference("dstack-vmmctl", dstack_vmmctl::command_line()),
        },
        Generated {
            path: "docs/cli/dstack-emulator.md",
            text: reference("dstack-emulator", dstack_emulator_cli::command_line()),
        },
        Generated {
            path: "docs/cli/dstack-hw.md",
            text: reference("dstack-hw", dstack_hw_cli::command_line()),
        },
        Generated {
            path: "docs/cli/dstack-verify.md",
            text: reference("dstack-verify", dstack_verify::command_line()),
        },
        Generated {
            path: "schemas/report-v1.json",
            text: schema(&dstack_check::render::json::report_schema())?,
        },
        Generated {
            path: "schemas/report-set-v1.json",
            text: schema(&dstack_check::render::json::set_schema())?,
        },
    ])
}

fn schema(schema: &serde_json::Value) -> Result<String, Failure> {
    Ok(format!("{}\n", serde_json::to_string_pretty(schema)?))
}

/// Every check of the project: whose it is, what it is about, and the checks.
fn checks() -> Vec<(&'static str, &'static str, Vec<CheckDef>)> {
    vec![
        ("dstack-attestation", "What a CVM proves", dstack_attestation::cvm_checks().collect()),
        ("dstack-attestation", "Certificates", dstack_attestation::CERTIFICATE_CHECKS.to_vec()),
        ("dstack-attestation", "What a KMS proves", dstack_attestation::KMS_CHECKS.to_vec()),
        ("dstack-attestation", "What a gateway proves", dstack_attestation::GATEWAY_CHECKS.to_vec()),
        ("dstack-attestation", "What an ingress proves", dstack_attestation::INGRESS_CHECKS.to_vec()),
        ("dstack-attestation", "OS images", dstack_attestation::IMAGE_CHECKS.to_vec()),
        ("dstack-attestation", "App-composes and their claims", dstack_attestation::COMPOSE_CHECKS.to_vec()),
        ("dstack-vmm-client", "App-compose documents", dstack_vmm_client::app_compose::CHECKS.to_vec()),
        ("dstack-vmm-client", "vmm.toml", dstack_vmm_client::config::CHECKS.to_vec()),
        ("dstack-vmm-client", "Deployments", dstack_vmm_client::deploy::checks::CHECKS.to_vec()),
        ("dstack-vmmctl", "Hosts and environments", dstack_vmmctl::checks::all().collect()),
        ("dstack-hw", "Hosts from the silicon up", dstack_hw::checks::all().map(|check| check.def).collect()),
    ]
}

/// The index of docs/checks.
///
/// # Errors
/// A check has no page, a page has no check, or an id is given twice.
fn index_of_checks() -> Result<String, Failure> {
    let folder = root().join("docs/checks");
    let mut text = String::from(
        "# Checks\n\nEvery finding carries the id of its check. The pages say what each one looks at, why it matters, how it \
         can fail and\nwhat to do.\n",
    );
    let mut wrong = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for (owner, title, checks) in checks() {
        let _ = write!(
            text,
            "\n## {title}\n\nFrom `{owner}`.\n\n| check | what is true when it passes |\n|---|---|\n"
        );
        for check in checks {
            if !known.insert(check.id) {
                wrong.push(format!("{} is the id of two checks", check.id));
            }
            if !folder.join(format!("{}.md", check.id)).is_file() {
                wrong.push(format!("docs/checks/{}.md is missing", check.id));
            }
            let _ = writeln!(text, "| [`{0}`]({0}.md) | {1} |", check.id, check.title);
        }
    }
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let id = name.trim_end_matches(".md");
        if id != "README" && !known.contains(id) {
            wrong.push(format!("docs/checks/{name} is the page of no check"));
        }
    }
    wrong.sort();
    if wrong.is_empty() { Ok(text) } else { Err(wrong.join("\n").into()) }
}

/// The help of a program and of all its commands as one Markdown page.
fn reference(name: &str, command: clap::Command) -> String {
    let mut command =
        command.disable_help_subcommand(true).term_width(96).mut_args(|arg| arg.hide_env_values(true));
    command.build();
    let mut text = format!(
        "# `{name}`\n\nWhat `--help` prints, for the program and for each of its commands. Written by `cargo xtask gen`.\n"
    );
    page(&mut command, &mut text);
    text
}

fn page(command: &mut clap::Command, text: &mut String) {
    let name = command.get_display_name().unwrap_or(command.get_name()).replace('-', " ");
    // Only the blanks between commands are blanks; the program's own name keeps its hyphens.
    let name = command.get_bin_name().map_or(name, ToOwned::to_owned);
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() {
            page(sub, text);
        }
    }
}
