//! `init`: a first dstack.toml.

use std::path::{Path, PathBuf};

use cli_support::{CliError, ExitCode, atomic};
use dstack_vmm_client::client::VmmApi;
use dstack_vmm_client::deploy::project::FILE_NAME;
use dstack_vmm_client::deploy::{InitProject, PortSpec, Project};

use crate::context::{Context, Run};
use crate::failure::IntoCli;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Name of the app [default: that of the directory]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Compose file [default: the one that is there]
    #[arg(long, value_name = "FILE")]
    compose: Option<String>,
    /// Guest image [default: the newest production image of the host]
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Port to publish, such as tcp:8080:80; can be given several times
    #[arg(short, long = "port", value_name = "PORT")]
    ports: Vec<PortSpec>,
    /// Environment file, whose values are sealed
    #[arg(long, value_name = "FILE")]
    env_file: Option<String>,
    /// Name that the host gets in the file, where it is given by its URL
    #[arg(long, value_name = "NAME", default_value = "host1")]
    host_name: String,
    /// Print the file instead of writing it
    #[arg(long)]
    dry_run: bool,
}

/// Names that Docker Compose looks for, in its order.
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

impl Run for Init {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let path = match context.connect.project() {
            None => PathBuf::from(FILE_NAME),
            Some(path) if path.is_dir() => path.join(FILE_NAME),
            Some(path) => path.to_owned(),
        };
        if path.exists() && !self.dry_run {
            return Err(CliError::conflict(format!("{} is there already", path.display()))
                .hint("change it with an editor, or print a fresh one with `--dry-run`"));
        }
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        let host = context.connect.given(&context.progress)?;
        let image = match (&self.image, &host) {
            (Some(image), _) => image.clone(),
            (None, Some(host)) => newest_image(&host.client).await?,
            (None, None) => {
                return Err(CliError::usage("the guest image is not known")
                    .hint("`--image NAME` names it, or `--vmm URL` a host that is asked for its images"));
            }
        };
        let mut init = InitProject::new(self.name.unwrap_or_else(|| name_of(&dir)), image);
        init.compose = match self.compose {
            Some(compose) => compose,
            None => {
                let there = COMPOSE_FILES.iter().find(|name| dir.join(name).is_file());
                (*there.unwrap_or(&"docker-compose.yaml")).to_owned()
            }
        };
        init.ports = self.ports.iter().map(ToString::to_string).collect();
        init.env_file = self.env_file;
        init.host = host.map(|host| (self.host_name, host.client.endpoint().to_owned()));
        let text = init.to_toml();
        // A value that makes no project is refused now and not at the first deployment.
        Project::parse(&text).map_err(|error| CliError::hinted(ExitCode::Usage, error))?;
        if self.dry_run {
            context.out.text(&text)?;
            return Ok(ExitCode::Ok);
        }
        atomic::write(&path, text.as_bytes(), atomic::Mode::Keep(0o644)).map_err(CliError::unreachable)?;
        if context.out.is_json() {
            let document =
                serde_json::json!({ "schema": "dstack-vmmctl/init/v1", "file": path.display().to_string() });
            context.out.json(&document)?;
        }
        context.progress.note(format_args!("wrote {}", path.display()));
        if !dir.join(&init.compose).is_file() {
            context.progress.note(format_args!("it names {}, which is not there yet", init.compose));
        }
        context.progress.note("`dstack-vmmctl plan` shows what it would do, `dstack-vmmctl deploy` does it");
        Ok(ExitCode::Ok)
    }
}

/// The name of a directory, in characters that every part of dstack takes.
fn name_of(dir: &Path) -> String {
    let name = dir.canonicalize().ok().and_then(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()));
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.unwrap_or_default().chars().map(plain).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

async fn newest_image(host: &dyn VmmApi) -> Result<String, CliError> {
    let images = host.list_images().await.into_cli()?;
    let number = |version: &str| -> Vec<u64> {
        version.split(['.', '-']).map(|part| part.parse().unwrap_or(0)).collect()
    };
    let newest = images.into_iter().filter(|image| !image.is_dev).max_by_key(|image| number(&image.version));
    newest.map(|image| image.name).ok_or_else(|| {
        CliError::no(format!("{} has no guest image for production", host.endpoint()))
            .hint("`dstack-vmmctl images registry` and `images pull` get one; `--image NAME` takes another")
    })
}
