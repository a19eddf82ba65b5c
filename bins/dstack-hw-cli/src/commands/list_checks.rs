//! `list-checks`: every check, with what it stands on and what it means in a profile.

use cli_support::{CliError, ExitCode, Table};
use dstack_hw::checks::{self, Barrier};
use serde::Serialize;

use crate::context::Context;
use crate::profiles;

/// Arguments of `list-checks`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListChecks {
    /// Only the checks of a profile, with what they mean in it: a name, or the path of a TOML file
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    profile: Option<&'a str>,
    checks: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    id: &'static str,
    title: &'static str,
    layer: &'static str,
    parents: &'static [&'static str],
    barrier: &'static str,
    needs: &'static str,
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    requirement: Option<&'static str>,
}

impl ListChecks {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let profile = self.profile.as_deref().map(profiles::by_name_or_file).transpose()?;
        let rows: Vec<Row> = checks::all()
            .filter_map(|check| {
                let requirement = match &profile {
                    Some(profile) => Some(profile.requirement(check.def.id)?),
                    None => None,
                };
                let def = check.def;
                Some(Row {
                    id: def.id,
                    title: def.title,
                    layer: def.layer,
                    parents: def.parents,
                    barrier: barrier(check.barrier),
                    needs: def.needs,
                    why: def.why,
                    requirement: requirement.map(|requirement| requirement.word()),
                })
            })
            .collect();
        if context.out.is_json() {
            let name = profile.as_ref().map(|profile| profile.name.as_str());
            let document = Document { schema: "dstack-hw/list-checks/v1", profile: name, checks: rows };
            context.out.json(&document)?;
            return Ok(ExitCode::Ok);
        }
        let mut table = match profile {
            Some(_) => Table::new(["CHECK", "MEANS", "PASSES WHEN"]),
            None => Table::new(["CHECK", "PASSES WHEN"]),
        };
        for row in rows {
            match row.requirement {
                Some(requirement) => table.row([row.id, requirement, row.title]),
                None => table.row([row.id, row.title]),
            }
        }
        context.out.table(&table)?;
        Ok(ExitCode::Ok)
    }
}

/// What stands in the way when a check fails, as one word.
const fn barrier(barrier: Barrier) -> &'static str {
    match barrier {
        Barrier::Hardware => "hardware",
        Barrier::Setting => "setting",
        Barrier::Elsewhere => "elsewhere",
    }
}
