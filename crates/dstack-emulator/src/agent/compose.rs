//! What the guest reads of its app-compose. Only what its behaviour depends on; the VMM has validated the rest.

use dstack_attestation::event_log::{DigestVersion, KeyProviderKind};
use serde::Deserialize;
use serde_json::Value;

use super::AgentError;

/// The file system of the data disk where the app-compose names none.
const DEFAULT_STORAGE_FS: &str = "zfs";

#[derive(Debug, Deserialize)]
struct Members {
    #[serde(default)]
    name: String,
    #[serde(default)]
    manifest_version: Value,
    docker_compose_file: Option<String>,
    #[serde(default)]
    public_logs: bool,
    #[serde(default)]
    public_sysinfo: bool,
    #[serde(default = "yes")]
    public_tcbinfo: bool,
    #[serde(default)]
    kms_enabled: bool,
    #[serde(default)]
    local_key_provider_enabled: bool,
    key_provider: Option<String>,
    #[serde(default)]
    key_provider_id: String,
    #[serde(default)]
    allowed_envs: Vec<String>,
    #[serde(default)]
    no_instance_id: bool,
    storage_fs: Option<String>,
    #[serde(default)]
    init_script: Value,
    event_log_version: Option<u32>,
}

const fn yes() -> bool {
    true
}

/// The app-compose as the guest sees it.
#[derive(Clone, Debug)]
pub(crate) struct GuestCompose {
    pub(crate) name: String,
    pub(crate) public_logs: bool,
    pub(crate) public_sysinfo: bool,
    pub(crate) public_tcbinfo: bool,
    pub(crate) key_provider: KeyProviderKind,
    pub(crate) key_provider_id: Vec<u8>,
    pub(crate) allowed_envs: Vec<String>,
    pub(crate) no_instance_id: bool,
    pub(crate) storage_fs: String,
    pub(crate) init_scripts: Vec<String>,
    pub(crate) digest_version: DigestVersion,
    /// Whether `manifest_version` is 3 or above.
    pub(crate) manifest_3: bool,
    pub(crate) services: Vec<Service>,
}

/// A service of the Compose file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) container: String,
}

impl GuestCompose {
    /// Reads the text of an app-compose.
    pub(crate) fn read(text: &str) -> Result<Self, AgentError> {
        let members: Members =
            serde_json::from_str(text).map_err(|error| AgentError::Compose(error.to_string()))?;
        let key_provider = match members.key_provider.as_deref() {
            Some("kms") => KeyProviderKind::Kms,
            Some("local") => KeyProviderKind::Local,
            Some("tpm") => KeyProviderKind::Tpm,
            Some("none") => KeyProviderKind::None,
            Some(other) => return Err(AgentError::Compose(format!("unknown key provider {other:?}"))),
            None if members.kms_enabled => KeyProviderKind::Kms,
            None if members.local_key_provider_enabled => KeyProviderKind::Local,
            None => KeyProviderKind::None,
        };
        let key_provider_id = hex::decode(members.key_provider_id.trim_start_matches("0x"))
            .map_err(|error| AgentError::Compose(format!("key_provider_id: {error}")))?;
        let init_scripts = match members.init_script {
            Value::String(script) => vec![script],
            Value::Array(scripts) => scripts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let manifest_version = match &members.manifest_version {
            Value::String(text) => text.parse().unwrap_or_default(),
            other => other.as_u64().unwrap_or_default(),
        };
        let services = members.docker_compose_file.as_deref().map(services).unwrap_or_default();
        Ok(Self {
            name: members.name,
            public_logs: members.public_logs,
            public_sysinfo: members.public_sysinfo,
            public_tcbinfo: members.public_tcbinfo,
            key_provider,
            key_provider_id,
            allowed_envs: members.allowed_envs,
            no_instance_id: members.no_instance_id,
            storage_fs: members.storage_fs.unwrap_or_else(|| DEFAULT_STORAGE_FS.to_owned()),
            init_scripts,
            digest_version: match members.event_log_version {
                Some(2) => DigestVersion::V2,
                _ => DigestVersion::V1,
            },
            manifest_3: manifest_version >= 3,
            services,
        })
    }
}

/// The services of a Compose file in block style, with their images and container names.
///
/// This is no YAML parser: it reads the layout that people write, by indentation, and overlooks what it does not know.
/// It only feeds a list of containers that do not exist.
fn services(yaml: &str) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    let mut inside = false;
    let mut service_indent = None;
    let mut field_indent = None;
    for line in yaml.lines() {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let indent = line.len() - text.len();
        if indent == 0 {
            inside = scalar(text, "services") == Some("");
            continue;
        }
        if !inside {
            continue;
        }
        let level = *service_indent.get_or_insert(indent);
        if indent == level {
            field_indent = None;
            if let Some((name, _)) = text.split_once(':') {
                let name = unquoted(name.trim()).to_owned();
                let container = format!("dstack-{name}-1");
                services.push(Service { name, image: String::new(), container });
            }
            continue;
        }
        let (Some(service), true) = (services.last_mut(), indent > level) else { continue };
        if indent != *field_indent.get_or_insert(indent) {
            continue;
        }
        if let Some(image) = scalar(text, "image") {
            image.clone_into(&mut service.image);
        } else if let Some(container) = scalar(text, "container_name").filter(|name| !name.is_empty()) {
            container.clone_into(&mut service.container);
        }
    }
    services
}

/// The plain or quoted value of `key: value`, empty when there is nothing behind the colon.
fn scalar<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = text.strip_prefix(key)?.trim_start().strip_prefix(':')?;
    if !(value.is_empty() || value.starts_with(char::is_whitespace)) {
        return None;
    }
    let value = value.split(" #").next().unwrap_or_default().trim();
    Some(unquoted(value))
}

fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_a_compose_file() {
        let yaml = "# a comment\nversion: '3'\nservices:\n  web:\n    image: \"nginx:1.27\" # pinned\n    environment:\n      image: not-this\n  'db':\n    container_name: store\n    image: postgres\n\n  bare:\nvolumes:\n  data:\n    image: nor-this\n";
        let service = |name: &str, image: &str, container: &str| Service {
            name: name.to_owned(),
            image: image.to_owned(),
            container: container.to_owned(),
        };
        assert_eq!(
            services(yaml),
            [
                service("web", "nginx:1.27", "dstack-web-1"),
                service("db", "postgres", "store"),
                service("bare", "", "dstack-bare-1"),
            ]
        );
        assert!(services("").is_empty());
        assert!(services("services: {a: {image: b}}").is_empty());
    }

    #[test]
    fn who_gives_the_keys() {
        let kind = |text: &str| GuestCompose::read(text).map(|compose| compose.key_provider);
        assert_eq!(kind("{}").unwrap(), KeyProviderKind::None);
        assert_eq!(kind(r#"{"kms_enabled":true}"#).unwrap(), KeyProviderKind::Kms);
        assert_eq!(kind(r#"{"local_key_provider_enabled":true}"#).unwrap(), KeyProviderKind::Local);
        assert_eq!(kind(r#"{"kms_enabled":true,"key_provider":"none"}"#).unwrap(), KeyProviderKind::None);
        assert_eq!(kind(r#"{"kms_enabled":true,"key_provider":null}"#).unwrap(), KeyProviderKind::Kms);
        assert!(kind(r#"{"key_provider":"magic"}"#).unwrap_err().to_string().contains("magic"));
        assert!(kind(r#"{"key_provider_id":"x"}"#).is_err());
    }

    #[test]
    fn versions_and_scripts() {
        let next = r#"{"manifest_version":"3","event_log_version":2,"init_script":["a","b"],"public_tcbinfo":false}"#;
        let compose = GuestCompose::read(next).unwrap();
        assert!(compose.manifest_3 && !compose.public_tcbinfo);
        assert_eq!(compose.digest_version, DigestVersion::V2);
        assert_eq!(compose.init_scripts, ["a", "b"]);
        let old = GuestCompose::read(r#"{"manifest_version":2,"init_script":"a"}"#).unwrap();
        assert!(!old.manifest_3 && old.public_tcbinfo);
        assert_eq!(old.init_scripts, ["a"]);
    }
}
