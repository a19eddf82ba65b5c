//! The checks of an app-compose.

use dstack_check::CheckDef;

const JSON: &[&str] = &["compose.json.syntax"];

const fn document(id: &'static str, title: &'static str) -> CheckDef {
    CheckDef::new(id, title).layer("document")
}

const fn fields(id: &'static str, title: &'static str) -> CheckDef {
    CheckDef::new(id, title).layer("fields").parents(JSON)
}

const fn app(id: &'static str, title: &'static str) -> CheckDef {
    CheckDef::new(id, title).layer("app").parents(JSON)
}

const fn trust(id: &'static str, title: &'static str) -> CheckDef {
    CheckDef::new(id, title).layer("trust").parents(JSON)
}

/// Every check of an app-compose: id, title, and what it stands on. Each has a page under `docs/checks`.
pub const CHECKS: &[CheckDef] = &[
    document("compose.size", "the document is small enough for the guest and for one request")
        .why("the VMM takes a larger document, and the guest then does not boot"),
    document("compose.utf8", "the document is UTF-8"),
    document("compose.bom", "the document does not begin with a byte order mark").parents(&["compose.utf8"]),
    document("compose.json.syntax", "the document is JSON").parents(&["compose.utf8", "compose.bom"]),
    document("compose.json.duplicate-key", "no name is there twice in one object")
        .parents(JSON)
        .why("readers disagree on which of the two counts"),
    document("compose.line-endings", "lines end with LF")
        .parents(&["compose.utf8"])
        .why("a checkout that changes line ends changes the compose hash"),
    document("compose.accepted", "the server of this version accepts the document").parents(JSON),
    fields("compose.required-fields", "the fields that dstack insists on are there"),
    fields("compose.types", "every field has a value of its type"),
    fields("compose.unknown-fields", "every field is one that dstack reads")
        .why("the server ignores others without a word, so a typing mistake has no effect at all"),
    fields("compose.version-fields", "every field is one that this version reads")
        .why("a setting for a later version is ignored without a word"),
    fields("compose.deprecated-fields", "no field is deprecated"),
    fields(
        "compose.manifest-version",
        "the manifest version has the form and the value that this version takes",
    ),
    app("compose.name", "the name is one that the VMM takes for a VM"),
    app("compose.runner", "the guest knows the runner"),
    app("compose.runner.payload", "the document has what the runner runs").parents(&["compose.runner"]),
    app("compose.snapshotter", "the snapshotter goes with the runner"),
    app("compose.scripts.line-endings", "the lines of scripts and of the Compose file end with LF")
        .why("bash takes the carriage return for a part of the command"),
    app("compose.init-scripts", "the init scripts are as many as the guest runs"),
    app("compose.secure-time", "the document says whether the guest waits for authenticated time")
        .why("left out it is on, and a guest that cannot reach a time server never boots"),
    app("compose.port-policy", "the port policy names ports that exist, each once"),
    app("compose.swap-size", "the swap size is one that this version reads"),
    app("compose.storage-fs", "the file system is one that the guest has"),
    app("compose.event-log-version", "the event log version is one that exists"),
    app("compose.verity-volumes", "the volumes are ones that VMM and guest accept"),
    trust("compose.key-provider", "the settings of the key provider agree"),
    trust("compose.key-provider-id", "the pin of the key provider is plain hex and pins something"),
    trust("compose.gateway", "an app behind the gateway has its keys from a KMS"),
    trust("compose.allowed-envs", "the guest takes the names in allowed_envs, and has a key to open them"),
    trust("compose.launch-token", "the hash of the launch token is one"),
    trust("compose.requirements", "the requirements are enforced and can be met"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_form_a_catalogue() {
        assert!(dstack_check::Catalogue::new(CHECKS.iter().copied()).is_ok());
        assert!(CHECKS.iter().all(|check| check.id.starts_with("compose.")));
    }
}
