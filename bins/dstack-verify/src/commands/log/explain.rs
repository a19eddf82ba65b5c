//! `log explain`: each entry in words.

use std::path::PathBuf;

use cli_support::{Align, CliError, ExitCode, Table};
use dstack_attestation::event_log::{Event, EventLog, Phase};
use dstack_check::text::{bounded, neutralise_line};
use serde::Serialize;

use crate::context::Context;
use crate::evidence;

/// The longest text shown of a payload, in bytes.
const MAX_SHOWN: usize = 160;

/// Arguments of `log explain`.
///
/// Names and payloads of the firmware's entries are remarks that nothing binds; those of dstack and of the app are
/// bound by RTMR3. After system-ready every entry is the app's, whatever its name.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The log, or a document with one in it: GetQuote, Info, an attestation; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The quote to compare with; without it, the one beside the log in FILE
    #[arg(long, value_name = "FILE")]
    quote: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    entries: Vec<Row>,
    problems: Vec<String>,
    divergence: Option<String>,
}

#[derive(Serialize)]
struct Row {
    index: usize,
    register: String,
    /// `firmware` (and boot loader and kernel), `dstack`, `app`, or `unknown` for what is not dstack's and comes before
    /// system-ready.
    whose: &'static str,
    name: String,
    meaning: String,
    digest: String,
}

impl Explain {
    pub(super) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let (log, beside) = evidence::log_of_file(&self.file)?;
        let quoted = super::replay::quoted(self.quote.as_deref(), beside.quote.as_deref())?;
        let divergence = match &quoted {
            Some(values) => log.first_divergence(values),
            None => log.divergences().next(),
        };
        let document = Document {
            schema: "dstack-verify/log-explain/v1",
            entries: rows(&log),
            problems: log.system_events().problems.iter().map(ToString::to_string).collect(),
            divergence: divergence.map(|divergence| divergence.to_string()),
        };
        let code = if document.divergence.is_some() { ExitCode::No } else { ExitCode::Ok };
        if context.out.is_json() {
            context.out.json(&document)?;
        } else {
            document.show(context)?;
        }
        Ok(code)
    }
}

fn rows(log: &EventLog) -> Vec<Row> {
    let mut runtime = log.runtime_events().peekable();
    let mut rows = Vec::with_capacity(log.entries().len());
    for (index, entry) in log.entries().iter().enumerate() {
        let (whose, meaning) = match runtime.next_if(|occurrence| occurrence.index == index) {
            Some(occurrence) if occurrence.phase == Phase::App => ("app", payload_text(entry.payload())),
            Some(occurrence) => match occurrence.event {
                Some(Ok(event)) => ("dstack", meaning(&event)),
                Some(Err(error)) => ("dstack", format!("unreadable: {error}")),
                None => ("unknown", payload_text(entry.payload())),
            },
            None => ("firmware", event_type(entry.event_type())),
        };
        rows.push(Row {
            index,
            register: entry.rtmr().to_string(),
            whose,
            name: entry.name().to_owned(),
            meaning,
            digest: entry.digest().to_string(),
        });
    }
    rows
}

/// What kind of event the firmware, the boot loader or the kernel measured (TCG PC Client Platform Firmware Profile,
/// section 10.4.1).
fn event_type(number: u32) -> String {
    let words = match number {
        0x0000_0001 => "EV_POST_CODE",
        0x0000_0003 => "EV_NO_ACTION",
        0x0000_0004 => "EV_SEPARATOR: a stage of the boot ended",
        0x0000_0005 => "EV_ACTION",
        0x0000_0006 => "EV_EVENT_TAG: measured by the kernel's loader",
        0x0000_000a => "EV_PLATFORM_CONFIG_FLAGS: configuration handed over by the VMM, such as ACPI tables",
        0x0000_000d => "EV_IPL: measured by the boot loader",
        0x8000_0001 => "EV_EFI_VARIABLE_DRIVER_CONFIG: a variable of secure boot",
        0x8000_0002 => "EV_EFI_VARIABLE_BOOT: a boot variable",
        0x8000_0003 => "EV_EFI_BOOT_SERVICES_APPLICATION: a program that was started, such as the kernel",
        0x8000_0006 => "EV_EFI_GPT_EVENT: a partition table",
        0x8000_0007 => "EV_EFI_ACTION",
        0x8000_0008 | 0x8000_000a => "EV_EFI_PLATFORM_FIRMWARE_BLOB: a part of the firmware",
        0x8000_0009 | 0x8000_000b => "EV_EFI_HANDOFF_TABLES: tables handed to the firmware",
        0x8000_00e0 => "EV_EFI_VARIABLE_AUTHORITY: a key of secure boot",
        other => return format!("event type {other:#x}"),
    };
    words.to_owned()
}

/// What one of dstack's events says.
fn meaning(event: &Event) -> String {
    match event {
        Event::SystemPreparing => "the set-up of the guest began".to_owned(),
        Event::AppId(id) => format!("the app is {id}"),
        Event::ComposeHash(hash) => format!("the app-compose has SHA-256 {hash}"),
        Event::InitScriptHash(hash) => format!("an init script with SHA-256 {hash} ran"),
        Event::GpuPolicyHash(hash) => format!("the GPU policy has SHA-256 {hash}"),
        Event::GpuAttestation(json) => format!("the GPUs say {json}"),
        Event::InstanceId(Some(id)) => format!("the instance is {id}"),
        Event::InstanceId(None) => "the app-compose asked for no instance id".to_owned(),
        Event::BootMrDone => {
            "booting ended; certificates are signed over the registers up to here".to_owned()
        }
        Event::MrKms(mr) => format!("the KMS has the aggregated measurement {mr}"),
        Event::OsImageHash(hash) => format!("the KMS takes the OS image for {hash}"),
        Event::KeyProvider(provider) if provider.id.is_empty() => {
            format!("the keys are from the key provider {:?}", provider.name)
        }
        Event::KeyProvider(provider) => {
            format!("the keys are from the key provider {:?} with the id {}", provider.name, provider.id)
        }
        Event::StorageFs(name) => format!("the data disk has the file system {name}"),
        Event::SystemReady => "the set-up ended; what follows is the app's".to_owned(),
        other => format!("{}", other.name()),
    }
}

/// A payload as text where it is text, else as hex.
fn payload_text(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => format!("0x{}", hex::encode(payload)),
    }
}

impl Document {
    fn show(&self, context: &mut Context) -> Result<(), CliError> {
        let mut table =
            Table::new(["#", "REGISTER", "WHOSE", "EVENT", "WHAT IT SAYS"]).align(0, Align::Right);
        for row in &self.entries {
            let meaning = bounded(row.meaning.as_str(), MAX_SHOWN);
            let name = bounded(row.name.as_str(), MAX_SHOWN);
            table.row([row.index.to_string(), row.register.clone(), row.whose.to_owned(), name, meaning]);
        }
        context.out.table(&table)?;
        for problem in &self.problems {
            context.out.line(format_args!("odd: {}", neutralise_line(problem)))?;
        }
        if let Some(divergence) = &self.divergence {
            context.out.line(format_args!("first contradiction: {}", neutralise_line(divergence)))?;
        }
        Ok(())
    }
}
