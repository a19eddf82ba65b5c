//! What KMS, gateway and ingress hand out about themselves: any documents have an answer, and none is yes.

use dstack_attestation::{GatewayEvidence, IngressEvidence, KmsEvidence, Policy, Verifier};
use dstack_check::Verdict;

use crate::quote::now;

/// Takes bytes for the documents of a KMS, a gateway and an ingress. Parts are told apart by NUL bytes.
pub fn run(data: &[u8]) {
    let parts: Vec<&[u8]> = data.splitn(4, |byte| *byte == 0).collect();
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    let text = |index: usize| std::str::from_utf8(part(index)).ok().map(ToOwned::to_owned);
    let verifier = Verifier::new(Policy::new().danger_accept_emulated(true), now());

    let mut kms = KmsEvidence::default();
    kms.bootstrap = text(0);
    kms.meta = text(1);
    kms.tls_chain = vec![part(2).to_vec()];
    kms.registered_k256 = Some(part(3).to_vec());
    assert_ne!(verifier.kms("fuzz", &kms).verdict(), Verdict::Ok);

    let mut gateway = GatewayEvidence::default();
    gateway.acme_info = text(0);
    gateway.tls_chain = vec![part(1).to_vec()];
    assert_ne!(verifier.gateway("fuzz", &gateway).verdict(), Verdict::Ok);

    let mut ingress = IngressEvidence::default();
    for (name, index) in
        [("quote.json", 0), ("sha256sum.txt", 1), ("cert-example.com.pem", 2), ("acme-account.json", 3)]
    {
        ingress.files.insert(name.to_owned(), part(index).to_vec());
    }
    ingress.domain = Some("example.com".to_owned());
    ingress.tls_chain = vec![part(2).to_vec()];
    assert_ne!(verifier.ingress("fuzz", &ingress).verdict(), Verdict::Ok);
}
