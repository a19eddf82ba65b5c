//! The collateral client and what it passes on: its own codes, curl's, and HTTP statuses.

use super::{Entry, Family};

const REACH: &str = "hw.quote-services.collateral-reach";
const QCNL: &str = "hw.quote-services.qcnl";

const fn code(low: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::Qcnl, Some(0xb000 | low), name, meaning)
}

/// `sgx_qcnl_error_t`.
pub(super) const CODES: &[Entry] = &[
    code(0x01, "SGX_QCNL_UNEXPECTED_ERROR", "something went wrong that has no code of its own"),
    code(0x02, "SGX_QCNL_INVALID_PARAMETER", "a call had a parameter that cannot be"),
    code(0x03, "SGX_QCNL_NETWORK_ERROR", "the network failed, or the service refused with status 403")
        .fix("ask the service by hand: `curl -k <pccs_url>/rootcacrl`")
        .check(REACH),
    code(0x04, "SGX_QCNL_NETWORK_PROXY_FAIL", "the name of the proxy does not resolve")
        .fix("check the proxy in the environment of the service")
        .check(REACH),
    code(0x05, "SGX_QCNL_NETWORK_HOST_FAIL", "the name of the collateral service does not resolve")
        .fix("check the host name in `pccs_url`, and DNS")
        .check(REACH),
    code(0x06, "SGX_QCNL_NETWORK_COULDNT_CONNECT", "nobody listens where the collateral service should be")
        .cause("PCCS does not run, or a firewall is in the way")
        .fix("start it: `systemctl start pccs`; or correct `pccs_url`")
        .check("hw.quote-services.pccs-service"),
    code(0x07, "SGX_QCNL_NETWORK_HTTP2_ERROR", "HTTP/2 failed"),
    code(0x08, "SGX_QCNL_NETWORK_WRITE_ERROR", "the answer could not be taken"),
    code(0x09, "SGX_QCNL_NETWORK_OPERATION_TIMEDOUT", "the collateral service did not answer in time")
        .cause("outbound HTTPS is filtered, or the service waits for Intel's")
        .fix("check outbound port 443, and the log of the collateral service")
        .check(REACH),
    code(0x0a, "SGX_QCNL_NETWORK_HTTPS_ERROR", "TLS failed")
        .cause("the service speaks plain HTTP there, or its certificate is not trusted")
        .fix("for a local PCCS set `use_secure_cert` to false and restart qgsd; otherwise install its authority")
        .check(QCNL),
    code(0x0b, "SGX_QCNL_NETWORK_UNKNOWN_OPTION", "the curl library does not know an option that is set"),
    code(0x0c, "SGX_QCNL_NETWORK_INIT_ERROR", "the curl library could not be set up")
        .fix("install libcurl for the version of the quote stack"),
    code(0x0d, "SGX_QCNL_MSG_ERROR", "the answer is no answer of a collateral service")
        .fix("check that `pccs_url` ends in `/sgx/certification/v4/`")
        .check(QCNL),
    code(0x0e, "SGX_QCNL_OUT_OF_MEMORY", "there is not enough memory"),
    code(0x0f, "SGX_QCNL_ERROR_STATUS_NO_CACHE_DATA", "the cache has nothing for this platform (404)")
        .cause("the platform was never fetched, or the cache may not ask Intel")
        .fix("give the cache an API key and run `PCKIDRetrievalTool`")
        .check("hw.quote-services.pccs-service"),
    code(0x10, "SGX_QCNL_ERROR_STATUS_PLATFORM_UNKNOWN", "the cache does not know this platform (461)")
        .cause("a machine with several packages has to be sent to the cache with its manifest")
        .fix("run `PCKIDRetrievalTool` against the cache, after the registration")
        .check("hw.registration.status"),
    code(0x11, "SGX_QCNL_ERROR_STATUS_UNEXPECTED", "the cache answered with a status that is not expected")
        .cause("an error of the cache; a qgsd that ran for days was seen to get stuck here")
        .fix("restart qgsd, then look at the log of the cache")
        .check("hw.quote-services.qgs-log"),
    code(0x12, "SGX_QCNL_ERROR_STATUS_CERTS_UNAVAILABLE", "Intel has no certificates for this platform (462)")
        .cause("the platform is not registered, or with another server")
        .fix("register it, see the layer `registration`")
        .check("hw.registration.status"),
    code(0x13, "SGX_QCNL_ERROR_STATUS_SERVICE_UNAVAILABLE", "the cache cannot serve now (503)")
        .fix("look at the log of the cache; it may not reach Intel"),
    code(0x30, "SGX_QCNL_INVALID_CONFIG", "/etc/sgx_default_qcnl.conf is not valid")
        .cause("it is not JSON, names no server, or has a value that is not known")
        .fix("correct the file and restart qgsd")
        .check(QCNL),
    code(0x33, "SGX_QCNL_ROOT_CA_UNTRUSTED", "nobody who is trusted signed the certificate of the collateral service")
        .cause("a local PCCS has a certificate that it signed itself; curl says 60 beside it")
        .fix("for a local PCCS set `use_secure_cert` to false and restart qgsd; for a public one install its authority")
        .check(QCNL)
        .likely(),
];

const fn curl(code: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::Curl, Some(code), name, meaning)
}

/// Codes of curl that quote services print (libcurl, `CURLcode`).
pub(super) const CURL: &[Entry] = &[
    curl(5, "CURLE_COULDNT_RESOLVE_PROXY", "the name of the proxy does not resolve"),
    curl(6, "CURLE_COULDNT_RESOLVE_HOST", "the name of the server does not resolve")
        .fix("check the name and DNS")
        .check(REACH),
    curl(7, "CURLE_COULDNT_CONNECT", "the server refuses the connection: nobody listens there")
        .fix("start the service, or correct the address")
        .check(REACH),
    curl(28, "CURLE_OPERATION_TIMEDOUT", "the server did not answer in time")
        .fix("check outbound HTTPS and the proxy")
        .check(REACH),
    curl(35, "CURLE_SSL_CONNECT_ERROR", "TLS could not be agreed on")
        .cause("the server speaks plain HTTP on that port, or an old version of TLS")
        .check(REACH),
    curl(52, "CURLE_GOT_NOTHING", "the server closed the connection without an answer"),
    curl(56, "CURLE_RECV_ERROR", "the connection broke while data came"),
    curl(60, "CURLE_PEER_FAILED_VERIFICATION", "nobody who is trusted signed the server's certificate")
        .cause("a local PCCS has a certificate that it signed itself")
        .fix("for a local PCCS set `use_secure_cert` to false and restart qgsd")
        .check(QCNL),
];

const fn http(code: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::Pccs, Some(code), name, meaning)
}

/// HTTP statuses of PCCS and of Intel's service that have a meaning of their own.
pub(super) const HTTP: &[Entry] = &[
    http(401, "PCS_UNAUTHORIZED", "Intel's service does not accept the subscription key")
        .cause("`ApiKey` in PCCS is empty, wrong or expired")
        .fix("get a key from Intel's portal for provisioning certification, set it in default.json, restart pccs")
        .check("hw.quote-services.pccs-service"),
    http(404, "PCCS_NO_CACHE_DATA", "the cache has nothing for what was asked")
        .fix("give the cache an API key and run `PCKIDRetrievalTool`")
        .check("hw.quote-services.pccs-service"),
    http(461, "PCCS_PLATFORM_UNKNOWN", "the cache does not know this platform")
        .fix("run `PCKIDRetrievalTool` against the cache")
        .check("hw.registration.status"),
    http(462, "PCCS_CERTS_UNAVAILABLE", "Intel has no certificates for this platform")
        .fix("register the platform")
        .check("hw.registration.status"),
    http(502, "PCS_ACCESS_FAILURE", "the cache cannot reach Intel's service")
        .fix("check outbound HTTPS of the cache, and its proxy setting")
        .likely(),
    http(503, "PCCS_SERVICE_UNAVAILABLE", "the service cannot answer now"),
];
