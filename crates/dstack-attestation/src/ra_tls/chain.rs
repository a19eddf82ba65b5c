//! Who signed a certificate: from a leaf to the CA at the end.

use std::fmt;

use x509_parser::error::X509Error;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};

use super::RaTlsCertificate;
use super::read::parse;

/// The largest number of certificates in a chain.
pub const MAX_CHAIN: usize = 16;

/// Something in a chain of certificates that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainProblem {
    /// There is no certificate.
    Empty,
    /// There are more than [`MAX_CHAIN`].
    TooLong,
    /// A certificate names another issuer than the one that follows.
    Issuer {
        /// The certificate, from 0 for the leaf.
        index: usize,
        /// The issuer it names.
        names: String,
        /// The subject that follows.
        follows: String,
    },
    /// The key of the issuer did not sign the certificate.
    Signature {
        /// The certificate, from 0 for the leaf.
        index: usize,
        /// What is wrong with the signature, in words.
        reason: String,
    },
    /// A signature is of an algorithm that cannot be checked here. Whether it holds is not known.
    Algorithm {
        /// The certificate, from 0 for the leaf.
        index: usize,
    },
    /// A certificate that is no CA's signs another one.
    NotCa {
        /// The certificate that signs, from 0 for the leaf.
        index: usize,
    },
    /// A CA signs a certificate although its key usage does not let it.
    MayNotSign {
        /// The certificate that signs, from 0 for the leaf.
        index: usize,
    },
    /// More CAs stand below a CA than it allows.
    PathLength {
        /// The CA, from 0 for the leaf.
        index: usize,
        /// How many it allows.
        allows: u32,
        /// How many there are.
        below: usize,
    },
    /// A certificate has a critical extension that is not known, so that it must not be relied on (RFC 5280, 4.2).
    Critical {
        /// The certificate, from 0 for the leaf.
        index: usize,
        /// The extension's object identifier.
        extension: String,
    },
}

impl fmt::Display for ChainProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no certificate"),
            Self::TooLong => write!(f, "there are more than {MAX_CHAIN} certificates"),
            Self::Issuer { index, names, follows } => {
                write!(f, "certificate {index} names {names:?} as its issuer, and {follows:?} follows")
            }
            Self::Signature { index, reason } => {
                write!(f, "certificate {index} is not signed by its issuer: {reason}")
            }
            Self::Algorithm { index } => {
                write!(f, "certificate {index} is signed with an algorithm that cannot be checked here")
            }
            Self::NotCa { index } => write!(f, "certificate {index} signs another one and is no CA"),
            Self::MayNotSign { index } => {
                write!(f, "certificate {index} signs another one, which its key usage does not allow")
            }
            Self::PathLength { index, allows, below } => {
                write!(f, "certificate {index} allows {allows} CAs below it and has {below}")
            }
            Self::Critical { index, extension } => {
                write!(f, "certificate {index} has the critical extension {extension}, which is not known")
            }
        }
    }
}

/// Certificates from a leaf to a CA, as somebody showed them.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    shown: &'a [RaTlsCertificate],
    root: Option<&'a RaTlsCertificate>,
}

impl<'a> Chain<'a> {
    /// These certificates, the leaf first.
    pub const fn new(shown: &'a [RaTlsCertificate]) -> Self {
        Self { shown, root: None }
    }

    /// Completes the chain with the certificate of a CA, where its last certificate names that CA as its issuer and is
    /// not at an end itself.
    #[must_use]
    pub fn completed_by(mut self, root: &'a RaTlsCertificate) -> Self {
        let last = self.shown.last();
        if last.is_some_and(|last| !last.is_self_issued() && names_as_issuer(last, root)) {
            self.root = Some(root);
        }
        self
    }

    /// The certificates from the leaf on.
    pub fn certificates(&self) -> impl Iterator<Item = &'a RaTlsCertificate> {
        self.shown.iter().chain(self.root).take(MAX_CHAIN + 1)
    }

    /// The leaf.
    pub fn leaf(&self) -> Option<&'a RaTlsCertificate> {
        self.shown.first()
    }

    /// The last certificate, when it is one that its own key signed. A chain without is incomplete: somebody who was not
    /// shown stands behind it.
    pub fn top(&self) -> Option<&'a RaTlsCertificate> {
        let last = self.root.or(self.shown.last())?;
        (last.is_self_issued() && signed_by(last, last).is_ok()).then_some(last)
    }

    /// Everything about the chain that does not hold, except for validity in time, and who is trusted. Signatures are
    /// checked with the algorithms that the X.509 library knows: ECDSA with P-256 and P-384, Ed25519, RSA.
    pub fn problems(&self) -> Vec<ChainProblem> {
        if self.shown.is_empty() {
            return vec![ChainProblem::Empty];
        }
        if self.shown.len() + usize::from(self.root.is_some()) > MAX_CHAIN {
            return vec![ChainProblem::TooLong];
        }
        let certificates: Vec<&RaTlsCertificate> = self.certificates().collect();
        let mut found = Vec::new();
        for (index, certificate) in certificates.iter().enumerate() {
            let critical = certificate.unknown_critical.iter();
            found.extend(
                critical.map(|extension| ChainProblem::Critical { index, extension: extension.clone() }),
            );
            if let Some(issuer) = certificates.get(index + 1) {
                if !names_as_issuer(certificate, issuer) {
                    found.push(ChainProblem::Issuer {
                        index,
                        names: certificate.issuer.clone(),
                        follows: issuer.subject.clone(),
                    });
                }
                found.extend(signature_problem(index, certificate, issuer));
            } else if certificate.is_self_issued() {
                found.extend(signature_problem(index, certificate, certificate));
            }
            if index > 0 {
                found.extend(authority_problem(index, certificate));
            }
        }
        found
    }
}

/// What keeps a certificate that is not the leaf from standing where it stands.
fn authority_problem(index: usize, certificate: &RaTlsCertificate) -> Option<ChainProblem> {
    // Below the first CA stands the leaf, which is not counted (RFC 5280, 4.2.1.9).
    let below = index - 1;
    if !certificate.is_ca {
        return Some(ChainProblem::NotCa { index });
    }
    if certificate.may_sign == Some(false) {
        return Some(ChainProblem::MayNotSign { index });
    }
    let allows = certificate.path_length.filter(|allows| below as u64 > u64::from(*allows))?;
    Some(ChainProblem::PathLength { index, allows, below })
}

fn names_as_issuer(certificate: &RaTlsCertificate, issuer: &RaTlsCertificate) -> bool {
    match (parse(&certificate.der), parse(&issuer.der)) {
        (Ok(certificate), Ok(issuer)) => certificate.issuer().as_raw() == issuer.subject().as_raw(),
        _ => false,
    }
}

pub(super) fn is_self_issued(certificate: &RaTlsCertificate) -> bool {
    names_as_issuer(certificate, certificate)
}

/// Why the key of `issuer` cannot be said to have signed `certificate`.
enum Unsigned {
    Algorithm,
    Reason(String),
}

fn signature_problem(
    index: usize,
    certificate: &RaTlsCertificate,
    issuer: &RaTlsCertificate,
) -> Option<ChainProblem> {
    Some(match signed_by(certificate, issuer).err()? {
        Unsigned::Algorithm => ChainProblem::Algorithm { index },
        Unsigned::Reason(reason) => ChainProblem::Signature { index, reason },
    })
}

fn signed_by(certificate: &RaTlsCertificate, issuer: &RaTlsCertificate) -> Result<(), Unsigned> {
    let unreadable = |error: super::CertificateError| Unsigned::Reason(error.to_string());
    let certificate = parse(&certificate.der).map_err(unreadable)?;
    let issuer = parse(&issuer.der).map_err(unreadable)?;
    let algorithm = &certificate.signature_algorithm;
    // The algorithm stands in the certificate twice, once where it is signed; they must agree (RFC 5280, 4.1.1.2).
    if *algorithm != certificate.tbs_certificate.signature {
        return Err(Unsigned::Reason("it names two signature algorithms".to_owned()));
    }
    // The library still takes signatures over SHA-1 hashes, for which collisions can be made.
    if algorithm.algorithm == OID_PKCS1_SHA1WITHRSA || algorithm.algorithm == OID_SHA1_WITH_RSA {
        return Err(Unsigned::Reason("its signature is over a SHA-1 hash".to_owned()));
    }
    certificate.verify_signature(Some(issuer.public_key())).map_err(|error| match error {
        X509Error::SignatureUnsupportedAlgorithm => Unsigned::Algorithm,
        X509Error::SignatureVerificationError => {
            Unsigned::Reason("the signature is not one of the issuer's key over it".to_owned())
        }
        _ => Unsigned::Reason("the signature or the issuer's key cannot be read".to_owned()),
    })
}
