//! `cargo xtask demo`: from a Compose file to a running, checked app.
//!
//! The demo types the commands of `dstack-vmmctl` and `dstack-verify` that a person would type, in this process, and shows
//! what they say. On the emulator or on a real host, the way is the same.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use dstack_emulator::{BootProfile, Emulator};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::client::{Client, LogEvent, LogRequest, VmmApi};
use dstack_vmm_client::deploy::project::{FILE_NAME, InitProject};

use futures_util::StreamExt;

use crate::process::Failure;

/// Deploys the hello-world example, watches it boot, and checks what it proves.
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// Use this VMM instead of the emulator: unix:/path/to/vmm.sock, http://... or https://...
    #[arg(long, value_name = "URL")]
    vmm: Option<String>,
    /// Where the API token of that VMM is: a file, env:NAME, or - for stdin
    #[arg(long, value_name = "SOURCE", requires = "vmm")]
    token_from: Option<String>,
    /// Guest image on that VMM; without it the first that is no development image
    #[arg(long, value_name = "NAME", requires = "vmm")]
    image: Option<String>,
    /// Version of dstack that the emulator plays: 0.5 or next
    #[arg(long, value_name = "VERSION", default_value_t = DstackVersion::V0_5)]
    dstack: DstackVersion,
    /// Exit when done, which is what happens anyway unless --keep is given
    #[arg(long, conflicts_with = "keep")]
    once: bool,
    /// Leave the emulator running afterwards, to try other commands on it, until Ctrl-C
    #[arg(long, conflicts_with = "vmm")]
    keep: bool,
}

/// What the demo is about.
const EXAMPLE: &str = "hello-world";

/// Time between two boot steps of the emulator: slow enough to be read, quick enough not to be waited for.
const BOOT_STEP: Duration = Duration::from_millis(250);

/// Silence after which a log counts as read.
const QUIET: Duration = Duration::from_millis(700);

/// A stage: where the VMM is and where the project lies.
struct Stage {
    vmm: String,
    token_from: Option<String>,
    project: PathBuf,
}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let _exits_anyway = self.once;
        let started = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let code = match &self.vmm {
            Some(url) => self.on_host(&runtime, url)?,
            None => self.on_emulator(&runtime, started)?,
        };
        Ok(code)
    }

    fn on_emulator(&self, runtime: &tokio::runtime::Runtime, started: Instant) -> Result<ExitCode, Failure> {
        let folder = tempfile::Builder::new().prefix("dstack-demo-").tempdir()?;
        let socket = folder.path().join("vmm.sock");
        let emulator = runtime.block_on(
            Emulator::builder()
                .version(self.dstack)
                .run_dir(folder.path().join("vm"))
                .listen_unix(&socket)
                .boot(BootProfile::new().step_time(BOOT_STEP))
                .start(),
        )?;
        heading(&format!(
            "EMULATED: no TEE here. The emulator plays dstack {} on {}",
            self.dstack.capabilities().reference,
            emulator.endpoint()
        ))?;
        let stage = Stage {
            vmm: emulator.endpoint().to_owned(),
            token_from: None,
            project: folder.path().join(EXAMPLE),
        };
        let client = Client::new(stage.vmm.parse()?)?;
        let image = runtime.block_on(first_image(&client))?;
        stage.deploy(&image)?;
        let vm = runtime.block_on(the_vm(&client))?;
        stage.follow_log(runtime, &client, &vm)?;

        // The guest's own socket, which programs inside of the CVM have as /var/run/dstack.sock. The demo plays one of them.
        let agent = format!("unix:{}", emulator.vm_dir(&vm).join("dstack.sock").display());
        let code = stage.verify(&["--agent", &agent, "--danger-accept-emulated"])?;
        heading(&format!(
            "Done in {:.1} s. On a real host the same commands do the same:",
            started.elapsed().as_secs_f64()
        ))?;
        real_host_commands()?;
        if self.keep {
            heading(&format!("The emulator goes on at {}; Ctrl-C ends it", stage.vmm))?;
            runtime.block_on(tokio::signal::ctrl_c())?;
        }
        Ok(code)
    }

    fn on_host(&self, runtime: &tokio::runtime::Runtime, url: &str) -> Result<ExitCode, Failure> {
        let project = std::env::current_dir()?.join(format!("{EXAMPLE}-demo"));
        let stage = Stage { vmm: url.to_owned(), token_from: self.token_from.clone(), project };
        stage.type_command(&["doctor".as_ref()])?;
        let image = match &self.image {
            Some(image) => image.clone(),
            None if self.token_from.is_some() => {
                return Err("name the guest image with --image; `dstack-vmmctl images` lists them".into());
            }
            None => runtime.block_on(first_image(&Client::new(url.parse()?)?))?,
        };
        stage.deploy(&image)?;
        stage.succeed(&["logs".as_ref(), "--tail".as_ref(), "8".as_ref(), EXAMPLE.as_ref()])?;
        let mut from = vec!["--vmm", url, "--vm", EXAMPLE];
        if let Some(source) = &self.token_from {
            from.extend(["--token-from", source]);
        }
        let code = stage.verify(&from)?;
        line(
            "The VMM has no quote of the guest, so that nothing is proven from here, and the answer is not yes (exit code 1).",
        )?;
        line(
            "A program in the CVM gets a quote from its guest agent; with it in a file, `--evidence FILE` takes it into account.",
        )?;
        heading(&format!(
            "The app goes on running. Its project lies in {}; this removes it:",
            stage.project.display()
        ))?;
        line(&format!("  dstack-vmmctl --vmm {url} rm --force {EXAMPLE}"))?;
        Ok(code)
    }
}

impl Stage {
    /// From the Compose file to the app that is up.
    fn deploy(&self, image: &str) -> Result<(), Failure> {
        let example = dstack_examples::find(EXAMPLE).ok_or("the hello-world example is missing")?;
        std::fs::create_dir_all(&self.project)?;
        std::fs::write(self.project.join("docker-compose.yaml"), example.compose)?;
        let mut project = InitProject::new(example.slug, image);
        project.ports =
            example.ports.iter().map(|port| format!("{}:{}:{}", port.protocol, port.host, port.vm)).collect();
        std::fs::write(self.project.join(FILE_NAME), project.to_toml())?;

        heading("A Compose file")?;
        for text in example.compose.lines() {
            line(&format!("  {text}"))?;
        }
        heading("becomes an app-compose, whose SHA-256 is the compose hash; this is what would happen")?;
        self.succeed(&["plan".as_ref()])?;
        heading("Do it, and wait until the app is up")?;
        self.succeed(&["deploy".as_ref(), "--yes".as_ref()])
    }

    /// Follows the serial log from its last lines on, and interrupts it as a person would once nothing more comes.
    fn follow_log(
        &self,
        runtime: &tokio::runtime::Runtime,
        client: &Client,
        vm: &str,
    ) -> Result<(), Failure> {
        heading("Follow its serial log")?;
        line(&format!("$ dstack-vmmctl logs --follow --tail 8 {EXAMPLE}"))?;
        let mut request = LogRequest::new(vm);
        request.tail = Some(8);
        request.follow = true;
        let mut log = client.logs(request);
        runtime.block_on(async {
            while let Ok(Some(event)) = tokio::time::timeout(QUIET, log.next()).await {
                if let LogEvent::Line(text) = event? {
                    line(&text)?;
                }
            }
            line("^C")
        })
    }

    /// What the running app proves to somebody who has its app-compose.
    fn verify(&self, from: &[&str]) -> Result<ExitCode, Failure> {
        heading("What does the running app prove? Whoever wants to know needs its app-compose and asks")?;
        let compose = self.project.join("app-compose.json");
        self.succeed(&["compose".as_ref(), "build".as_ref(), "--output".as_ref(), compose.as_os_str()])?;
        let mut arguments: Vec<&OsStr> = vec!["app".as_ref(), "--name".as_ref(), EXAMPLE.as_ref()];
        arguments.extend(from.iter().map(|argument| OsStr::new(*argument)));
        arguments.extend([OsStr::new("--compose"), compose.as_os_str()]);
        let shown: Vec<String> = arguments.iter().map(|argument| short(Path::new(argument))).collect();
        line(&format!("$ dstack-verify {}", shown.join(" ")))?;
        let all = std::iter::once(OsStr::new("dstack-verify")).chain(arguments);
        let cli = dstack_verify::Cli::try_parse_from(all).map_err(|error| mistyped(&error))?;
        let code = dstack_verify::run(cli).map_err(|error| Failure::from(error.render(false)))?;
        Ok(ExitCode::from(code.code()))
    }

    fn succeed(&self, arguments: &[&OsStr]) -> Result<(), Failure> {
        let code = self.type_command(arguments)?;
        if code == cli_support::ExitCode::Ok {
            Ok(())
        } else {
            Err(format!("it ended with code {}", code.code()).into())
        }
    }

    /// Shows a command of dstack-vmmctl as a person would type it, and runs it in this process.
    fn type_command(&self, arguments: &[&OsStr]) -> Result<cli_support::ExitCode, Failure> {
        let shown: Vec<String> = arguments.iter().map(|argument| short(Path::new(argument))).collect();
        line(&format!("$ dstack-vmmctl {}", shown.join(" ")))?;
        let mut all: Vec<&OsStr> = vec![
            "dstack-vmmctl".as_ref(),
            "--vmm".as_ref(),
            self.vmm.as_ref(),
            "--project".as_ref(),
            self.project.as_ref(),
        ];
        if let Some(source) = &self.token_from {
            all.extend::<[&OsStr; 2]>(["--token-from".as_ref(), source.as_ref()]);
        }
        all.extend(arguments);
        let cli = dstack_vmmctl::Cli::try_parse_from(all).map_err(|error| mistyped(&error))?;
        dstack_vmmctl::run(cli).map_err(|error| error.render(false).into())
    }
}

/// A command line of the demo that the program does not take.
fn mistyped(error: &clap::Error) -> String {
    error.to_string().trim_start_matches("error: ").to_owned()
}

/// A path as a person would have typed it from the project's folder.
fn short(path: &Path) -> String {
    if path.to_string_lossy().starts_with("unix:/") {
        return format!("unix:{}", short(Path::new(&path.to_string_lossy()["unix:".len()..])));
    }
    let name =
        if path.is_absolute() { path.file_name().unwrap_or(path.as_os_str()) } else { path.as_os_str() };
    name.to_string_lossy().into_owned()
}

async fn first_image(client: &Client) -> Result<String, Failure> {
    let images = client.list_images().await?;
    let image = images.iter().find(|image| !image.is_dev).or(images.first());
    Ok(image.ok_or("the host has no guest image")?.name.clone())
}

async fn the_vm(client: &Client) -> Result<String, Failure> {
    let vms = client.status(&dstack_vmm_client::api::StatusRequest::default()).await?.vms;
    let vm = vms.iter().find(|vm| vm.name == EXAMPLE).ok_or("the VM is not listed")?;
    Ok(vm.id.clone())
}

fn real_host_commands() -> Result<(), Failure> {
    for command in [
        "cargo install --path bins/dstack-vmmctl && cargo install --path bins/dstack-verify",
        "export DSTACK_VMM_URL=unix:/run/dstack/vmm.sock   # or https://vmm.example.com with --token-from FILE",
        "dstack-vmmctl doctor",
        "dstack-vmmctl init hello-world --compose crates/dstack-examples/examples/hello-world/docker-compose.yaml",
        "dstack-vmmctl deploy",
        "dstack-vmmctl logs --follow hello-world",
        "dstack-vmmctl compose build --output app-compose.json",
        "dstack-verify app --agent unix:/var/run/dstack.sock --compose app-compose.json --pccs URL   # in the CVM",
    ] {
        line(&format!("  {command}"))?;
    }
    line("or all of it at once:")?;
    line("  cargo xtask demo --vmm unix:/run/dstack/vmm.sock")
}

fn heading(text: &str) -> Result<(), Failure> {
    line("")?;
    line(&format!("== {text}"))
}

fn line(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}
