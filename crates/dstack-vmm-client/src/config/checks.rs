//! The checks of a `vmm.toml`. Each has a page under `docs/checks/`.

use dstack_check::CheckDef;

const LAYER: &str = "vmm.toml";
const PARENTS: &[&str] = &["vmm.config.syntax"];

const fn check(id: &'static str, title: &'static str, why: &'static str) -> CheckDef {
    CheckDef::new(id, title).layer(LAYER).parents(PARENTS).why(why)
}

pub(crate) const SYNTAX: CheckDef = CheckDef::new("vmm.config.syntax", "the file is TOML")
    .layer(LAYER)
    .why("the VMM does not start with a file it cannot read");
pub(crate) const TYPES: CheckDef = check(
    "vmm.config.types",
    "every value is of the type its key takes",
    "the VMM does not start with a value of another type",
);
pub(crate) const UNKNOWN_KEYS: CheckDef = check(
    "vmm.config.unknown-keys",
    "the VMM reads every key of the file",
    "an unknown key is ignored without a word, so a misspelled setting has no effect",
);
pub(crate) const FICTIONAL: CheckDef = check(
    "vmm.config.fictional-section",
    "the file has no [vmm] section",
    "no version of the VMM reads such a section; a file built on it configures nothing",
);
pub(crate) const VERSION_KEYS: CheckDef = check(
    "vmm.config.version-keys",
    "this version of the VMM reads every key of the file",
    "a key of another version is ignored without a word",
);
pub(crate) const DEPRECATED: CheckDef = check(
    "vmm.config.deprecated-keys",
    "the file uses the current names of keys",
    "older names are only kept for old files and clash with the new ones",
);
pub(crate) const ADDRESS: CheckDef = check(
    "vmm.config.address",
    "the external API has an address it can listen on",
    "the VMM does not start otherwise",
);
pub(crate) const PORT_KEY: CheckDef = check(
    "vmm.config.port-key",
    "address and port name the same port",
    "the port key overrides the port in address, and the check-config command of next fails without it",
)
.parents(&["vmm.config.syntax", "vmm.config.address"]);
pub(crate) const API_AUTH: CheckDef = check(
    "vmm.config.api-auth",
    "the API is not open to other machines",
    "the API starts, changes and removes every VM of the host",
)
.parents(&["vmm.config.syntax", "vmm.config.address"]);
pub(crate) const AUTH_SCOPE: CheckDef = check(
    "vmm.config.auth-scope",
    "[auth] guards what it seems to guard",
    "in v0.5 tokens guard the log stream alone and every call stays open",
);
pub(crate) const AUTH_CREDENTIALS: CheckDef = check(
    "vmm.config.auth-credentials",
    "authentication that is on has a credential to accept",
    "without one every request is refused",
);
pub(crate) const TOKEN_LENGTH: CheckDef =
    check("vmm.config.token-length", "tokens are long enough", "a short token can be guessed");
pub(crate) const TOKEN_PLACEHOLDER: CheckDef = check(
    "vmm.config.token-placeholder",
    "no token is a placeholder",
    "a token printed in a tutorial is known to everyone",
);
pub(crate) const TOKEN_FILE_MODE: CheckDef = check(
    "vmm.config.token-file-mode",
    "a file with tokens is readable by its owner and group alone",
    "every user of the host who reads the token controls all VMs",
);
pub(crate) const KMS_URL: CheckDef = check(
    "vmm.config.kms-url",
    "kms_url names a KMS the guests use",
    "kms_url gives clients the keys they encrypt environments with, and defaults to a port nothing listens on",
);
pub(crate) const GATEWAY_URLS: CheckDef = check(
    "vmm.config.gateway-urls",
    "gateway_urls names gateways that guests reach",
    "the default is a development address that guests cannot reach",
);
pub(crate) const GATEWAY_DOMAIN: CheckDef = check(
    "vmm.config.gateway-domain",
    "gateway.base_domain is the domain of the apps",
    "the console and the clients build app URLs from it",
);
pub(crate) const PCCS_URL: CheckDef = check(
    "vmm.config.pccs-url",
    "guests have a PCCS to verify quotes with",
    "without one a guest with a local key provider gets no keys and reboots in a loop",
);
pub(crate) const PORT_MAPPING: CheckDef = check(
    "vmm.config.port-mapping",
    "VMs may publish ports",
    "with port mapping off every VM that publishes a port is refused",
);
pub(crate) const PORT_RANGES: CheckDef = check(
    "vmm.config.port-ranges",
    "the port ranges are possible and leave the host's own ports alone",
    "a range the VMM cannot read keeps it from starting, one over the API's port makes VMs fail at start",
);
pub(crate) const UDP_RANGE: CheckDef = check(
    "vmm.config.udp-range",
    "VMs may publish UDP ports",
    "the gateway's WireGuard port is UDP, and the default range is TCP alone",
)
.parents(&["vmm.config.syntax", "vmm.config.port-ranges"]);
pub(crate) const MAPPING_ADDRESS: CheckDef = check(
    "vmm.config.mapping-address",
    "a mapping without address is not public by accident",
    "the address of port_mapping applies to every mapping that names none",
);
pub(crate) const CID_POOL: CheckDef = check(
    "vmm.config.cid-pool",
    "the context ids of the VMs are usable",
    "context ids 0 to 2 are reserved, and an empty pool gives no VM",
);
pub(crate) const RUN_PATH: CheckDef = check(
    "vmm.config.run-path",
    "the VMM may write where VMs are kept",
    "the default lies in a home directory, which a hardened unit does not write to",
);
pub(crate) const RELATIVE_PATHS: CheckDef = check(
    "vmm.config.relative-paths",
    "paths do not depend on the directory the VMM is started in",
    "a service is started in /, where ./supervisor does not exist",
);
pub(crate) const TILDE: CheckDef = check(
    "vmm.config.tilde",
    "no path begins with a tilde",
    "the VMM does not expand it and makes a directory of that name",
);
pub(crate) const NETWORKING: CheckDef = check(
    "vmm.config.networking-mode",
    "the networking mode exists and has what it needs",
    "the VMM does not start with an unknown mode, and a bridge without name fails each VM",
);
pub(crate) const HOST_API: CheckDef = check(
    "vmm.config.host-api",
    "the host API listens on vsock",
    "guests reach the host through vsock alone, and the VMM refuses any other address",
);
pub(crate) const KEY_PROVIDER: CheckDef = check(
    "vmm.config.key-provider",
    "guests reach the local key provider",
    "a KMS or an app without KMS gets its sealing key from it",
);
pub(crate) const GPU: CheckDef = check(
    "vmm.config.gpu",
    "the GPU settings fit together",
    "a listing without enabled gives no GPU, enabled without listing finds none",
);

/// Every check of [`lint`](super::lint), in its order.
pub const CHECKS: &[CheckDef] = &[
    SYNTAX,
    TYPES,
    UNKNOWN_KEYS,
    FICTIONAL,
    VERSION_KEYS,
    DEPRECATED,
    ADDRESS,
    PORT_KEY,
    API_AUTH,
    AUTH_SCOPE,
    AUTH_CREDENTIALS,
    TOKEN_LENGTH,
    TOKEN_PLACEHOLDER,
    TOKEN_FILE_MODE,
    KMS_URL,
    GATEWAY_URLS,
    GATEWAY_DOMAIN,
    PCCS_URL,
    PORT_MAPPING,
    PORT_RANGES,
    UDP_RANGE,
    MAPPING_ADDRESS,
    CID_POOL,
    RUN_PATH,
    RELATIVE_PATHS,
    TILDE,
    NETWORKING,
    HOST_API,
    KEY_PROVIDER,
    GPU,
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_checks_form_a_catalogue() {
        let catalogue = dstack_check::Catalogue::new(super::CHECKS.iter().copied()).unwrap();
        assert_eq!(catalogue.len(), super::CHECKS.len());
    }
}
