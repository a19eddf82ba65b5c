//! `ls`: the VMs of one host or of many.

use std::time::Duration;

use cli_support::{Align, Cell, CliError, ExitCode, Table};
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::client::{Client, Listing, VmmApi, list_all};
use futures_util::future::join_all;
use serde::Serialize;

use crate::context::{Context, Run};
use crate::failure::from_client;
use crate::hosts::Host;

/// Arguments of `ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// Only VMs whose name, id, app id or image contains this; case counts
    #[arg(value_name = "TEXT")]
    keyword: Option<String>,
    /// Print ids only, one a line
    #[arg(short, long, conflicts_with = "watch")]
    quiet: bool,
    /// Print whole ids, app ids and instance ids
    #[arg(short, long)]
    long: bool,
    /// List again every so many seconds, until interrupted
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

/// The VMs of one host, or why there are none. `--json` prints a list of these.
#[derive(Serialize)]
struct Listed {
    host: String,
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    vms: Vec<VmInfo>,
}

impl Run for Ls {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let hosts = context.several()?;
        let Some(seconds) = self.watch else {
            let (listed, first_error) = self.all(&hosts).await;
            self.show(context, &listed)?;
            return conclude(context, &listed, first_error);
        };
        let mut interval = tokio::time::interval(Duration::from_secs(seconds));
        loop {
            interval.tick().await;
            let (listed, _) = self.all(&hosts).await;
            if context.out.is_json() {
                context.out.json_line(&document(&listed))?;
                continue;
            }
            if context.out.style().width.is_some() {
                // Home and clear to the end: the terminal's own scroll-back stays.
                context.out.text("\x1b[H\x1b[J")?;
            }
            let now = jiff::Timestamp::now().strftime("%H:%M:%S UTC").to_string();
            context.out.line(format_args!("every {seconds} s, last at {now}; Ctrl-C ends it\n"))?;
            self.show(context, &listed)?;
            for host in &listed {
                if let Some(error) = &host.error {
                    context.out.line(format_args!("{}: {error}", host.host))?;
                }
            }
        }
    }
}

impl Ls {
    /// Every host at once; one that does not answer keeps no other from being shown.
    async fn all(&self, hosts: &[Host]) -> (Vec<Listed>, Option<CliError>) {
        let mut first_error = None;
        let mut listed = Vec::new();
        for (host, result) in
            hosts.iter().zip(join_all(hosts.iter().map(|host| self.list(&host.client))).await)
        {
            let (vms, error) = match result {
                Ok(vms) => (vms, None),
                Err(error) => {
                    let error = from_client(error);
                    let text = error.to_string();
                    first_error.get_or_insert(error);
                    (Vec::new(), Some(text))
                }
            };
            listed.push(Listed {
                host: host.name.clone(),
                endpoint: host.client.endpoint().to_owned(),
                error,
                vms,
            });
        }
        (listed, first_error)
    }

    async fn list(&self, host: &Client) -> dstack_vmm_client::Result<Vec<VmInfo>> {
        let listing = Listing::brief().keyword(self.keyword.clone().unwrap_or_default());
        list_all(host, listing).await
    }

    fn show(&self, context: &mut Context, listed: &[Listed]) -> Result<(), CliError> {
        if self.quiet {
            for vm in listed.iter().flat_map(|host| &host.vms) {
                context.out.line(&vm.id)?;
            }
            return Ok(());
        }
        if context.out.is_json() {
            return context.out.json(&document(listed));
        }
        let several = listed.len() > 1;
        if listed.iter().all(|host| host.vms.is_empty()) {
            if listed.iter().any(|host| host.error.is_none()) {
                context.progress.note("no VMs; `dstack-vmmctl deploy` makes one from a dstack.toml");
            }
            return Ok(());
        }
        let mut header = vec!["NAME", "ID", "STATUS", "BOOT", "UPTIME", "APP", "IMAGE"];
        if self.long {
            header.insert(6, "INSTANCE");
        }
        if several {
            header.insert(0, "HOST");
        }
        let mut table = Table::new(header).align(if several { 5 } else { 4 }, Align::Right);
        for host in listed {
            for vm in &host.vms {
                let mut row = vec![
                    Cell::from(vm.name.as_str()),
                    Cell::from(self.id(&vm.id)),
                    status_cell(vm),
                    Cell::from(boot(vm)),
                    Cell::from(vm.uptime.as_str()),
                    Cell::from(self.id(&vm.app_id)),
                    Cell::from(vm.image_version.as_str()),
                ];
                if self.long {
                    row.insert(6, Cell::from(vm.instance_id.as_deref().unwrap_or("-")));
                }
                if several {
                    row.insert(0, Cell::from(host.host.as_str()));
                }
                table.row(row);
            }
        }
        context.out.table(&table)
    }

    /// An id, cut to what tells VMs apart at a glance; any beginning of an id is accepted elsewhere.
    fn id<'a>(&self, id: &'a str) -> &'a str {
        if self.long { id } else { id.get(..8).unwrap_or(id) }
    }
}

fn document(listed: &[Listed]) -> serde_json::Value {
    serde_json::json!({ "schema": "dstack-vmmctl/ls/v1", "hosts": listed })
}

/// Exit code and message for hosts that did not answer.
fn conclude(
    context: &Context,
    listed: &[Listed],
    first_error: Option<CliError>,
) -> Result<ExitCode, CliError> {
    let Some(error) = first_error else { return Ok(ExitCode::Ok) };
    if let [_only] = listed {
        return Err(error);
    }
    let failed: Vec<&Listed> = listed.iter().filter(|host| host.error.is_some()).collect();
    for host in &failed {
        context.progress.warning(format_args!("{}: {}", host.host, host.error.as_deref().unwrap_or("")));
    }
    Ok(error.kind())
}

fn status_cell(vm: &VmInfo) -> Cell {
    let colour = match vm.status.as_str() {
        "running" if vm.boot_error.is_empty() => anstyle::AnsiColor::Green,
        "exited" => anstyle::AnsiColor::Red,
        "stopped" => return Cell::from(vm.status.as_str()),
        _ => anstyle::AnsiColor::Yellow,
    };
    Cell::styled(&vm.status, colour.on_default())
}

/// The boot step, or the error that stands in its way.
fn boot(vm: &VmInfo) -> String {
    match (vm.boot_error.as_str(), vm.boot_progress.as_str()) {
        ("", "") => "-".to_owned(),
        ("", step) => step.to_owned(),
        (error, _) => format!("error: {error}"),
    }
}
