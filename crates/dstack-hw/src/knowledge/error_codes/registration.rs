//! The registration agent, and MCHECK.

use super::{Entry, Family};

const LOG: &str = "hw.registration.log";
const STATUS: &str = "hw.registration.status";
const RESET: &str = "with the agent's log and the cache's database removed, do a factory reset of SGX in the firmware together with automatic registration, and boot; keys sealed to the old identity are lost";

const fn code(code: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::Registration, Some(code), name, meaning).check(STATUS)
}

/// Codes of the agent (0x80 and up) and of the registration server (0xA0 and up).
pub(super) const CODES: &[Entry] = &[
    code(0x80, "MPA_AG_UNEXPECTED_ERROR", "the agent had an error of its own").check(LOG),
    code(0x81, "MPA_AG_OUT_OF_MEMORY", "the agent had not enough memory"),
    code(0x82, "MPA_AG_NETWORK_ERROR", "the agent could not reach the registration server")
        .cause("no outbound HTTPS, or a proxy that the agent does not know")
        .fix("set the proxy in /etc/mpa_registration.conf, then restart mpa_registration_tool or reboot")
        .check(LOG),
    code(0x83, "MPA_AG_INVALID_PARAMETER", "the agent was given a parameter that cannot be"),
    code(0x84, "MPA_AG_INTERNAL_SERVER_ERROR", "the registration server had an error of its own")
        .fix("try again at the next boot"),
    code(0x85, "MPA_AG_SERVER_TIMEOUT", "the registration server did not answer in time")
        .fix("try again at the next boot"),
    code(0x86, "MPA_AG_BIOS_PROTOCOL_ERROR", "the agent does not understand the firmware's variables")
        .cause("firmware with a fault in its SGX registration")
        .fix("update the firmware"),
    code(
        0x87,
        "MPA_AG_UNAUTHORIZED_ERROR",
        "the registration server does not accept the agent's subscription key",
    )
    .fix("set the key in /etc/mpa_registration.conf; it is needed to add a package only"),
    code(0xa0, "MPA_RS_INVALID_REQUEST_SYNTAX", "the registration server does not understand the request"),
    code(
        0xa1,
        "MPA_RS_PM_INVALID_REGISTRATION_SERVER",
        "the manifest was made for another registration server",
    )
    .cause("the firmware names the server for pre-production parts, or the other way round")
    .fix("set the registration server in the firmware to its default")
    .check("hw.cpu.production"),
    code(
        0xa2,
        "MPA_RS_INVALID_OR_REVOKED_PACKAGE",
        "the server refuses a processor package: invalid or revoked",
    )
    .cause("an engineering sample, or a package that was used elsewhere")
    .fix("ask the vendor of the machine"),
    code(0xa3, "MPA_RS_PACKAGE_NOT_FOUND", "the server does not know one of the processor packages")
        .fix("ask the vendor of the machine"),
    code(
        0xa4,
        "MPA_RS_PM_INCOMPATIBLE_PACKAGE",
        "one processor package does not go together with the others",
    )
    .fix("use packages of the same kind and stepping"),
    code(0xa5, "MPA_RS_PM_INVALID_PLATFORM_MANIFEST", "the server does not accept the platform manifest")
        .cause("the manifest is stale: packages or firmware changed after it was made")
        .fix(RESET),
    code(
        0xa6,
        "MPA_RS_AD_PLATFORM_NOT_FOUND",
        "the platform to which a package should be added is not registered",
    )
    .fix(RESET),
    code(0xa7, "MPA_RS_AD_INVALID_ADD_REQUEST", "the request to add a package is not valid"),
    code(0xa8, "MPA_RS_UNKOWN_ERROR", "the server refused for a reason that the agent does not know")
        .fix("update the package sgx-ra-service"),
];

/// What MCHECK leaves in MSR 0xA0.
pub(super) const MCHECK: &[Entry] = &[Entry::new(
    Family::Mcheck,
    Some(0x1861),
    "MCHECK_SGX_REGISTRATION_VARIABLES",
    "MCHECK refused SGX and TDX: the UEFI variables of SGX registration are damaged",
)
.cause("packages or firmware were changed and the variables are of the time before")
.fix("do a factory reset of SGX in the firmware; keys sealed to the old identity are lost")
.check("hw.firmware.mcheck")];
