//! `gpus`: the GPUs of a host.

use cli_support::{CliError, ExitCode, Table};
use dstack_vmm_client::client::VmmApi;

use crate::context::{Context, Run};
use crate::failure::IntoCli;

/// Arguments of `gpus`.
#[derive(Debug, clap::Args)]
pub(crate) struct Gpus {}

impl Run for Gpus {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let answer = host.list_gpus().await.into_cli()?;
        if context.out.is_json() {
            let document = serde_json::json!({
                "schema": "dstack-vmmctl/gpus/v1",
                "gpus": answer.gpus,
                "allow_attach_all": answer.allow_attach_all,
            });
            context.out.json(&document)?;
            return Ok(ExitCode::Ok);
        }
        if answer.gpus.is_empty() {
            context.progress.note(format_args!(
                "{} offers no GPUs; `[cvm.gpu] enabled` in its vmm.toml switches them on",
                host.endpoint()
            ));
            return Ok(ExitCode::Ok);
        }
        let mut table = Table::new(["SLOT", "PRODUCT", "FREE", "DESCRIPTION"]);
        for gpu in &answer.gpus {
            let free = if gpu.is_free { "yes" } else { "no" };
            table.row([gpu.slot.as_str(), gpu.product_id.as_str(), free, gpu.description.as_str()]);
        }
        context.out.table(&table)?;
        Ok(ExitCode::Ok)
    }
}
