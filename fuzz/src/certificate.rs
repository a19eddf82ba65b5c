//! RA-TLS certificates: the extensions that are read come from the bytes.

use dstack_attestation::ra_tls::{Chain, RaTlsCertificate};
use dstack_attestation::{CertificateEvidence, Policy, Verifier};
use dstack_check::Verdict;

use crate::quote::now;

/// Takes any bytes for a certificate in DER, and for certificates in PEM.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = RaTlsCertificate::all_from_pem(text);
    }
    if let Ok(certificate) = RaTlsCertificate::from_der(data) {
        assert_eq!(certificate.der, data, "a certificate is its bytes");
        assert!(data.windows(certificate.public_key.len()).any(|part| part == certificate.public_key));
        assert!(certificate.usage.iter().all(|usage| usage.len() < data.len()));
        for payload in
            [&certificate.attestation_blob, &certificate.quote, &certificate.app_info].into_iter().flatten()
        {
            assert!(payload.is_empty() || data.windows(payload.len()).any(|part| part == payload));
        }
        let shown = [certificate.clone(), certificate];
        let _ = Chain::new(&shown).problems();
    }
    let mut evidence = CertificateEvidence::default();
    evidence.chain = vec![data.to_vec(), data.to_vec()];
    evidence.root = Some(data.to_vec());
    let verifier = Verifier::new(Policy::new().danger_accept_emulated(true), now());
    assert_ne!(verifier.certificate("fuzz", &evidence).verdict(), Verdict::Ok);
}
