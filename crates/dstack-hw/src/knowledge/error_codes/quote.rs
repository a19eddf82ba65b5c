//! The quote libraries: one list of errors under two prefixes.
//!
//! `quote3_error_t` (`SGX_QL_*`, 0xE000 and up) and `tee_att_error_t` (`TEE_ATT_*`, 0x11000 and up) share their low bytes.
//! QGS prints the second kind after having asked the provider library, which answers with the first: the first is the cause.

use super::{Entry, Family};

/// What an error of both lists says.
struct Shared {
    meaning: &'static str,
    cause: &'static str,
    fix: &'static str,
    check: &'static str,
}

const fn says(meaning: &'static str) -> Shared {
    Shared { meaning, cause: "", fix: "", check: "" }
}

const fn says_with(
    meaning: &'static str,
    cause: &'static str,
    fix: &'static str,
    check: &'static str,
) -> Shared {
    Shared { meaning, cause, fix, check }
}

const fn entry(family: Family, base: u64, low: u64, name: &'static str, shared: &Shared) -> Entry {
    let entry = Entry::new(family, Some(base | low), name, shared.meaning)
        .cause(shared.cause)
        .fix(shared.fix)
        .check(shared.check);
    // QGS translates whatever the provider library said into these two.
    if matches!(family, Family::TdxQuoteLibrary) && (low == 0x01 || low == 0x0f) {
        entry.follow_on()
    } else {
        entry
    }
}

macro_rules! quote_errors {
    ($($low:literal $name:literal => $shared:expr;)*) => {
        /// `quote3_error_t`.
        pub(super) const SGX: &[Entry] = &[$(
            entry(Family::QuoteLibrary, 0xe000, $low, concat!("SGX_QL_", $name), &$shared),
        )*];
        /// `tee_att_error_t`.
        pub(super) const TDX: &[Entry] = &[$(
            entry(Family::TdxQuoteLibrary, 0x1_1000, $low, concat!("TEE_ATT_", $name), &$shared),
        )*];
    };
}

const REGISTER: &str = "check the registration (`hw.registration.status`), then let the cache fetch the certificate: run `PCKIDRetrievalTool`, \
                        or use a collateral service that knows the platform";
const COLLATERAL: &str =
    "check `pccs_url` in /etc/sgx_default_qcnl.conf, that the service behind it answers, and restart qgsd";
const FIRMWARE: &str = "update the firmware (microcode and TDX module), then ask for a new quote";
const CLOCK: &str = "check the clock; then have the collateral cache refreshed";
const REACH: &str = "hw.quote-services.collateral-reach";
const QGS_LOG: &str = "hw.quote-services.qgs-log";

quote_errors! {
    0x01 "ERROR_UNEXPECTED" => says_with("something went wrong that has no code of its own",
        "in the log of QGS it usually follows from an error of the provider library in the lines before it",
        "look at the lines before it: the code there names the cause", QGS_LOG);
    0x02 "ERROR_INVALID_PARAMETER" => says("a call had a parameter that cannot be");
    0x03 "ERROR_OUT_OF_MEMORY" => says("there is not enough memory");
    0x04 "ERROR_ECDSA_ID_MISMATCH" => says_with("the stored attestation key belongs to another key id",
        "the stored key was made by another version of the quoting enclave", "remove the stored key of the service's user and restart it", "");
    0x05 "PATHNAME_BUFFER_OVERFLOW_ERROR" => says("the path of the stored attestation key is too long");
    0x06 "FILE_ACCESS_ERROR" => says_with("the stored attestation key cannot be read or written",
        "the home directory of the service's user is missing or not its own", "give the service's user its home directory back", "");
    0x07 "ERROR_STORED_KEY" => says("the stored attestation key is not valid");
    0x08 "ERROR_PUB_KEY_ID_MISMATCH" => says("the stored attestation key is not the one that was asked for");
    0x09 "ERROR_INVALID_PCE_SIG_SCHEME" => says("the provisioning certification enclave signs with another scheme than the quoting enclave knows");
    0x0a "ATT_KEY_BLOB_ERROR" => says("the stored attestation key is damaged");
    0x0b "UNSUPPORTED_ATT_KEY_ID" => says("this kind of attestation key is not supported");
    0x0c "UNSUPPORTED_LOADING_POLICY" => says("this way of loading the enclaves is not supported");
    0x0d "INTERFACE_UNAVAILABLE" => says_with("the quoting enclave cannot be loaded",
        "the enclave's file is missing, or the SGX devices may not be opened",
        "check the devices and the rights of the service's user", "hw.quote-services.qgs-rights");
    0x0e "PLATFORM_LIB_UNAVAILABLE" => says_with("the provider library is not there",
        "the package libsgx-dcap-default-qpl is not installed", "install libsgx-dcap-default-qpl", "hw.quote-services.qcnl");
    0x0f "ATT_KEY_NOT_INITIALIZED" => says_with("there is no attestation key, or it was not certified",
        "certification failed before; this follows from it", "look at the lines before it: the code there names the cause", QGS_LOG);
    0x10 "ATT_KEY_CERT_DATA_INVALID" => says_with("the certificate that the provider library gave is not valid",
        "the certificate in the cache belongs to other firmware or to another platform",
        "clear the client's cache (`.dcap-qcnl` in the home of the service's user), refresh the collateral cache, restart qgsd", QGS_LOG);
    0x11 "NO_PLATFORM_CERT_DATA" => says_with("there is no certificate for this platform",
        "the platform is not registered with Intel, or the collateral cache has no PCK certificate of it", REGISTER,
        "hw.registration.status");
    0x12 "OUT_OF_EPC" => says_with("there is not enough enclave memory (EPC) to load an enclave",
        "other enclaves use it up, or the firmware set little aside", "stop other enclaves, or give SGX more memory in the firmware", "hw.sgx.epc");
    0x13 "ERROR_REPORT" => says("a report could not be verified");
    0x14 "ENCLAVE_LOST" => says_with("the enclave is gone", "the machine slept, or the process forked", "restart the service", "");
    0x15 "INVALID_REPORT" => says("the report of the application's enclave is not valid on this machine");
    0x16 "ENCLAVE_LOAD_ERROR" => says_with("an enclave cannot be loaded",
        "the SGX devices are missing or may not be opened, or an enclave's file is missing",
        "check /dev/sgx_enclave and /dev/sgx_provision and the groups of the service's user", "hw.quote-services.qgs-rights");
    0x17 "UNABLE_TO_GENERATE_QE_REPORT" => says("the quoting enclave cannot make a report for the application's enclave");
    0x18 "KEY_CERTIFCATION_ERROR" => says_with("the provider library gave a level of firmware that the platform does not have",
        "the certificate in the cache is of newer firmware than the one that runs", "refresh the collateral cache; do not go back to older firmware", "");
    0x19 "NETWORK_ERROR" => says_with("the collateral service could not be reached", "the service is down, the name does not resolve, or TLS failed; QCNL's own code says which",
        COLLATERAL, REACH);
    0x1a "MESSAGE_ERROR" => says_with("the collateral service's answer made no sense", "the URL points at something else than a collateral service", COLLATERAL, REACH);
    0x1b "NO_QUOTE_COLLATERAL_DATA" => says_with("there is no collateral to check a quote with", "the collateral service does not have it, often because it has no subscription key",
        COLLATERAL, REACH);
    0x1c "QUOTE_CERTIFICATION_DATA_UNSUPPORTED" => says_with("the certification data in the quote is of a kind that is not supported",
        "the quote was made without a PCK certificate chain in it", "let the platform get its certificate, then make a new quote", "hw.registration.status");
    0x1d "QUOTE_FORMAT_UNSUPPORTED" => says("the form of the quote is not supported: an older verifier, or no quote");
    0x1e "UNABLE_TO_GENERATE_REPORT" => says("no report could be made");
    0x1f "QE_REPORT_INVALID_SIGNATURE" => says("the signature on the quoting enclave's report is wrong");
    0x20 "QE_REPORT_UNSUPPORTED_FORMAT" => says("the form of the quoting enclave's report is not supported");
    0x21 "PCK_CERT_UNSUPPORTED_FORMAT" => says("the form of the PCK certificate is not supported");
    0x22 "PCK_CERT_CHAIN_ERROR" => says_with("the chain of the PCK certificate does not hold", "production and pre-production collateral are mixed, or the chain is damaged",
        "use the collateral service that fits the CPU: a pre-production CPU is not known to the live one", "hw.cpu.production");
    0x23 "TCBINFO_UNSUPPORTED_FORMAT" => says("the form of the TCB information is not supported");
    0x24 "TCBINFO_MISMATCH" => says_with("the TCB information is of another family of platforms (FMSPC)", "collateral of another machine", "fetch the collateral for this platform", "");
    0x25 "QEIDENTITY_UNSUPPORTED_FORMAT" => says("the form of the quoting enclave's identity is not supported");
    0x26 "QEIDENTITY_MISMATCH" => says("the quoting enclave is not the one that Intel describes");
    0x27 "TCB_OUT_OF_DATE" => says_with("the platform's firmware is older than what Intel accepts", "", FIRMWARE, "");
    0x28 "TCB_OUT_OF_DATE_CONFIGURATION_NEEDED" => says_with("the platform's firmware is older than what Intel accepts, and its configuration matters too", "", FIRMWARE, "");
    0x29 "SGX_ENCLAVE_IDENTITY_OUT_OF_DATE" => says("the identity of an enclave is out of date");
    0x2a "SGX_ENCLAVE_REPORT_ISVSVN_OUT_OF_DATE" => says_with("the quoting enclave is older than what Intel accepts", "", "update the packages of the quote stack", "");
    0x2b "QE_IDENTITY_OUT_OF_DATE" => says_with("the quoting enclave is older than what Intel accepts", "", "update the packages of the quote stack", "");
    0x2c "SGX_TCB_INFO_EXPIRED" => says_with("the TCB information has expired", "the cache was not refreshed, or the clock is wrong", CLOCK, "");
    0x2d "SGX_PCK_CERT_CHAIN_EXPIRED" => says_with("the PCK certificate or one above it has expired", "the cache was not refreshed, or the clock is wrong", CLOCK, "");
    0x2e "SGX_CRL_EXPIRED" => says_with("a revocation list has expired", "the cache was not refreshed, or the clock is wrong", CLOCK, "");
    0x2f "SGX_SIGNING_CERT_CHAIN_EXPIRED" => says_with("the chain of the certificate that signed the collateral has expired", "the cache was not refreshed, or the clock is wrong", CLOCK, "");
    0x30 "SGX_ENCLAVE_IDENTITY_EXPIRED" => says_with("the identity of an enclave has expired", "the cache was not refreshed, or the clock is wrong", CLOCK, "");
    0x31 "PCK_REVOKED" => says("the PCK certificate was revoked");
    0x32 "TCB_REVOKED" => says_with("this level of firmware was revoked", "", FIRMWARE, "");
    0x33 "TCB_CONFIGURATION_NEEDED" => says_with("the platform's configuration needs a change to be trusted", "often hyper-threading on older CPUs", "see the advisories that the verifier lists", "");
    0x34 "UNABLE_TO_GET_COLLATERAL" => says_with("the collateral could not be got", "", COLLATERAL, REACH);
    0x35 "ERROR_INVALID_PRIVILEGE" => says_with("there is no right to do that", "the service's user may not open /dev/sgx_provision",
        "put the service's user into the group of /dev/sgx_provision and restart it", "hw.quote-services.qgs-rights");
    0x37 "NO_QVE_IDENTITY_DATA" => says("there is no identity of the quote verification enclave");
    0x38 "CRL_UNSUPPORTED_FORMAT" => says("the form of the revocation list is not supported");
    0x39 "QEIDENTITY_CHAIN_ERROR" => says("the chain of the certificate that signed the quoting enclave's identity does not hold");
    0x3a "TCBINFO_CHAIN_ERROR" => says("the chain of the certificate that signed the TCB information does not hold");
    0x3b "ERROR_QVL_QVE_MISMATCH" => says_with("library and enclave for verification are of different versions", "", "update both packages together", "");
    0x3c "TCB_SW_HARDENING_NEEDED" => says("the firmware is current; the enclave's software has to guard against a known weakness");
    0x3d "TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED" => says("the firmware is current; configuration and the enclave's software have to guard against a known weakness");
    0x3e "UNSUPPORTED_MODE" => says("this way of working is not supported");
    0x3f "NO_DEVICE" => says_with("there is no SGX device", "SGX is off in the firmware, or the container does not have the devices",
        "check the layer `sgx`", "hw.sgx.devices");
    0x40 "SERVICE_UNAVAILABLE" => says_with("a service is not available", "the enclave service daemon or the collateral service does not run", "start it", "hw.quote-services.aesmd");
    0x41 "NETWORK_FAILURE" => says_with("the network failed", "", COLLATERAL, REACH);
    0x42 "SERVICE_TIMEOUT" => says_with("a service did not answer in time", "", COLLATERAL, REACH);
    0x43 "ERROR_BUSY" => says("the service is busy");
    0x44 "UNKNOWN_MESSAGE_RESPONSE" => says_with("the collateral service answered with a status that is not expected",
        "the cache is out of order, or the running service holds on to old state: a restart of qgsd was seen to help after days of use", "restart qgsd; then look at the log of the collateral service", QGS_LOG);
    0x45 "PERSISTENT_STORAGE_ERROR" => says_with("what was fetched could not be stored", "the home directory of the service's user is missing, not its own, or full", "give the service's user its home directory back", "");
    0x46 "ERROR_MESSAGE_PARSING_ERROR" => says("a message could not be understood");
    0x47 "PLATFORM_UNKNOWN" => says_with("the collateral cache does not know this platform", "the platform was never sent to the cache: on machines with several packages that needs the manifest", REGISTER, "hw.registration.status");
    0x48 "UNKNOWN_API_VERSION" => says_with("the version of the service's API is not known", "the path in `pccs_url` names another version", "use `/sgx/certification/v4/`", "hw.quote-services.qcnl");
    0x49 "CERTS_UNAVAILABLE" => says_with("Intel has no certificates for this platform", "the platform is not registered, or registered with another server", REGISTER, "hw.registration.status");
    0x50 "QVEIDENTITY_MISMATCH" => says("the quote verification enclave is not the one that Intel describes");
    0x51 "QVE_OUT_OF_DATE" => says_with("the quote verification enclave is older than what is asked for", "", "update its package", "");
    0x52 "PSW_NOT_AVAILABLE" => says_with("the SGX platform software cannot be loaded", "its libraries are not installed", "install the package libsgx-urts", "");
    0x53 "COLLATERAL_VERSION_NOT_SUPPORTED" => says("this version of the collateral is not supported");
    0x60 "TDX_MODULE_MISMATCH" => says_with("the TDX module is not one that Intel signed for this platform", "a debug or a foreign module", "load the module that came with the firmware", "hw.tdx-module.version");
    0x61 "QEIDENTITY_NOT_FOUND" => says("the collateral service has no identity of the quoting enclave");
    0x62 "TCBINFO_NOT_FOUND" => says("the collateral service has no TCB information for this family of platforms (FMSPC)");
    0x63 "INTERNAL_SERVER_ERROR" => says("the collateral service has an error of its own");
    0x64 "SUPPLEMENTAL_DATA_VERSION_NOT_SUPPORTED" => says("this version of the supplemental data is not supported");
    0x65 "ROOT_CA_UNTRUSTED" => says_with("nobody who is trusted signed the certificate of the collateral service", "a local PCCS has a certificate that it signed itself",
        "for a local PCCS set `use_secure_cert` to false; for another one install its authority", "hw.quote-services.qcnl");
    0x66 "TCB_NOT_SUPPORTED" => says_with("Intel's TCB information has no entry for this level of firmware", "the collateral is older than the firmware", "refresh the collateral cache", "");
    0x67 "CONFIG_INVALID_JSON" => says_with("/etc/sgx_default_qcnl.conf is not readable", "a comma is missing or too many", "correct the file: the message before names the place", "hw.quote-services.qcnl");
}
