//! The words with which `dcap-qvl` refuses a quote, and what they stand for.
//!
//! The library has no error types. This table is of version 0.7.1; a test provokes the refusals, so that an upgrade
//! that changes the words is noticed. What is not in it is [`QuoteVerifyError::Refused`].

use super::verify::QuoteVerifyError as Error;

type Kind = fn(String) -> Error;

/// The first row whose words occur in the refusal decides. Causes stand before what they were the cause of.
const REFUSALS: &[(&str, Kind)] = &[
    // X.509, in the words of webpki: the cause at the end of a chain of contexts.
    ("CertRevoked", Error::CertificateRevoked),
    ("CrlExpired", Error::Expired),
    ("InvalidCrlSignatureForPublicKey", Error::Collateral),
    ("UnknownIssuer", Error::Chain),
    ("CertExpired", Error::Chain),
    ("CertNotValidYet", Error::Chain),
    ("UnknownRevocationStatus", Error::Collateral),
    // Collateral: dates, form, signatures.
    ("TCBInfo issue date is in the future", Error::NotYetValid),
    ("QE Identity issue date is in the future", Error::NotYetValid),
    ("TCBInfo expired", Error::Expired),
    ("QE Identity expired", Error::Expired),
    ("Signature is invalid for tcb_info", Error::Collateral),
    ("Signature is invalid for qe_identity", Error::Collateral),
    ("must be issued directly by the root CA", Error::Collateral),
    ("Failed to parse root CA CRL", Error::Collateral),
    ("Failed to parse PCK CRL", Error::Collateral),
    ("Failed to decode TcbInfo", Error::Collateral),
    ("Failed to decode QeIdentity", Error::Collateral),
    ("Failed to parse TCB Info", Error::Collateral),
    ("Failed to parse QE Identity", Error::Collateral),
    ("Certificate chain is too short for", Error::Collateral),
    ("Failed to decode TCB FMSPC", Error::Collateral),
    ("TDX TCB Info is missing tdxModule", Error::Collateral),
    ("component count mismatch", Error::Collateral),
    ("Unrecognized TCB status", Error::Collateral),
    ("Fmspc mismatch", Error::OtherPlatform),
    ("with non-TDX TCB info", Error::OtherPlatform),
    ("with non-SGX TCB info", Error::OtherPlatform),
    ("Unsupported QE Identity id/version", Error::OtherPlatform),
    // The quote's form.
    ("Failed to decode quote", Error::Unreadable),
    ("Invalid QE auth data length", Error::Unreadable),
    ("Unsupported DCAP quote version", Error::Unsupported),
    ("Unknown QE vendor ID", Error::Unsupported),
    ("Unsupported TEE type", Error::Unsupported),
    ("TEE quote must have version", Error::Unsupported),
    ("Unsupported DCAP attestation key type", Error::Unsupported),
    ("Unsupported DCAP PCK cert format", Error::Unsupported),
    // The platform's certificates.
    ("Failed to extract PCK certificates", Error::Chain),
    ("Certificate chain is too short in quote", Error::Chain),
    ("Too many intermediate certificates", Error::Chain),
    ("Failed to parse PCK certificate", Error::Chain),
    ("Failed to verify certificate chain", Error::Chain),
    ("Intel extension", Error::Chain),
    ("length mismatch", Error::Chain),
    // Signatures.
    ("Signature is invalid for qe_report", Error::Signature),
    ("QE report hash mismatch", Error::Signature),
    ("ISV enclave report signature is invalid", Error::Signature),
    // The TDX module, before the quoting enclave: both speak of MRSIGNER and of ISVSVN.
    ("TDX module MRSIGNER mismatch", Error::Module),
    ("TDX module SEAMATTRIBUTES", Error::Module),
    ("No TDX module identity", Error::Module),
    ("TDX module ISVSVN", Error::NoTcbLevel),
    ("No matching TCB level found", Error::NoTcbLevel),
    ("TCB status is invalid: Revoked", Error::TcbRevoked),
    ("MRSIGNER mismatch", Error::QuotingEnclave),
    ("ISVPRODID mismatch", Error::QuotingEnclave),
    ("MISCSELECT mismatch", Error::QuotingEnclave),
    ("ATTRIBUTES mismatch", Error::QuotingEnclave),
    ("below minimum", Error::QuotingEnclave),
    // What the library refuses whoever signed it.
    ("Reserved bits in TD attributes", Error::Attributes),
    ("TD migration is enabled", Error::Attributes),
    ("SERVTD_EXT is enabled", Error::Attributes),
    ("SEPT_VE_DISABLE is not enabled", Error::Attributes),
    ("Debug mode is enabled", Error::Attributes),
    ("TD profiling is enabled", Error::Attributes),
    ("Invalid MR service TD", Error::Attributes),
];

/// What a refusal stands for.
pub(super) fn classify(words: &str) -> Error {
    let row = REFUSALS.iter().find(|(known, _)| words.contains(known));
    row.map_or_else(|| Error::Refused(words.to_owned()), |(_, kind)| kind(words.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_stay_a_refusal() {
        assert_eq!(classify("something new"), Error::Refused("something new".to_owned()));
    }

    #[test]
    fn the_module_is_not_taken_for_the_quoting_enclave() {
        let module = classify("TDX module identity check: TDX module MRSIGNER mismatch: expected 00, got 01");
        assert!(matches!(module, Error::Module(_)));
        let svn = "TDX module TCB level check: TDX module ISVSVN 1 is below minimum required from TDX module TCB levels";
        assert!(matches!(classify(svn), Error::NoTcbLevel(_)));
        assert!(matches!(classify("ISVSVN 1 is below minimum required"), Error::QuotingEnclave(_)));
        assert!(matches!(classify("MRSIGNER mismatch: expected 00, got 01"), Error::QuotingEnclave(_)));
    }

    #[test]
    fn every_row_is_reached_by_its_own_words() {
        for (index, (words, _)) in REFUSALS.iter().enumerate() {
            let first = REFUSALS.iter().position(|(known, _)| words.contains(known));
            assert_eq!(first, Some(index), "{words}");
        }
    }
}
