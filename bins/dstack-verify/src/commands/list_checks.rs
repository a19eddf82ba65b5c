//! `list-checks`: every check, with what it proves and what not.

use cli_support::{CliError, ExitCode, Table};
use dstack_attestation::{
    CERTIFICATE_CHECKS, COMPOSE_CHECKS, GATEWAY_CHECKS, IMAGE_CHECKS, INGRESS_CHECKS, KMS_CHECKS, cvm_checks,
};
use dstack_check::CheckDef;
use serde::Serialize;

use crate::context::Context;

/// Arguments of `list-checks`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListChecks {}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    checks: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    id: &'static str,
    /// What the check is about: `cvm`, `certificate`, `kms`, `gateway`, `ingress`, `image` or `compose`.
    subject: &'static str,
    title: &'static str,
    layer: &'static str,
    parents: &'static [&'static str],
    needs: &'static str,
    why: &'static str,
    proves: &'static str,
    leaves_open: &'static str,
}

impl Row {
    const fn of(subject: &'static str, check: &CheckDef) -> Self {
        Self {
            id: check.id,
            subject,
            title: check.title,
            layer: check.layer,
            parents: check.parents,
            needs: check.needs,
            why: check.why,
            proves: check.proves,
            leaves_open: check.leaves_open,
        }
    }
}

fn rows() -> Vec<Row> {
    let cvm: Vec<CheckDef> = cvm_checks().collect();
    let catalogues: [(&'static str, &[CheckDef]); 7] = [
        ("cvm", &cvm),
        ("certificate", CERTIFICATE_CHECKS),
        ("kms", KMS_CHECKS),
        ("gateway", GATEWAY_CHECKS),
        ("ingress", INGRESS_CHECKS),
        ("image", IMAGE_CHECKS),
        ("compose", COMPOSE_CHECKS),
    ];
    catalogues
        .iter()
        .flat_map(|(subject, checks)| checks.iter().map(|check| Row::of(subject, check)))
        .collect()
}

impl ListChecks {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let rows = rows();
        if context.out.is_json() {
            context.out.json(&Document { schema: "dstack-verify/list-checks/v1", checks: rows })?;
            return Ok(ExitCode::Ok);
        }
        let mut table = Table::new(["CHECK", "ABOUT", "PASSES WHEN"]).wrap_last();
        for row in rows {
            table.row([row.id, row.subject, row.title]);
        }
        context.out.table(&table)?;
        Ok(ExitCode::Ok)
    }
}
