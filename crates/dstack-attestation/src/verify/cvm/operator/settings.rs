//! The members of an app-compose that say what is left to the operator (upstream `dstack-types`, `AppCompose`).

use serde::Deserialize;
use serde_json::Value;

/// The members in question, with upstream's defaults. Others are left aside.
#[derive(Deserialize)]
pub(super) struct Settings {
    #[serde(default)]
    pub(super) runner: String,
    #[serde(default)]
    docker_compose_file: Option<String>,
    /// In no typed struct of upstream's: the guest's shell scripts read these three.
    #[serde(default)]
    bash_script: Option<Value>,
    #[serde(default)]
    pre_launch_script: Option<Value>,
    #[serde(default)]
    init_script: Option<Value>,
    #[serde(default)]
    pub(super) allowed_envs: Vec<String>,
    #[serde(default)]
    pub(super) public_logs: bool,
    #[serde(default)]
    pub(super) public_sysinfo: bool,
    #[serde(default = "yes")]
    pub(super) public_tcbinfo: bool,
    #[serde(default = "yes")]
    pub(super) secure_time: bool,
}

const fn yes() -> bool {
    true
}

impl Settings {
    /// The Compose file, where the runner reads it.
    pub(super) fn compose_file(&self) -> Option<&str> {
        if self.runner == "bash" { None } else { self.docker_compose_file.as_deref() }
    }

    /// Every script besides the containers, by the member that has it. A script of another form than a text is shown
    /// as its JSON.
    pub(super) fn scripts(&self) -> Vec<(&'static str, String)> {
        let mut scripts = Vec::new();
        let members = [
            ("init_script", &self.init_script),
            ("pre_launch_script", &self.pre_launch_script),
            ("bash_script", &self.bash_script),
        ];
        for (name, value) in members {
            match value {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(Value::String(text)) => scripts.push((name, text.clone())),
                Some(Value::Array(several)) if several.is_empty() => {}
                Some(other) => scripts.push((name, other.to_string())),
            }
        }
        scripts
    }
}
