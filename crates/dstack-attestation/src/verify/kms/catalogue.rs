//! Which checks of a KMS there are.

use dstack_check::CheckDef;

const LAYER: &str = "kms";

/// Every check of [`Verifier::kms`](crate::Verifier::kms) besides those of the CVM that the KMS's keys were made in,
/// parents before children.
pub const KMS_CHECKS: &[CheckDef] = &[
    CheckDef::new("kms.bootstrap.readable", "the KMS's bootstrap answer can be read")
        .layer(LAYER)
        .needs("the answer of Onboard.Bootstrap, or GetMeta's bootstrap_info")
        .why("it holds the two root keys and the attestation that binds them")
        .proves("the answer has two public keys and an attestation that can be read, or none")
        .leaves_open("that any of it is true"),
    CheckDef::new("kms.bootstrap.curve", "the root keys are a P-256 key and a secp256k1 key")
        .layer(LAYER)
        .parents(&["kms.bootstrap.readable"])
        .why("a text in place of a key cannot have been made by a KMS, and nobody could check a signature with it")
        .proves("both are points on their curves, written in the one form that dstack uses")
        .leaves_open("who has the private keys"),
    CheckDef::new("kms.bootstrap.key-match", "the quote binds the KMS's root keys")
        .layer(LAYER)
        .parents(&["kms.bootstrap.readable", "quote.readable"])
        .why("without the binding, somebody can show their own keys next to the quote of a genuine KMS")
        .proves("the CVM that asked for the quote named exactly these two root keys")
        .leaves_open("whether the quote is genuine, which is what quote.signature says, and who got the private keys since"),
    CheckDef::new("kms.meta.readable", "the KMS's GetMeta answer can be read")
        .layer(LAYER)
        .needs("the answer of KMS.GetMeta")
        .why("it is what the KMS says about itself today")
        .proves("the answer has the form that GetMeta gives it")
        .leaves_open("that any of it is true: nothing signs it"),
    CheckDef::new("kms.meta.keys", "the KMS uses the root keys that were bootstrapped")
        .layer(LAYER)
        .parents(&["kms.bootstrap.readable", "kms.meta.readable"])
        .why("apps get their keys from those that the KMS names today, not from those of its bootstrap")
        .proves("GetMeta's root CA certificate and k256 key hold the public keys of the bootstrap")
        .leaves_open("that whoever answers has the private keys, which its TLS certificate has to show"),
    CheckDef::new("kms.meta.bootstrap-info", "the KMS shows how its keys were made")
        .layer(LAYER)
        .parents(&["kms.meta.readable"])
        .why("whoever asks the KMS later has no other way to see that its keys were made inside a CVM")
        .proves("GetMeta carries a bootstrap answer about the root keys in use")
        .leaves_open("whether the attestation in it is genuine"),
    CheckDef::new("kms.meta.production", "the KMS asks an authorization service before it gives out keys")
        .layer(LAYER)
        .parents(&["kms.meta.readable"])
        .why("with development authorization it gives every app's keys to everybody who shows any quote")
        .proves("the KMS says that it runs with an authorization service and names a gateway")
        .leaves_open("what that service allows, and whether the KMS says the truth: its measured app-compose decides"),
    CheckDef::new("kms.registered.keys", "the root keys are those registered for this KMS")
        .layer(LAYER)
        .parents(&["kms.bootstrap.readable"])
        .needs("the keys from where they are registered, such as the KMS's contract")
        .why("a genuine KMS may still be somebody else's")
        .proves("the bootstrapped root keys are the ones that were named as expected")
        .leaves_open("who registered them, and whether that is to be trusted"),
    CheckDef::new("kms.certificate.readable", "the KMS's TLS certificate can be read")
        .layer(LAYER)
        .needs("the certificates that the KMS shows over TLS")
        .proves("the leaf is an X.509 certificate")
        .leaves_open("whether the host that showed it has its private key: only the TLS handshake shows that"),
    CheckDef::new("kms.certificate.root", "the KMS's TLS certificate was issued with the KMS's root key")
        .layer(LAYER)
        .parents(&["kms.certificate.readable"])
        .why("guests trust what stands under the root CA; another CA means another KMS, or somebody in between")
        .proves("the root CA's key signed the certificate that the host showed")
        .leaves_open("which of the services under this root CA the certificate is for: apps have certificates under it too"),
    CheckDef::new("kms.certificate.validity", "the KMS's TLS certificate is valid now")
        .layer(LAYER)
        .parents(&["kms.certificate.readable"])
        .why("clients refuse expired certificates")
        .proves("the time of the check lies within the certificate's validity"),
    CheckDef::new("kms.certificate.usage", "the KMS's TLS certificate is for its RPC")
        .layer(LAYER)
        .parents(&["kms.certificate.readable"])
        .why("apps have certificates under the same root CA; guests accept only one that is made out for kms:rpc")
        .proves("the certificate carries the special usage kms:rpc")
        .leaves_open("who issued it, which is what kms.certificate.root says"),
    CheckDef::new("kms.certificate.names", "the KMS's TLS certificate is for its host name")
        .layer(LAYER)
        .parents(&["kms.certificate.readable"])
        .why("guests connect by name and refuse a certificate for another")
        .proves("one of the certificate's names covers the host name"),
    CheckDef::new("kms.certificate.key-binding", "the attestation in the TLS certificate binds its key")
        .layer(LAYER)
        .parents(&["kms.certificate.readable"])
        .why("else an attestation could be copied from another certificate")
        .proves("the CVM that asked for the quote in the certificate named the certificate's key")
        .leaves_open("whether that quote is genuine, which is what kms.certificate.cvm says"),
    CheckDef::new("kms.certificate.cvm", "the CVM that has the TLS certificate's key stands the same checks")
        .layer(LAYER)
        .parents(&["kms.certificate.key-binding"])
        .why("the root keys may have been made in one CVM and be used in another")
        .proves("the evidence in the TLS certificate passes the checks of a CVM under the same policy")
        .leaves_open("whether more CVMs have the root keys: a KMS passes them on to others by onboarding"),
    CheckDef::new("kms.env-key", "the env key is signed with the KMS's root key")
        .layer(LAYER)
        .needs("an answer of KMS.GetAppEnvEncryptPubKey and the KMS's k256 key")
        .why("the VMM passes the env key on and could put in its own, with which it can read every secret")
        .proves("the root key signed this env key for this app")
        .leaves_open("whether the root key is that of a genuine KMS, which is what kms.bootstrap.key-match says"),
];
