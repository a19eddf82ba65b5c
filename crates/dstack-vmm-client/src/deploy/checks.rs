//! The checks of a plan: what can stand in the way of a deployment, or should be known before it.

use dstack_check::{CheckDef, Finding, Fix};

const fn check(id: &'static str, title: &'static str) -> CheckDef {
    CheckDef::new(id, title).layer("deployment")
}

/// The VMM is of a version that this crate knows.
pub const VERSION: CheckDef = check("deploy.version", "the VMM is of a known version");
/// There is no doubt which VM is the app's.
pub const VM: CheckDef = check("deploy.vm", "it is clear which VM is the app's");
/// The app id is the one that is expected.
pub const APP_ID: CheckDef = check("deploy.app-id", "the app id is the expected one");
/// Nothing changed that only a new VM can have.
pub const FIXED: CheckDef = check("deploy.fixed", "nothing changes that is fixed when a VM is made");
/// The guest image is on the host.
pub const IMAGE: CheckDef = check("deploy.image", "the guest image is on the host");
/// The ports can be published.
pub const PORTS: CheckDef = check("deploy.ports", "the host can publish the ports");
/// Nothing else on the host has the ports.
pub const PORT_FREE: CheckDef = check("deploy.port-free", "no other VM has the host ports");
/// Published ports reach the VM.
pub const BRIDGE: CheckDef = check("deploy.bridge", "published ports work with the networking mode");
/// The disk does not shrink.
pub const DISK: CheckDef = check("deploy.disk", "the disk does not shrink");
/// The node has the CPUs and the memory.
pub const CAPACITY: CheckDef = check("deploy.capacity", "the VM fits into the node's limits");
/// The GPUs are there.
pub const GPU: CheckDef = check("deploy.gpu", "the GPUs are there and free");
/// The guest is told where KMS and gateway are.
pub const SERVICES: CheckDef =
    check("deploy.services", "the guest is told where its KMS and its gateway are");
/// The environment reaches the app.
pub const ENV: CheckDef = check("deploy.env", "the environment reaches the app");
/// The key that the environment is sealed to will be checked.
pub const ENV_SIGNER: CheckDef = check("deploy.env-signer", "the signer of the environment's key is pinned");
/// The user config can be set.
pub const USER_CONFIG: CheckDef = check("deploy.user-config", "the user config can be set");
/// The policy allows the compose hash.
pub const AUTHORIZATION: CheckDef = check("deploy.authorization", "the policy allows the compose hash");
/// What is on the data disk survives.
pub const DATA: CheckDef = check("deploy.data", "what is on the data disk survives");
/// An earlier run was finished.
pub const JOURNAL: CheckDef = check("deploy.journal", "the last run was finished");
/// The kept versions can be read.
pub const HISTORY: CheckDef = check("deploy.history", "the kept versions can be read");
/// The token file is private.
pub const TOKEN_FILE: CheckDef = check("deploy.token-file", "only its owner can read a file with a secret");

/// All of them. Each has a page named after its id.
pub const CHECKS: &[CheckDef] = &[
    VERSION,
    VM,
    APP_ID,
    FIXED,
    IMAGE,
    PORTS,
    PORT_FREE,
    BRIDGE,
    DISK,
    CAPACITY,
    GPU,
    SERVICES,
    ENV,
    ENV_SIGNER,
    USER_CONFIG,
    AUTHORIZATION,
    DATA,
    JOURNAL,
    HISTORY,
    TOKEN_FILE,
];

/// Whether a file that holds a token or an environment is private, by its permission bits (`mode & 0o777`).
///
/// The caller reads the bits, and only on a system that has them.
pub fn private_file(path: &str, mode: u32) -> Finding {
    let mode = mode & 0o777;
    let expected = "mode 0600";
    if mode & 0o077 == 0 {
        return TOKEN_FILE.pass().observed(format!("{path} has mode {mode:04o}"));
    }
    let who = match (mode & 0o007, mode & 0o070) {
        (0, _) => "its group",
        _ => "every user of this machine",
    };
    TOKEN_FILE
        .fail()
        .observed(format!("{path} has mode {mode:04o}: {who} can open it"))
        .expected(expected)
        .fix(Fix::new("give the file to its owner alone").command(format!("chmod 600 {}", quoted(path))))
}

/// A path as one word of a shell.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    if !path.is_empty() && !path.starts_with('-') && path.chars().all(plain) {
        return path.to_owned();
    }
    let path = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::private_file;

    #[test]
    fn a_file_that_others_can_read() {
        let findings = [0o600, 0o400, 0o640, 0o644, 0o100_660].map(|mode| private_file("it's/token", mode));
        insta::assert_json_snapshot!(findings);
    }

    #[test]
    fn ids_are_well_formed_and_have_pages() {
        dstack_check::Catalogue::new(super::CHECKS.iter().copied()).unwrap();
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
        if !pages.is_dir() {
            // A crate taken out of its workspace has no pages beside it.
            return;
        }
        for check in super::CHECKS {
            let page = pages.join(format!("{}.md", check.id));
            assert!(page.is_file(), "no page {}", page.display());
        }
    }
}
