//! Was the key of a custom domain's certificate made inside a genuine CVM?
//!
//! An ingress (upstream's `dstack-ingress`) publishes a directory: `quote.json`, an answer of the guest agent's
//! `GetQuote` whose report data is the SHA-256 of `sha256sum.txt`, padded with zeros; `sha256sum.txt` with the digests of
//! the rest; `cert-*.pem`, the certificates that it has had issued; and `acme-account.json`, the account it did so with.

mod catalogue;
mod checks;

use std::collections::BTreeMap;

use dstack_check::Report;

pub use catalogue::INGRESS_CHECKS;

use super::certificate::Presented;
use super::cvm::Part;
use super::{CvmEvidence, Verifier, quoted};
use crate::image::{ChecksumLine, Checksums};
use crate::ra_tls::{HostName, RaTlsCertificate};

/// The evidence directory of an ingress: `quote.json`, `sha256sum.txt`, and the files named in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IngressEvidence {
    /// The files by name, with their bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The host name that the certificate must be for.
    pub domain: Option<String>,
    /// The certificates (DER, the leaf first) that the host shows.
    pub tls_chain: Vec<Vec<u8>>,
    /// What else is known about the CVM, such as its guest agent's `Info`. Its quote and event log are replaced by those
    /// of `quote.json`.
    pub cvm: CvmEvidence,
}

impl IngressEvidence {
    /// No evidence yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file of the evidence directory.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.into(), bytes.into());
        self
    }
}

impl Verifier {
    /// Judges an ingress.
    pub fn ingress(&self, name: impl Into<String>, evidence: &IngressEvidence) -> Report {
        let ingress = Ingress::read(evidence);
        let quoted = match &ingress.quote {
            Some(Ok(quoted)) => quoted.clone(),
            Some(Err(_)) | None => CvmEvidence::new(),
        };
        let cvm = quoted::in_context(quoted, &evidence.cvm);
        self.cvm(name, &cvm, INGRESS_CHECKS, |check, subject| checks::judge(check, &ingress, subject))
    }
}

const QUOTE: &str = "quote.json";
const CHECKSUMS: &str = "sha256sum.txt";
const ACCOUNT: &str = "acme-account.json";

/// How many certificate files are read.
const MAX_CERTIFICATES: usize = 256;

/// The evidence, read. `None` for what is not there.
struct Ingress<'a> {
    evidence: &'a IngressEvidence,
    quote: Option<Result<CvmEvidence, String>>,
    listed: Option<Result<Checksums, String>>,
    /// The certificates that the host showed, the leaf first.
    chain: Part<Presented>,
}

/// A certificate of the evidence that is in question.
enum Found {
    /// The file's name, and the leaf in it.
    Certificate(String, Box<RaTlsCertificate>),
    /// Why there is none, although it may be elsewhere.
    Unknown(String),
    /// What the certificates there are for.
    ForOthers(Vec<String>),
}

impl<'a> Ingress<'a> {
    fn read(evidence: &'a IngressEvidence) -> Self {
        let quote = evidence.files.get(QUOTE).map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => quoted::quote(QUOTE, text),
            Err(_) => Err(format!("{QUOTE} is not a text")),
        });
        let listed = evidence.files.get(CHECKSUMS).map(|bytes| {
            Checksums::parse(bytes).map_err(|error| format!("{CHECKSUMS} cannot be read: {error}"))
        });
        let chain = Presented::read(&evidence.tls_chain, None);
        Self { evidence, quote, listed, chain }
    }

    fn live(&self) -> Option<&RaTlsCertificate> {
        match &self.chain {
            Part::Read(presented) => presented.leaf(),
            Part::Absent | Part::Unreadable(_) => None,
        }
    }

    fn listed(&self) -> &[ChecksumLine] {
        match &self.listed {
            Some(Ok(listed)) => listed.lines(),
            Some(Err(_)) | None => &[],
        }
    }

    fn is_listed(&self, name: &str) -> bool {
        self.listed().iter().any(|line| line.name == name)
    }

    /// The listed certificate that is in question: for the domain, where one is named; of several the one that is shown.
    fn certificate(&self) -> Found {
        let names = self
            .evidence
            .files
            .keys()
            .filter(|name| name.starts_with("cert-") && name.ends_with(".pem") && self.is_listed(name));
        let (mut read, mut unreadable) = (Vec::new(), None);
        for name in names.take(MAX_CERTIFICATES) {
            match self.leaf_of(name) {
                Ok(leaf) => read.push((name, leaf)),
                Err(why) => unreadable = Some(why),
            }
        }
        let host = self.evidence.domain.as_deref().map(HostName::new);
        let all: Vec<String> = read.iter().flat_map(|(_, leaf)| leaf.dns_names.clone()).take(8).collect();
        read.retain(|(_, leaf)| host.as_ref().is_none_or(|host| leaf.covers(host)));
        let live = self.live();
        let rank = |leaf: &RaTlsCertificate| match live {
            Some(live) if live.der == leaf.der => 0,
            Some(live) if live.public_key == leaf.public_key => 1,
            Some(_) | None => 2,
        };
        read.sort_by_key(|(_, leaf)| rank(leaf));
        let several =
            read.len() > 1 && host.is_none() && read.first().is_some_and(|(_, leaf)| rank(leaf) == 2);
        match read.into_iter().next() {
            Some(_) if several => {
                Found::Unknown("there are certificates for several domains, and none was named".to_owned())
            }
            Some((name, leaf)) => Found::Certificate(name.clone(), Box::new(leaf)),
            None => match unreadable {
                Some(why) => Found::Unknown(why),
                None if all.is_empty() => Found::Unknown("there is no listed cert-*.pem".to_owned()),
                None => Found::ForOthers(all),
            },
        }
    }

    fn leaf_of(&self, name: &str) -> Result<RaTlsCertificate, String> {
        let bytes = self.evidence.files.get(name).map(Vec::as_slice).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|_| format!("{name} is not PEM"))?;
        let read = RaTlsCertificate::all_from_pem(text).map_err(|error| format!("{name}: {error}"))?;
        read.into_iter().next().ok_or_else(|| format!("{name} holds no certificate"))
    }
}
