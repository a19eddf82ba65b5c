//! Which checks of a gateway there are.

use dstack_check::CheckDef;

const LAYER: &str = "gateway";

/// Every check of [`Verifier::gateway`](crate::Verifier::gateway) besides those of the CVMs that the quotes are from,
/// parents before children. The last is that of each quote; the others are the gateway's own.
pub const GATEWAY_CHECKS: &[CheckDef] = &[
    CheckDef::new("gateway.acme-info.readable", "the gateway's AcmeInfo answer can be read")
        .layer(LAYER)
        .needs("the answer of AcmeInfo, also at /.dstack/acme-info")
        .why("it holds the gateway's ACME account and every certificate key it has had, with quotes")
        .proves("the answer has the form that AcmeInfo gives it")
        .leaves_open("that any of it is true"),
    CheckDef::new("gateway.account.quoted", "a quote binds the gateway's ACME account")
        .layer(LAYER)
        .parents(&["gateway.acme-info.readable"])
        .why("whoever has the account's key can have certificates issued where the CAA record names the account")
        .proves("the CVM that asked for the account's quote named this account")
        .leaves_open("whether that quote is genuine, and whether the domain's CAA record allows this account only"),
    CheckDef::new("gateway.account.cvm", "the CVM behind the ACME account stands the checks of a CVM")
        .layer(LAYER)
        .parents(&["gateway.account.quoted"])
        .why("a quote that nobody signed binds nothing")
        .proves("the evidence about the account passes the checks of a CVM under the policy")
        .leaves_open("that the account's key is still inside that CVM only"),
    CheckDef::new("gateway.certificate.readable", "the gateway's certificate can be read")
        .layer(LAYER)
        .needs("the certificates that the gateway shows over TLS")
        .proves("the leaf is an X.509 certificate")
        .leaves_open("whether a public authority issued it, which is what a browser checks"),
    CheckDef::new("gateway.certificate.quoted", "a quote binds the key of the gateway's certificate")
        .layer(LAYER)
        .parents(&["gateway.acme-info.readable", "gateway.certificate.readable"])
        .why("the gateway sees the traffic of every app behind it that does not terminate TLS itself")
        .proves("the CVM that asked for one of the quotes named the key of the certificate shown")
        .leaves_open("whether that quote is genuine, and that nobody else has the key"),
    CheckDef::new("gateway.certificate.cvm", "the CVM behind the certificate's key stands the checks of a CVM")
        .layer(LAYER)
        .parents(&["gateway.certificate.quoted"])
        .why("a quote that nobody signed binds nothing")
        .proves("the evidence about the key in use passes the checks of a CVM under the policy")
        .leaves_open("which apps the gateway routes to, and what it does with their traffic: its measured app-compose decides"),
    CheckDef::new("gateway.certificate.names", "the gateway's certificate is for its host name")
        .layer(LAYER)
        .parents(&["gateway.certificate.readable"])
        .why("a certificate for another name belongs to another service")
        .proves("one of the certificate's names covers the host name"),
    CheckDef::new("gateway.certificate.validity", "the gateway's certificate is valid now")
        .layer(LAYER)
        .parents(&["gateway.certificate.readable"])
        .why("clients refuse expired certificates")
        .proves("the time of the check lies within the certificate's validity"),
    CheckDef::new("gateway.history", "a quote binds each certificate key that the gateway has had")
        .layer(LAYER)
        .parents(&["gateway.acme-info.readable"])
        .why("a certificate that is in the public logs and whose key was never quoted was made outside")
        .proves("each key listed came with a quote whose report data names it")
        .leaves_open("that the list is complete: only the certificate transparency logs tell of certificates that it lacks"),
    CheckDef::new("gateway.evidence.binding", "the quote binds what it was shown for")
        .layer(LAYER)
        .parents(&["quote.readable"])
        .why("else a quote made for something else could be shown")
        .proves("the CVM that asked for the quote named this key or this account")
        .leaves_open("whether the quote is genuine, which is what quote.signature says"),
];

const SPLIT: (&[CheckDef], &[CheckDef]) = GATEWAY_CHECKS.split_at(GATEWAY_CHECKS.len() - 1);
/// Those of the gateway's own report.
pub(super) const OWN: &[CheckDef] = SPLIT.0;
/// Those of each quote's report.
pub(super) const OF_EVIDENCE: &[CheckDef] = SPLIT.1;
