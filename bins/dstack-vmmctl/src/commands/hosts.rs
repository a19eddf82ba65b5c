//! `hosts`: every host that is known here, and whether it answers.

use cli_support::{Align, Cell, CliError, ExitCode, Table};
use dstack_vmm_client::api::StatusRequest;
use dstack_vmm_client::client::VmmApi;
use futures_util::future::join_all;
use serde::Serialize;

use crate::context::{Context, Run};
use crate::failure::IntoCli;
use crate::hosts::{ConnectArgs, KnownHost};

/// Arguments of `hosts`.
#[derive(Debug, clap::Args)]
pub(crate) struct Hosts {}

/// One host; `--json` prints a list of these.
#[derive(Serialize)]
struct Row {
    name: String,
    endpoint: String,
    source: String,
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Run for Hosts {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let search = context.connect.everything()?;
        for problem in &search.problems {
            context.progress.warning(problem);
        }
        let rows = join_all(search.hosts.into_iter().map(|host| look(&context.connect, host, context))).await;
        if context.out.is_json() {
            context.out.json(&serde_json::json!({ "schema": "dstack-vmmctl/hosts/v1", "hosts": rows }))?;
        } else if rows.is_empty() {
            context
                .progress
                .note(format_args!("no VMM is known here; looked for {}", search.looked.join(", ")));
        } else {
            show(context, &rows)?;
        }
        let any = rows.iter().any(|row| row.reachable);
        Ok(if any { ExitCode::Ok } else { ExitCode::Unreachable })
    }
}

/// What a host answers. A host that cannot be asked is a row like the others.
async fn look(connect: &ConnectArgs, host: KnownHost, context: &Context) -> Row {
    let mut row = Row {
        name: host.name.clone(),
        endpoint: host.endpoint.clone(),
        source: host.source.to_string(),
        reachable: false,
        version: None,
        vms: None,
        error: None,
    };
    let ask = async {
        let client = connect.connect(host, &context.progress)?.client;
        let version = client.server_version().await.into_cli()?.reported.version.clone();
        // One VM a page: only the total is wanted.
        let mut request = StatusRequest::default();
        request.brief = true;
        request.page = 1;
        request.page_size = 1;
        Ok::<_, CliError>((version, client.status(&request).await.into_cli()?.total))
    };
    match ask.await {
        Ok((version, vms)) => {
            row.reachable = true;
            row.version = Some(version);
            row.vms = Some(vms);
        }
        Err(error) => row.error = Some(error.to_string()),
    }
    row
}

fn show(context: &mut Context, rows: &[Row]) -> Result<(), CliError> {
    let mut table =
        Table::new(["NAME", "ENDPOINT", "ANSWERS", "VERSION", "VMS", "SOURCE"]).align(4, Align::Right);
    for row in rows {
        let colour = if row.reachable { anstyle::AnsiColor::Green } else { anstyle::AnsiColor::Red };
        table.row([
            Cell::from(if row.name == row.endpoint { "" } else { row.name.as_str() }),
            Cell::from(&row.endpoint),
            Cell::styled(if row.reachable { "yes" } else { "no" }, colour.on_default()),
            Cell::from(row.version.as_deref().unwrap_or("")),
            Cell::from(row.vms.map(|vms| vms.to_string()).unwrap_or_default()),
            Cell::from(&row.source),
        ]);
    }
    context.out.table(&table)?;
    for row in rows {
        if let Some(error) = &row.error {
            context.progress.warning(format_args!("{}: {error}", row.name));
        }
    }
    Ok(())
}
