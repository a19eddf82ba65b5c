//! `logs`: what a VM or one of its containers writes.

mod agent;

use std::io::IsTerminal;
use std::str::FromStr;
use std::time::Duration;

use cli_support::{CliError, ExitCode};
use dstack_check::text::neutralise;
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::client::{LogChannel, LogEvent, LogRequest, VmmApi};
use futures_util::StreamExt;

use crate::context::{Context, Run};
use crate::failure::from_client;
use crate::hosts::Host;
use crate::vm_ref;

/// How long a followed log is silent before its VM is looked at.
const SILENCE: Duration = Duration::from_secs(2);

/// Arguments of `logs`.
///
/// Nothing is caught when the user interrupts: the process then ends by the signal, which shells show as 130.
#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// VM by name, id, or the beginning of an id
    #[arg(value_name = "VM")]
    vm: String,
    /// Go on as the log grows, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to begin with: a number, or all
    #[arg(short = 'n', long, value_name = "LINES", default_value = "200")]
    tail: Tail,
    /// Which output: serial, stdout or stderr of the VM's process, or container:NAME
    #[arg(short, long, value_name = "CHANNEL", default_value = "serial")]
    channel: Channel,
    /// Keep terminal escape sequences; they are the guest's and can do anything a terminal can
    #[arg(long)]
    ansi: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Lines(usize),
    All,
}

impl FromStr for Tail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::Lines).map_err(|_| "expected a number of lines, or all".to_owned())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Channel {
    Vmm(LogChannel),
    Container(String),
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("container:") {
            Some("") => Err("container: needs the name of a container".to_owned()),
            // A name never has a slash; one would lead to another page of the guest agent.
            Some(name) if name.contains('/') => Err(format!("{name:?} is no name of a container")),
            Some(name) => Ok(Self::Container(name.to_owned())),
            None => text.parse().map(Self::Vmm).map_err(|_| {
                format!("unknown channel {text:?}, expected serial, stdout, stderr or container:NAME")
            }),
        }
    }
}

impl Run for Logs {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?;
        let vm = vm_ref::resolve(&host.client, &self.vm).await?;
        let channel = match &self.channel {
            Channel::Vmm(channel) => *channel,
            Channel::Container(name) => match agent::follow(name, &self, &host, &vm, context).await? {
                agent::Outcome::Shown => return Ok(ExitCode::Ok),
                agent::Outcome::NotThere(why) => {
                    context
                        .progress
                        .warning(format_args!("no log of container {name}: {why}; this is the serial log"));
                    LogChannel::Serial
                }
            },
        };
        self.of_the_vmm(channel, &host, &vm, context).await
    }
}

impl Logs {
    async fn of_the_vmm(
        &self,
        channel: LogChannel,
        host: &Host,
        vm: &VmInfo,
        context: &mut Context,
    ) -> Result<ExitCode, CliError> {
        let mut request = LogRequest::new(&vm.id).channel(channel).follow(self.follow).ansi(self.ansi);
        if let Tail::Lines(lines) = self.tail {
            request = request.tail(lines);
        }
        let mut printer = Printer::new(channel.as_str(), self.ansi, context);
        let mut events = host.client.logs(request);
        loop {
            let next = if self.follow {
                match tokio::time::timeout(SILENCE, events.next()).await {
                    Ok(next) => next,
                    // The VMM goes on with the log of a VM that was removed, and nothing ever comes.
                    Err(_) if matches!(host.client.info(&vm.id).await, Ok(None)) => {
                        context.progress.note(format_args!("the VM {} is gone", vm.id));
                        return Ok(ExitCode::Ok);
                    }
                    Err(_) => continue,
                }
            } else {
                events.next().await
            };
            let Some(event) = next else { break };
            match event {
                Ok(LogEvent::Line(line)) => printer.line(&line, context)?,
                Ok(LogEvent::Reconnected { exact: true }) => {
                    context.progress.note("the connection was lost; it is back and no line is missing");
                }
                Ok(LogEvent::Reconnected { .. }) => {
                    context.progress.warning(
                        "the connection was lost; it is back, and lines may be missing or here twice",
                    );
                }
                Ok(_) => {}
                // Who follows a VM to its end has seen everything there is.
                Err(error) if self.follow && printer.lines > 0 && error.is_no_such_vm() => {
                    context.progress.note(format_args!("the VM {} is gone", vm.id));
                    return Ok(ExitCode::Ok);
                }
                Err(error) => return Err(from_client(error)),
            }
        }
        if printer.lines == 0 {
            context.progress.note(format_args!("the {channel} log of {} is empty", vm.name));
        }
        Ok(ExitCode::Ok)
    }
}

/// Writes lines: as JSON, as they are, or harmless for a terminal.
struct Printer {
    channel: String,
    /// Whether what is no plain text has to be written out.
    guard: bool,
    lines: u64,
}

impl Printer {
    fn new(channel: &str, ansi: bool, context: &Context) -> Self {
        let guard = !ansi && !context.out.is_json() && std::io::stdout().is_terminal();
        Self { channel: channel.to_owned(), guard, lines: 0 }
    }

    fn line(&mut self, line: &str, context: &mut Context) -> Result<(), CliError> {
        self.lines += 1;
        if context.out.is_json() {
            let document = serde_json::json!({ "schema": "dstack-vmmctl/logs/v1", "channel": self.channel, "line": line });
            context.out.json_line(&document)
        } else if self.guard {
            context.out.line(neutralise(line))
        } else {
            context.out.line(line)
        }
    }
}
