//! Which checks of an ingress there are.

use dstack_check::CheckDef;

const LAYER: &str = "ingress";

/// Every check of [`Verifier::ingress`](crate::Verifier::ingress) besides those of the CVM that the quote is from, parents
/// before children.
pub const INGRESS_CHECKS: &[CheckDef] = &[
    CheckDef::new("ingress.quote-file", "the ingress's quote.json can be read")
        .layer(LAYER)
        .needs("the file quote.json of the ingress's evidence")
        .proves("the file is an answer of the guest agent's GetQuote")
        .leaves_open("that the quote in it is genuine"),
    CheckDef::new("ingress.checksums", "each file of the evidence has the digest that sha256sum.txt lists")
        .layer(LAYER)
        .needs("the file sha256sum.txt of the ingress's evidence, and the files named in it")
        .why("the quote binds the list, and the list binds the files")
        .proves("every file listed is here, with the digest listed")
        .leaves_open("who wrote the list, which is what ingress.quote-binding says"),
    CheckDef::new("ingress.quote-binding", "the quote binds sha256sum.txt")
        .layer(LAYER)
        .parents(&["quote.readable", "ingress.quote-file"])
        .why("else the quote of a genuine ingress could be shown next to other certificates")
        .proves("the CVM that asked for the quote named exactly this list of digests")
        .leaves_open("whether the quote is genuine, which is what quote.signature says, and that the CVM made the keys itself: its measured app-compose decides"),
    CheckDef::new("ingress.certificate", "the evidence holds a certificate for the domain")
        .layer(LAYER)
        .parents(&["ingress.checksums"])
        .why("evidence of another domain says nothing about this one")
        .proves("a certificate for the domain is among the files listed")
        .leaves_open("that it is the one in use, which is what ingress.live says"),
    CheckDef::new("ingress.live", "the host shows the certificate of the evidence")
        .layer(LAYER)
        .parents(&["ingress.certificate"])
        .needs("the certificates that the host shows over TLS")
        .why("the evidence is about a certificate; whoever answers for the domain may have another")
        .proves("the host shows the certificate that the quote binds")
        .leaves_open("that other visitors are shown the same, and that no other certificate for the domain exists"),
    CheckDef::new("ingress.validity", "the certificate is valid now")
        .layer(LAYER)
        .parents(&["ingress.certificate"])
        .why("clients refuse expired certificates")
        .proves("the time of the check lies within the certificate's validity"),
    CheckDef::new("ingress.account", "the evidence names the ACME account")
        .layer(LAYER)
        .parents(&["ingress.checksums"])
        .why("a CAA record that allows this account only keeps everybody else from getting a certificate for the domain")
        .proves("the quote binds a file that names this account")
        .leaves_open("whether the domain's CAA record names it: compare the URI with the record's accounturi"),
];
