//! Are the keys of a gateway's certificates, and its ACME account, held by genuine CVMs?

mod acme_info;
mod catalogue;
mod checks;

use dstack_check::{Catalogue, Report, ReportSet};

pub use catalogue::GATEWAY_CHECKS;

use super::certificate::Presented;
use super::cvm::Part;
use super::{CvmEvidence, Verifier};
use crate::quote::emulated;
use crate::ra_tls::RaTlsCertificate;
use crate::report_data::{self, ReportData};

use acme_info::{AcmeInfo, Quoted, QuotedKey};

/// What a gateway hands out about its certificates, as it was received. Nothing in here has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayEvidence {
    /// The JSON answer of `AcmeInfo` (also at `/.dstack/acme-info`).
    pub acme_info: Option<String>,
    /// The certificates (DER, the leaf first) that the gateway shows for its domain.
    pub tls_chain: Vec<Vec<u8>>,
    /// The host name that the certificate must be for. For a gateway's base domain `example.com`, any name under it,
    /// such as `gateway.example.com`, since the certificate is for `*.example.com`.
    pub domain: Option<String>,
    /// The version texts of the services the evidence came through. An emulator says so in its own.
    pub service_versions: Vec<String>,
}

impl GatewayEvidence {
    /// No evidence yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Verifier {
    /// Judges a gateway.
    ///
    /// The first report is the gateway's own: its ACME account, the certificate it shows and the keys it has had. One
    /// report follows for each quote that it hands out, with the checks of the CVM that asked for it; their subjects
    /// begin with `name`. At most 256 historical keys get one; the key in use always does.
    pub fn gateway(&self, name: impl Into<String>, evidence: &GatewayEvidence) -> ReportSet {
        let name = name.into();
        let gateway = Gateway::read(self, evidence, &name);
        // A test constructs the same catalogue: ids, parents and order are constants.
        let catalogue = Catalogue::new(catalogue::OWN.iter().copied()).expect("the checks form a catalogue");
        let report = Report::evaluate(name, &catalogue, |check| checks::judge(check, &gateway));
        let marked = |report: &Report| report.meta().contains_key("evidence");
        let emulated = gateway.account.iter().chain(gateway.keys.iter().flatten()).any(marked)
            || evidence.service_versions.iter().any(|version| emulated::is_emulated_version(version));
        let report = if emulated { report.with_meta("evidence", "EMULATED") } else { report };
        let mut set = ReportSet::new();
        for report in std::iter::once(report).chain(gateway.account).chain(gateway.keys.into_iter().flatten())
        {
            // Subjects are numbered, so that none is there twice.
            let _ = set.insert(report);
        }
        set
    }

    /// Judges a quote that has to bind something.
    fn quoted(
        &self,
        name: String,
        evidence: &GatewayEvidence,
        quoted: &CvmEvidence,
        binds: &Binds,
    ) -> Report {
        let mut quoted = quoted.clone();
        quoted.service_versions.extend(evidence.service_versions.iter().cloned());
        self.cvm(name, &quoted, catalogue::OF_EVIDENCE, |check, subject| {
            checks::binding(check, subject, binds)
        })
    }
}

/// What the report data of a quote has to be, and what for.
struct Binds {
    what: String,
    expected: ReportData,
}

impl Binds {
    fn account(uri: &str) -> Self {
        Self { what: format!("the ACME account {uri}"), expected: report_data::acme_account(uri) }
    }

    fn key(public_key: &[u8]) -> Self {
        Self { what: "the certificate's key".to_owned(), expected: report_data::zt_cert(public_key) }
    }
}

/// The evidence, read, and the reports about its quotes.
struct Gateway<'a> {
    evidence: &'a GatewayEvidence,
    verifier: &'a Verifier,
    info: Option<Result<AcmeInfo, String>>,
    /// The certificates that the gateway showed, the leaf first.
    chain: Part<Presented>,
    account: Option<Report>,
    /// By the place in [`AcmeInfo::keys`].
    keys: Vec<Option<Report>>,
}

impl<'a> Gateway<'a> {
    fn read(verifier: &'a Verifier, evidence: &'a GatewayEvidence, name: &str) -> Self {
        let chain = Presented::read(&evidence.tls_chain, None);
        let live = leaf(&chain).map(|leaf| leaf.public_key.as_slice());
        let info = evidence.acme_info.as_deref().map(|json| AcmeInfo::read(json, live));
        let (mut account, mut keys) = (None, Vec::new());
        if let Some(Ok(info)) = &info {
            if let Some(Ok(quoted)) = &info.account {
                let name = format!("{name}: ACME account");
                account = Some(verifier.quoted(name, evidence, quoted, &Binds::account(&info.account_uri)));
            }
            for key in &info.keys {
                let in_use =
                    if key.public_key.as_deref().ok() == live && live.is_some() { ", in use" } else { "" };
                let name = format!("{name}: certificate key {} of {}{in_use}", key.number, info.listed);
                keys.push(match (&key.public_key, &key.evidence) {
                    (Ok(public_key), Some(Ok(quoted))) => {
                        Some(verifier.quoted(name, evidence, quoted, &Binds::key(public_key)))
                    }
                    _ => None,
                });
            }
        }
        Self { evidence, verifier, info, chain, account, keys }
    }

    fn leaf(&self) -> Option<&RaTlsCertificate> {
        leaf(&self.chain)
    }

    fn info(&self) -> Option<&AcmeInfo> {
        self.info.as_ref().and_then(|read| read.as_ref().ok())
    }

    /// The keys with the reports about their quotes.
    fn quoted_keys(&self) -> impl Iterator<Item = (&QuotedKey, Option<&Report>)> {
        let keys = self.info().map(|info| info.keys.as_slice()).unwrap_or_default();
        keys.iter().zip(self.keys.iter().map(Option::as_ref))
    }
}

fn leaf(chain: &Part<Presented>) -> Option<&RaTlsCertificate> {
    match chain {
        Part::Read(presented) => presented.leaf(),
        Part::Absent | Part::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cvm_checks;

    #[test]
    fn the_checks_form_catalogues() {
        assert!(Catalogue::new(catalogue::OWN.iter().copied()).is_ok());
        assert!(Catalogue::new(cvm_checks().chain(catalogue::OF_EVIDENCE.iter().copied())).is_ok());
        assert_eq!(GATEWAY_CHECKS.len(), catalogue::OWN.len() + catalogue::OF_EVIDENCE.len());
    }
}
