//! A first project file, with its comments.

use super::SCHEMA;

/// What a first project file says. Values are written as TOML strings, whatever characters they hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InitProject {
    /// Name of the app.
    pub name: String,
    /// Path of the Compose file.
    pub compose: String,
    /// Guest image.
    pub image: String,
    /// Ports, as [`PortSpec`](super::PortSpec) prints them.
    pub ports: Vec<String>,
    /// Environment file, where there is one.
    pub env_file: Option<String>,
    /// Name and endpoint of the host, where there is one.
    pub host: Option<(String, String)>,
}

impl InitProject {
    /// A project of this name from `docker-compose.yaml`.
    pub fn new(name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            compose: "docker-compose.yaml".to_owned(),
            image: image.into(),
            ports: Vec::new(),
            env_file: None,
            host: None,
        }
    }

    /// The text of the file.
    pub fn to_toml(&self) -> String {
        let quote = |text: &str| toml_edit::Value::from(text).to_string();
        let ports: Vec<String> = self.ports.iter().map(|port| quote(port)).collect();
        let mut text = format!(
            "# The app of this directory and where it runs. Paths are relative to this file.\n\
             schema = {SCHEMA}\n\
             name = {}\n\
             compose = {}\n\
             image = {}  # name of a guest image on the host\n\
             vcpu = 2\n\
             memory = \"2G\"\n\
             disk = \"20G\"  # can grow later, not shrink\n\
             # protocol:host-port:vm-port, with an address of the host between if not its default\n\
             ports = [{}]\n",
            quote(&self.name),
            quote(&self.compose),
            quote(&self.image),
            ports.join(", "),
        );
        match &self.env_file {
            Some(file) => text.push_str(&format!(
                "\n[env]\n# Sealed to a key of the KMS before it leaves this machine.\nfile = {}\n\
                 \n[kms]\nenabled = true\n# Public keys of KMSes that may sign the key which the environment is sealed to.\nsigners = []\n",
                quote(file)
            )),
            None => text.push_str("\n[kms]\nenabled = false\n"),
        }
        text.push_str("\n[gateway]\nenabled = false\n");
        if let Some((name, endpoint)) = &self.host {
            text.push_str(&format!("\n[[hosts]]\nname = {}\nendpoint = {}\n", quote(name), quote(endpoint)));
        }
        text
    }
}
