//! What a guest sees when it asks for a quote: its own library, and the answers of QGS.

use super::{Entry, Family};

const QGS_CHECK: &str = "hw.quote-services.qgs-log";

const fn qgs(low: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::Qgs, Some(0x1_2000 | low), name, meaning)
}

/// `qgs_msg_error_t`.
pub(super) const QGS: &[Entry] = &[
    qgs(0x01, "QGS_MSG_ERROR_UNEXPECTED", "the host's quote generation service could not make a quote")
        .cause("its collateral client is set up wrong, or the platform has no certificate; the journal of qgsd on the host says which")
        .fix("look at the journal of qgsd on the host; correct /etc/sgx_default_qcnl.conf there and restart qgsd")
        .check(QGS_CHECK),
    qgs(0x02, "QGS_MSG_ERROR_OUT_OF_MEMORY", "the service has not enough memory"),
    qgs(0x03, "QGS_MSG_ERROR_INVALID_PARAMETER", "the request had a parameter that cannot be"),
    qgs(0x04, "QGS_MSG_ERROR_INVALID_VERSION", "guest and service speak different versions")
        .fix("bring the packages of guest and host to the same release"),
    qgs(0x05, "QGS_MSG_ERROR_INVALID_TYPE", "the request is of a kind that the service does not know"),
    qgs(0x06, "QGS_MSG_ERROR_INVALID_SIZE", "the request says another length than it has"),
    qgs(0x07, "QGS_MSG_ERROR_INVALID_CODE", "the answer carries a code that is not known"),
];

const fn guest(code: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::TdxAttest, Some(code), name, meaning)
}

/// `tdx_attest_error_t`.
pub(super) const TDX_ATTEST: &[Entry] = &[
    guest(0x1, "TDX_ATTEST_ERROR_UNEXPECTED", "the guest got no usable answer to its request for a quote")
        .cause("the host's quote service failed: no certificate for the platform, a wrong collateral URL, or no Intel API key in PCCS")
        .fix("look at the journal of qgsd on the host: the guest cannot tell more")
        .check(QGS_CHECK),
    guest(0x2, "TDX_ATTEST_ERROR_INVALID_PARAMETER", "a call had a parameter that cannot be"),
    guest(0x3, "TDX_ATTEST_ERROR_OUT_OF_MEMORY", "there is not enough memory"),
    guest(0x4, "TDX_ATTEST_ERROR_VSOCK_FAILURE", "the quote service could not be reached over vsock")
        .cause("the VM has no vsock device, or nobody listens on the port of /etc/tdx-attest.conf")
        .fix("check the vsock device of the VM and the port of QGS on the host")
        .check("hw.quote-services.qgs-port"),
    guest(0x5, "TDX_ATTEST_ERROR_REPORT_FAILURE", "the TDX module gave no report")
        .cause("this is no TD, or the guest driver is missing"),
    guest(0x6, "TDX_ATTEST_ERROR_EXTEND_FAILURE", "a measurement register could not be extended"),
    guest(0x7, "TDX_ATTEST_ERROR_NOT_SUPPORTED", "that is not supported here"),
    guest(0x8, "TDX_ATTEST_ERROR_QUOTE_FAILURE", "the host made no quote")
        .cause("the hypervisor could not reach the quote service, or the service failed")
        .fix("check that QGS runs on the host where QEMU was told to look, and its journal")
        .check("hw.quote-services.qgs"),
    guest(0x9, "TDX_ATTEST_ERROR_BUSY", "the guest's driver is busy with another request").fix("try again"),
    guest(0xa, "TDX_ATTEST_ERROR_DEVICE_FAILURE", "the guest's attestation device cannot be opened")
        .cause("/dev/tdx_guest is missing or may not be opened")
        .fix("check the device and its rights inside the guest"),
    guest(0xb, "TDX_ATTEST_ERROR_INVALID_RTMR_INDEX", "only RTMR 2 and 3 may be extended by the guest"),
    guest(0xc, "TDX_ATTEST_ERROR_UNSUPPORTED_ATT_KEY_ID", "the platform has no attestation key of the kinds that were asked for"),
];
