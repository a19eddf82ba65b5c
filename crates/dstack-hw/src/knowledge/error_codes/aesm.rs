//! The enclave service daemon. Gramine and the SGX libraries print its codes in decimal.

use super::{Entry, Family};

const fn code(code: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::Aesm, Some(code), name, meaning)
}

/// Errors of EPID, the attestation before DCAP, which no current platform uses.
const fn epid(number: u64, name: &'static str, meaning: &'static str) -> Entry {
    code(number, name, meaning)
        .cause("EPID attestation, which servers do not have")
        .fix("use DCAP: set the enclave's remote attestation to `dcap`")
}

const COLLATERAL: &str = "hw.quote-services.collateral-reach";

/// `aesm_error_t`.
pub(super) const CODES: &[Entry] = &[
    code(1, "AESM_UNEXPECTED_ERROR", "something went wrong that has no code of its own"),
    code(2, "AESM_NO_DEVICE_ERROR", "there is no SGX device")
        .fix("check that SGX is on and that the container has /dev/sgx_enclave and /dev/sgx_provision")
        .check("hw.sgx.devices"),
    code(3, "AESM_PARAMETER_ERROR", "a call had a parameter that cannot be"),
    epid(4, "AESM_EPIDBLOB_ERROR", "the stored EPID key is damaged"),
    epid(5, "AESM_EPID_REVOKED_ERROR", "the EPID key was revoked"),
    code(6, "AESM_GET_LICENSETOKEN_ERROR", "no launch token could be got")
        .cause("launch control without flexible launch control")
        .check("hw.sgx.launch-control"),
    code(7, "AESM_SESSION_INVALID", "the session is not valid"),
    code(8, "AESM_MAX_NUM_SESSION_REACHED", "there are too many sessions"),
    code(9, "AESM_PSDA_UNAVAILABLE", "platform services are not available"),
    code(10, "AESM_EPH_SESSION_FAILED", "a session with the platform services failed"),
    code(11, "AESM_LONG_TERM_PAIRING_FAILED", "pairing with the platform services failed"),
    code(12, "AESM_NETWORK_ERROR", "the network failed")
        .cause("the collateral service does not answer: PCCS is down, or the URL in QCNL is wrong")
        .fix("check /etc/sgx_default_qcnl.conf as the daemon sees it, inside its container too, and that the service answers")
        .check(COLLATERAL),
    code(13, "AESM_NETWORK_BUSY_ERROR", "the network is busy"),
    code(14, "AESM_PROXY_SETTING_ASSIST", "the proxy has to be set"),
    code(15, "AESM_FILE_ACCESS_ERROR", "a file could not be read or written"),
    epid(16, "AESM_SGX_PROVISION_FAILED", "provisioning failed"),
    code(17, "AESM_SERVICE_STOPPED", "the daemon was stopped").check("hw.quote-services.aesmd"),
    code(18, "AESM_BUSY", "the daemon is busy"),
    code(19, "AESM_BACKEND_SERVER_BUSY", "the server behind it is busy"),
    code(20, "AESM_UPDATE_AVAILABLE", "firmware or platform software has to be updated first"),
    code(21, "AESM_OUT_OF_MEMORY_ERROR", "there is not enough memory"),
    code(22, "AESM_MSG_ERROR", "a message could not be understood"),
    code(23, "AESM_THREAD_ERROR", "a thread failed"),
    code(24, "AESM_SGX_DEVICE_NOT_AVAILABLE", "the SGX device is not available").check("hw.sgx.devices"),
    code(25, "AESM_ENABLE_SGX_DEVICE_FAILED", "SGX could not be turned on").check("hw.sgx.firmware"),
    code(26, "AESM_PLATFORM_INFO_BLOB_INVALID_SIG", "the signature on the platform information is wrong"),
    code(27, "AESM_SERVICE_NOT_AVAILABLE", "the daemon is not available").check("hw.quote-services.aesmd"),
    code(28, "AESM_KDF_MISMATCH", "the two sides derive keys in different ways"),
    code(29, "AESM_OUT_OF_EPC", "there is not enough enclave memory (EPC)").check("hw.sgx.epc"),
    code(30, "AESM_SERVICE_UNAVAILABLE", "a part of the daemon that is needed is not loaded")
        .cause("the plugin for ECDSA quotes is not installed, or the SGX devices are missing")
        .fix("install libsgx-aesm-quote-ex-plugin and libsgx-aesm-ecdsa-plugin, restart aesmd")
        .check("hw.quote-services.aesmd"),
    epid(31, "AESM_UNRECOGNIZED_PLATFORM", "Intel's service does not know the platform"),
    code(32, "AESM_ECDSA_ID_MISMATCH", "the stored attestation key belongs to another key id"),
    code(33, "AESM_PATHNAME_BUFFER_OVERFLOW_ERROR", "the path of the stored attestation key is too long"),
    code(34, "AESM_ERROR_STORED_KEY", "the stored attestation key is not valid"),
    code(35, "AESM_PUB_KEY_ID_MISMATCH", "the stored attestation key is not the one that was asked for"),
    code(36, "AESM_INVALID_PCE_SIG_SCHEME", "the provisioning certification enclave signs with another scheme"),
    code(37, "AESM_ATT_KEY_BLOB_ERROR", "the stored attestation key is damaged"),
    code(38, "AESM_UNSUPPORTED_ATT_KEY_ID", "this kind of attestation key is not supported"),
    code(39, "AESM_UNSUPPORTED_LOADING_POLICY", "this way of loading the enclaves is not supported"),
    code(40, "AESM_INTERFACE_UNAVAILABLE", "the quoting enclave cannot be loaded").check("hw.sgx.devices"),
    code(41, "AESM_PLATFORM_LIB_UNAVAILABLE", "the provider library is not there")
        .fix("install libsgx-dcap-default-qpl where the daemon runs, inside its container")
        .check("hw.quote-services.qcnl"),
    code(42, "AESM_ATT_KEY_NOT_INITIALIZED", "there is no attestation key, or it was not certified")
        .fix("look at the daemon's log: certification failed before")
        .follow_on(),
    code(43, "AESM_ATT_KEY_CERT_DATA_INVALID", "the certificate that the provider library gave is not valid"),
    code(44, "AESM_NO_PLATFORM_CERT_DATA", "there is no certificate for this platform")
        .cause("the platform is not registered with Intel, or the collateral cache has no PCK certificate of it")
        .fix("check the registration, then let the cache fetch the certificate: run `PCKIDRetrievalTool`, or use a collateral service that knows the platform")
        .check("hw.registration.status"),
    code(45, "AESM_ERROR_REPORT", "a report could not be verified"),
    code(46, "AESM_ENCLAVE_LOST", "the enclave is gone: the machine slept").fix("restart the daemon"),
    code(47, "AESM_INVALID_REPORT", "the report of the application's enclave is not valid on this machine"),
    code(48, "AESM_ENCLAVE_LOAD_ERROR", "an enclave cannot be loaded").check("hw.sgx.devices"),
    code(49, "AESM_UNABLE_TO_GENERATE_QE_REPORT", "the quoting enclave cannot make a report"),
    code(50, "AESM_KEY_CERTIFICATION_ERROR", "the provider library gave a level of firmware that the platform does not have"),
];
