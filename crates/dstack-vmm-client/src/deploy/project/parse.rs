//! From the text of a project file to a [`Project`].

use std::collections::BTreeSet;

use toml_edit::{Document, Value};

use super::problem::{Problem, ProjectError};
use super::reader::{Reader, Section};
use super::values::{self, PortSpec, SizeUnit, ValueError};
use super::{
    AppSource, AuthorizationSpec, EnvSpec, GatewaySpec, GpuSelection, HostSpec, KmsSpec, MadeApp, Project,
    SCHEMA,
};
use crate::env::SignerKey;

const ROOT: &[&str] = &[
    "schema",
    "name",
    "compose",
    "bash_script",
    "app_compose",
    "image",
    "vcpu",
    "memory",
    "disk",
    "ports",
    "user_config",
    "pre_launch_script",
    "init_script",
    "app_id",
    "key_provider",
    "key_provider_id",
    "public_logs",
    "public_sysinfo",
    "public_tcbinfo",
    "no_instance_id",
    "secure_time",
    "swap",
    "storage_fs",
    "gpus",
    "networking",
    "hugepages",
    "pin_numa",
    "no_tee",
    "env",
    "kms",
    "gateway",
    "authorization",
    "hosts",
];

/// Keys that say what goes into an app-compose; with a ready-made one they stand in it.
const MADE_ONLY: &[&str] = &[
    "pre_launch_script",
    "init_script",
    "key_provider",
    "key_provider_id",
    "public_logs",
    "public_sysinfo",
    "public_tcbinfo",
    "no_instance_id",
    "secure_time",
    "swap",
    "storage_fs",
];

impl Project {
    /// Reads the text of a project file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line and column. A text that is no TOML gives that one problem.
    pub fn parse(text: &str) -> Result<Self, ProjectError> {
        let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
        let document = match Document::parse(bare) {
            Ok(document) => document,
            Err(error) => {
                let message = error.message().lines().collect::<Vec<_>>().join("; ");
                let problem = Problem::of("", message).at(bare, error.span());
                return Err(ProjectError { problems: vec![problem] });
            }
        };
        let reader = Reader::new(bare);
        let project = read(&reader.section("", document.as_table(), ROOT));
        let problems = reader.into_problems();
        match project {
            Some(project) if problems.is_empty() => Ok(project),
            _ => Err(ProjectError { problems }),
        }
    }
}

/// The project, or `None` after reporting what made it impossible.
fn read(root: &Section<'_, '_>) -> Option<Project> {
    schema(root);
    let name = required(root, "name", |text| values::check_name(text).map(|()| text.to_owned()));
    let image = required(root, "image", |text| values::check_image(text).map(|()| text.to_owned()));
    let kms = kms(root);
    let gateway = gateway(root);
    let source = source(root, &kms);
    let env = env(root);
    let ports = ports(root);
    let count = |text: &str| {
        text.parse::<u64>().map_err(|_| ValueError::new(format!("{text:?} is not a whole number")))
    };
    let vcpu = root.quantity("vcpu", count);
    let memory = root.quantity("memory", |text| values::size(text, SizeUnit::Mib));
    let disk = root.quantity("disk", |text| values::size(text, SizeUnit::Gib));
    let project = Project {
        name: name.unwrap_or_default(),
        source: source.unwrap_or(AppSource::AppCompose { path: String::new() }),
        image: image.unwrap_or_default(),
        vcpu: vcpu.unwrap_or(2),
        memory_mib: memory.unwrap_or(2048),
        disk_gib: disk.unwrap_or(20),
        ports,
        user_config: root.path("user_config"),
        app_id: root.checked("app_id", values::app_id),
        env,
        kms,
        gateway,
        gpus: gpus(root),
        networking: root.word("networking", &["user", "bridge"]),
        hugepages: root.boolean("hugepages"),
        pin_numa: root.boolean("pin_numa"),
        no_tee: root.boolean("no_tee"),
        hosts: hosts(root),
        authorization: authorization(root),
    };
    if project.env.file.is_some() && matches!(project.source, AppSource::Made(_)) && !project.kms.enabled {
        let error = ValueError::new("an environment is sealed to a key of the KMS, and this app uses none")
            .hint("set enabled = true in [kms], or pass what is not secret in the Compose file");
        root.report("env", error, None);
    }
    Some(project)
}

fn schema(root: &Section<'_, '_>) {
    let hint = format!("begin the file with schema = {SCHEMA}");
    if !root.has("schema") {
        let error = ValueError::new("the key `schema` is missing").hint(hint);
        return root.report("schema", error, Some(0..0));
    }
    let written = root.quantity("schema", |text| {
        text.parse::<u64>().map_err(|_| ValueError::new(format!("{text:?} is not a number of a schema")))
    });
    if let Some(written) = written.filter(|written| i64::from(*written) != SCHEMA) {
        let error =
            ValueError::new(format!("schema {written} is newer than this program, which reads {SCHEMA}"));
        root.report("schema", error.hint("use a newer version of the program"), None);
    }
}

fn required<T>(
    root: &Section<'_, '_>,
    name: &str,
    check: impl Fn(&str) -> Result<T, ValueError>,
) -> Option<T> {
    if !root.has(name) {
        root.report(name, ValueError::new(format!("the key `{name}` is missing")), Some(0..0));
    }
    root.checked(name, check)
}

fn source(root: &Section<'_, '_>, kms: &KmsSpec) -> Option<AppSource> {
    const KINDS: [&str; 3] = ["compose", "bash_script", "app_compose"];
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| root.has(kind)).collect();
    let [kind] = given[..] else {
        let (message, place) = match given.get(1) {
            None => ("one of `compose`, `bash_script` and `app_compose` must be there".to_owned(), None),
            Some(second) => {
                (format!("`{}` and `{second}` cannot both be there", given[0]), root.span(second))
            }
        };
        let error = ValueError::new(message).hint("compose = \"docker-compose.yaml\" is the usual one");
        root.report(given.get(1).unwrap_or(&"compose"), error, place.or(Some(0..0)));
        return None;
    };
    let path = root.path(kind)?;
    if kind == "app_compose" {
        for name in MADE_ONLY.iter().filter(|name| root.has(name)) {
            let error = ValueError::new("a ready-made app-compose says this itself")
                .hint(format!("set it in {path}, or name a Compose file with `compose`"));
            root.report(name, error, None);
        }
        return Some(AppSource::AppCompose { path });
    }
    let key_provider = root.word("key_provider", &["none", "kms", "local", "tpm"]);
    if key_provider.as_deref().is_some_and(|provider| (provider == "kms") != kms.enabled) {
        let word = if kms.enabled { "true" } else { "false" };
        let error = ValueError::new(format!("contradicts [kms], where enabled is {word}"));
        root.report("key_provider", error.hint("leave one of the two out"), None);
    }
    Some(AppSource::Made(Box::new(MadeApp {
        path,
        is_script: kind == "bash_script",
        pre_launch_script: root.path("pre_launch_script"),
        init_script: root.path("init_script"),
        key_provider,
        key_provider_id: root.checked("key_provider_id", |text| {
            if text.len() % 2 == 0 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
                Ok(text.to_owned())
            } else {
                Err(ValueError::new(format!("{text:?} is not hex")))
            }
        }),
        public_logs: root.boolean("public_logs").unwrap_or(false),
        public_sysinfo: root.boolean("public_sysinfo").unwrap_or(false),
        public_tcbinfo: root.boolean("public_tcbinfo").unwrap_or(true),
        no_instance_id: root.boolean("no_instance_id").unwrap_or(false),
        secure_time: root.boolean("secure_time").unwrap_or(false),
        swap_bytes: root.checked("swap", |text| values::size(text, SizeUnit::Byte)).unwrap_or(0),
        storage_fs: root.word("storage_fs", &["zfs", "ext4"]),
    })))
}

fn env(root: &Section<'_, '_>) -> EnvSpec {
    let Some(table) = root.section("env", &["file", "names"]) else { return EnvSpec::default() };
    let names = table.strings("names", |text| values::check_env_name(text).map(|()| text.to_owned()));
    let names = names.map(|names| {
        let mut seen = BTreeSet::new();
        for name in &names {
            if !seen.insert(&name.value) {
                let error = ValueError::new(format!("{} is there already", name.value));
                table.report("names", error, name.span.clone());
            }
        }
        names.iter().map(|name| name.value.clone()).collect()
    });
    EnvSpec { file: table.path("file"), names }
}

const KMS: &[&str] = &["enabled", "urls", "signers", "legacy_signature"];

fn kms(root: &Section<'_, '_>) -> KmsSpec {
    let provider = root.is_word("key_provider", "kms");
    let Some(table) = root.section("kms", KMS) else {
        return KmsSpec { enabled: provider, ..KmsSpec::default() };
    };
    let signers = table.strings("signers", |text| {
        text.parse::<SignerKey>().map_err(|error| {
            ValueError::new(error.to_string()).hint("it is k256_pubkey in the answer of the KMS's GetMeta")
        })
    });
    KmsSpec {
        enabled: table.boolean("enabled").unwrap_or(true),
        urls: urls(&table),
        signers: signers.into_iter().flatten().map(|signer| signer.value).collect(),
        legacy_signature: table.boolean("legacy_signature").unwrap_or(false),
    }
}

fn gateway(root: &Section<'_, '_>) -> GatewaySpec {
    let Some(table) = root.section("gateway", &["enabled", "urls"]) else { return GatewaySpec::default() };
    GatewaySpec { enabled: table.boolean("enabled").unwrap_or(true), urls: urls(&table) }
}

fn urls(table: &Section<'_, '_>) -> Vec<String> {
    let urls = table.strings("urls", |text| {
        if text.starts_with("unix:") {
            return Err(ValueError::new(format!("{text:?} cannot be reached from inside a CVM")));
        }
        values::check_endpoint(text)
            .map(|()| text.to_owned())
            .map_err(|error| ValueError { message: format!("{text:?} is no URL"), ..error })
    });
    urls.into_iter().flatten().map(|url| url.value).collect()
}

fn ports(root: &Section<'_, '_>) -> Vec<PortSpec> {
    let mut ports: Vec<PortSpec> = Vec::new();
    for (at, value) in root.values("ports", "a list of port mappings").into_iter().flatten().enumerate() {
        let place = format!("ports[{at}]");
        let port = match value {
            Value::String(text) => text.value().parse(),
            Value::InlineTable(table) => port_table(table),
            other => {
                Err(ValueError::new(format!("expected a string or a table, found {}", other.type_name())))
            }
        };
        match port {
            Ok(port) => {
                if let Some(first) = ports.iter().position(|other| other.clashes_with(&port, None)) {
                    let error = ValueError::new(format!(
                        "{port} takes the host port of ports[{first}] ({})",
                        ports[first]
                    ))
                    .hint("give one of them another host port or host address");
                    root.report(&place, error, value.span());
                }
                ports.push(port);
            }
            Err(error) => root.report(&place, error, value.span()),
        }
    }
    ports
}

fn port_table(table: &toml_edit::InlineTable) -> Result<PortSpec, ValueError> {
    const KEYS: [&str; 4] = ["protocol", "host_address", "host_port", "vm_port"];
    if let Some((name, _)) = table.iter().find(|(name, _)| !KEYS.contains(name)) {
        return Err(ValueError::new(format!("there is no key {name:?} in a port"))
            .hint(format!("known here: {}", KEYS.join(", "))));
    }
    let text = |name: &str| {
        table
            .get(name)
            .map(|value| {
                value.as_str().ok_or_else(|| {
                    ValueError::new(format!("{name}: expected a string, found {}", value.type_name()))
                })
            })
            .transpose()
    };
    let number = |name: &str| {
        let value = table.get(name).ok_or_else(|| ValueError::new(format!("the key {name:?} is missing")))?;
        let value = value.as_integer().ok_or_else(|| {
            ValueError::new(format!("{name}: expected a number, found {}", value.type_name()))
        })?;
        values::port_number(&name.replace('_', " "), value)
    };
    Ok(PortSpec {
        protocol: text("protocol")?.unwrap_or("tcp").parse()?,
        host_address: text("host_address")?
            .filter(|text| !text.is_empty())
            .map(values::address)
            .transpose()?,
        host_port: number("host_port")?,
        vm_port: number("vm_port")?,
    })
}

fn gpus(root: &Section<'_, '_>) -> Option<GpuSelection> {
    if !root.has("gpus") {
        return None;
    }
    if root.is_word("gpus", "all") {
        return Some(GpuSelection::All);
    }
    let slots = root.strings("gpus", |text| {
        let plain = |c: char| c.is_ascii_hexdigit() || ":.".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            Ok(text.to_owned())
        } else {
            Err(ValueError::new(format!("{text:?} is not a PCI address"))
                .hint("such as 18:00.0, or gpus = \"all\""))
        }
    })?;
    Some(GpuSelection::Listed(slots.into_iter().map(|slot| slot.value).collect()))
}

fn hosts(root: &Section<'_, '_>) -> Vec<HostSpec> {
    const KEYS: &[&str] = &["name", "endpoint", "token_file", "token_env", "ca_file"];
    let mut hosts: Vec<HostSpec> = Vec::new();
    for table in root.sections("hosts", KEYS) {
        let name = required(&table, "name", |text| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
                Ok(text.to_owned())
            } else {
                Err(ValueError::new(format!("{text:?} is not a name for a host"))
                    .hint("at most 64 letters, digits, `-`, `_` and `.`"))
            }
        });
        let endpoint =
            required(&table, "endpoint", |text| values::check_endpoint(text).map(|()| text.to_owned()));
        let (token_file, token_env) = (
            table.path("token_file"),
            table.checked("token_env", |text| values::check_env_name(text).map(|()| text.to_owned())),
        );
        if token_file.is_some() && token_env.is_some() {
            table.report("token_env", ValueError::new("the token comes from token_file already"), None);
        }
        let Some((name, endpoint)) = name.zip(endpoint) else { continue };
        if hosts.iter().any(|host| host.name == name) {
            table.report("name", ValueError::new(format!("there is a host {name:?} already")), None);
        }
        hosts.push(HostSpec { name, endpoint, token_file, token_env, ca_file: table.path("ca_file") });
    }
    hosts
}

fn authorization(root: &Section<'_, '_>) -> AuthorizationSpec {
    let none = AuthorizationSpec { file: None, keep_hashes: 0 };
    let Some(table) = root.section("authorization", &["kind", "path", "keep_hashes"]) else { return none };
    let kind = required(&table, "kind", |text| Ok(text.to_owned()));
    let path = table.path("path");
    let keep_hashes = if table.has("keep_hashes") {
        // Zero is a fine number of hashes, so it is read with one added and taken off again.
        table
            .quantity("keep_hashes", |text| {
                text.parse::<u64>()
                    .map(|n| n.saturating_add(1))
                    .map_err(|_| ValueError::new(format!("{text:?} is not a whole number")))
            })
            .map_or(0, |n| n - 1)
    } else {
        0
    };
    match (kind.as_deref(), &path) {
        (Some("file"), None) => {
            let error = ValueError::new("kind = \"file\" needs a path")
                .hint("path = \"/etc/dstack/auth-allowlist.json\"");
            table.report("path", error, table.span("kind"));
        }
        (Some("none"), Some(_)) => {
            table.report("path", ValueError::new("there is no file with kind = \"none\""), None);
        }
        (Some("file" | "none") | None, _) => {}
        (Some(other), _) => {
            let error = ValueError::new(format!("{other:?} is not one of none, file"));
            table.report("kind", error.hint("a contract is governed elsewhere: use \"none\""), None);
        }
    }
    AuthorizationSpec { file: path.filter(|_| kind.as_deref() == Some("file")), keep_hashes }
}
