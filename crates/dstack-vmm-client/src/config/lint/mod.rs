//! What is wrong with a `vmm.toml`.

mod access;
mod network;
mod paths;
mod ports;
mod structure;

use std::path::PathBuf;
use std::sync::LazyLock;

use dstack_check::{Catalogue, CheckDef, Finding, Fix, Report};

use super::checks::CHECKS;
use super::model::VmmConfig;
use super::read::Reader;
use super::tree::{Entry, Layer, Node, Place, Table};
use super::{ConfigError, ConfigValue, key_def};
use crate::DstackVersion;

pub(crate) use structure::structure;

/// What is known about the host beside the text of the file. Nothing is looked up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LintContext {
    /// The version of the VMM that reads the file.
    pub version: DstackVersion,
    /// Name of the file, as findings give it.
    pub config_path: String,
    /// Permission bits of the file, as `0o640`. `None`: not known.
    pub file_mode: Option<u32>,
    /// Where the service unit lets the VMM write (`ReadWritePaths=` and the like of a unit with `ProtectSystem=strict`).
    /// `None`: no such unit, everything is writable.
    pub unit_writable_paths: Option<Vec<PathBuf>>,
    /// Home directory of the user that runs the VMM. `None`: not known.
    pub home: Option<PathBuf>,
}

impl LintContext {
    /// A file of this version about which nothing else is known, called `vmm.toml`.
    pub fn new(version: DstackVersion) -> Self {
        Self {
            version,
            config_path: "vmm.toml".to_owned(),
            file_mode: None,
            unit_writable_paths: None,
            home: None,
        }
    }

    /// Names the file.
    #[must_use]
    pub fn config_path(mut self, path: impl Into<String>) -> Self {
        self.config_path = path.into();
        self
    }

    /// Gives the permission bits of the file.
    #[must_use]
    pub fn file_mode(mut self, mode: u32) -> Self {
        self.file_mode = Some(mode);
        self
    }

    /// Gives the directories a hardened unit lets the VMM write to.
    #[must_use]
    pub fn unit_writable_paths(mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.unit_writable_paths = Some(paths.into_iter().map(Into::into).collect());
        self
    }

    /// Gives the home directory of the user that runs the VMM.
    #[must_use]
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }
}

/// Carries every check of [`CHECKS`] out on a file and gives one finding for each, in that order. Findings name the file,
/// the line and the column; no token is ever part of one.
///
/// ```
/// use dstack_check::Status;
/// use dstack_vmm_client::DstackVersion;
/// use dstack_vmm_client::config::{LintContext, lint};
///
/// let findings = lint("address = \"tcp:0.0.0.0:9080\"\n", &LintContext::new(DstackVersion::Next));
/// let open = findings.iter().find(|finding| finding.id.as_str() == "vmm.config.api-auth").unwrap();
/// assert_eq!(open.status, Status::Fail);
/// assert_eq!(open.evidence[0].source, "vmm.toml:1:1");
/// ```
pub fn lint(text: &str, context: &LintContext) -> Vec<Finding> {
    let read = Table::parse(&Layer::toml(&context.config_path, text)).map(|tree| {
        let config = Reader::new(&tree).config();
        Input { tree, config, context }
    });
    Report::evaluate(context.config_path.as_str(), &CATALOGUE, |check| match &read {
        Ok(input) => run(check, input),
        Err(error) => unreadable(check, error),
    })
    .into_findings()
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    // The list is a constant, and a unit test of it makes the same call.
    Catalogue::new(CHECKS.iter().copied()).expect("the checks form a catalogue")
});

fn unreadable(
    check: &CheckDef,
    ConfigError::Syntax { file, line, column, message }: &ConfigError,
) -> Finding {
    // The line itself is not quoted: a missing quote is most likely where a secret was pasted.
    check
        .fail()
        .observed(format!("{message}, at line {line}, column {column}"))
        .expected("TOML")
        .evidence(format!("{file}:{line}:{column}"), message.clone())
        .fix(Fix::new("correct the line; the VMM does not start with it"))
}

fn run(check: &CheckDef, input: &Input<'_>) -> Finding {
    match check.id {
        "vmm.config.syntax" => check.pass(),
        "vmm.config.types" => structure::types(check, &input.tree),
        "vmm.config.unknown-keys" => structure::unknown_keys(check, &input.tree),
        "vmm.config.fictional-section" => structure::fictional(check, input),
        "vmm.config.version-keys" => structure::version_keys(check, input),
        "vmm.config.deprecated-keys" => structure::deprecated(check, input),
        "vmm.config.address" => access::address(check, input),
        "vmm.config.port-key" => access::port_key(check, input),
        "vmm.config.api-auth" => access::api_auth(check, input),
        "vmm.config.auth-scope" => access::auth_scope(check, input),
        "vmm.config.auth-credentials" => access::auth_credentials(check, input),
        "vmm.config.token-length" => access::token_length(check, input),
        "vmm.config.token-placeholder" => access::token_placeholder(check, input),
        "vmm.config.token-file-mode" => access::token_file_mode(check, input),
        "vmm.config.kms-url" => network::kms_url(check, input),
        "vmm.config.gateway-urls" => network::gateway_urls(check, input),
        "vmm.config.gateway-domain" => network::gateway_domain(check, input),
        "vmm.config.pccs-url" => network::pccs_url(check, input),
        "vmm.config.port-mapping" => ports::port_mapping(check, input),
        "vmm.config.port-ranges" => ports::port_ranges(check, input),
        "vmm.config.udp-range" => ports::udp_range(check, input),
        "vmm.config.mapping-address" => ports::mapping_address(check, input),
        "vmm.config.cid-pool" => ports::cid_pool(check, input),
        "vmm.config.run-path" => paths::run_path(check, input),
        "vmm.config.relative-paths" => paths::relative(check, input),
        "vmm.config.tilde" => paths::tilde(check, input),
        "vmm.config.networking-mode" => network::networking(check, input),
        "vmm.config.host-api" => network::host_api(check, input),
        "vmm.config.key-provider" => network::key_provider(check, input),
        "vmm.config.gpu" => network::gpu(check, input),
        _ => check.unknown("the check has no rule"),
    }
}

/// What a rule looks at.
struct Input<'a> {
    tree: Table,
    config: VmmConfig,
    context: &'a LintContext,
}

impl Input<'_> {
    /// The entry of a key, where the file has it.
    fn entry(&self, path: &str) -> Option<&Entry> {
        self.tree.at(path)
    }

    fn is_set(&self, path: &str) -> bool {
        self.entry(path).is_some()
    }

    /// Adds the line of a key as evidence, or that the default applies.
    fn cite(&self, finding: Finding, path: &str) -> Finding {
        match self.entry(path) {
            Some(entry) => finding.evidence(entry.place.to_string(), shown(path, &entry.node)),
            None => finding.evidence(
                self.context.config_path.clone(),
                match key_def(path).and_then(ConfigValue::default_of) {
                    Some(value) => format!("{path} is not set, the default is {value}"),
                    None => format!("{path} is not set"),
                },
            ),
        }
    }

    /// The command that sets a key of this file. Values are given as a person writes them.
    fn set_command(&self, path: &str, value: &str) -> String {
        let file = shell_word(&self.context.config_path);
        format!("dstack-vmmctl config set {file} {path} {}", shell_word(value))
    }

    /// The command that replaces the tokens of this file by a new one, which is on no command line.
    fn token_command(&self) -> String {
        let file = shell_word(&self.context.config_path);
        format!("openssl rand -hex 32 | dstack-vmmctl config set {file} auth.tokens --from -")
    }

    /// The command that takes a key out of this file.
    fn unset_command(&self, path: &str) -> String {
        format!("dstack-vmmctl config unset {} {path}", shell_word(&self.context.config_path))
    }
}

/// `KEY = VALUE` with nothing that may be secret: values of keys the table does not know are left out.
fn shown(path: &str, node: &Node) -> String {
    let leaf = path.rsplit('.').next().unwrap_or(path);
    match (key_def(path), ConfigValue::from_node(node)) {
        (Some(key), Some(value)) => format!("{leaf} = {}", value.shown(key.secret)),
        _ => format!("{leaf} = ({})", node.type_name()),
    }
}

/// Adds each place with what is to be said about it as evidence, the first twenty.
fn cite_all(mut finding: Finding, places: &[(Place, String)]) -> Finding {
    const MOST: usize = 20;
    for (place, what) in places.iter().take(MOST) {
        finding = finding.evidence(place.to_string(), what.clone());
    }
    if let Some((place, _)) = places.get(MOST) {
        finding = finding.evidence(place.file.to_string(), format!("and {} more", places.len() - MOST));
    }
    finding
}

/// The text as one word of a shell command.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
