//! `profile`: what a host can be wanted for.

use clap::Subcommand;
use cli_support::{Align, CliError, ExitCode, Table};
use dstack_hw::{Profile as HostProfile, Requirement};
use serde::Serialize;

use crate::context::Context;
use crate::profiles;

/// Arguments of `profile`.
#[derive(Debug, clap::Args)]
pub(crate) struct Profile {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the built-in profiles
    Ls,
    /// Print a profile as TOML, every check by its id: the beginning of one of your own
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Name of a built-in profile, or path of a TOML file
    #[arg(value_name = "PROFILE")]
    profile: String,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    profile: Row<'a>,
}

#[derive(Serialize)]
struct Listing<'a> {
    schema: &'static str,
    profiles: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    about: &'a str,
    required: Vec<&'static str>,
    advised: Vec<&'static str>,
}

impl<'a> Row<'a> {
    fn of(profile: &'a HostProfile) -> Self {
        let ids = |wanted| {
            let of_kind = profile.checks().filter(move |(_, requirement)| *requirement == wanted);
            of_kind.map(|(check, _)| check.def.id).collect()
        };
        Self {
            name: &profile.name,
            about: &profile.about,
            required: ids(Requirement::Required),
            advised: ids(Requirement::Advised),
        }
    }
}

impl Profile {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        match &self.action {
            None | Some(Action::Ls) => list(context),
            Some(Action::Show(show)) => show.run(context),
        }
    }
}

fn list(context: &mut Context) -> Result<ExitCode, CliError> {
    let profiles: Vec<HostProfile> = HostProfile::builtin_names()
        .map(HostProfile::builtin)
        .collect::<Result<_, _>>()
        .map_err(CliError::bug)?;
    let rows: Vec<Row<'_>> = profiles.iter().map(Row::of).collect();
    if context.out.is_json() {
        context.out.json(&Listing { schema: "dstack-hw/profiles/v1", profiles: rows })?;
        return Ok(ExitCode::Ok);
    }
    let header = ["PROFILE", "REQUIRED", "ADVISED", "FOR"];
    let mut table = Table::new(header).align(1, Align::Right).align(2, Align::Right);
    for row in rows {
        table.row([row.name, &row.required.len().to_string(), &row.advised.len().to_string(), row.about]);
    }
    context.out.table(&table)?;
    Ok(ExitCode::Ok)
}

impl Show {
    fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let profile = profiles::by_name_or_file(&self.profile)?;
        if context.out.is_json() {
            context.out.json(&Document { schema: "dstack-hw/profile/v1", profile: Row::of(&profile) })?;
        } else {
            context.out.text(&profile.to_toml())?;
        }
        Ok(ExitCode::Ok)
    }
}
