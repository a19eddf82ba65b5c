//! Certificates that somebody presented, and what can be said about them. The findings are those of the check that the
//! caller names, so that reports about a KMS can have checks of their own over the same questions.

use std::time::{SystemTime, UNIX_EPOCH};

use dstack_check::{CheckDef, Finding, Fix};

use crate::fixed_bytes::decode_hex;
use crate::hash;
use crate::quote::TdxQuote;
use crate::ra_tls::{Chain, ChainProblem, HostName, RaTlsCertificate};
use crate::verify::cvm::{Part, list};
use x509_parser::time::ASN1Time;

/// The certificates that were presented, the leaf first.
pub(in crate::verify) struct Presented {
    certificates: Vec<RaTlsCertificate>,
    /// The CA that the caller trusts, if one was given and can be read.
    root: Part<RaTlsCertificate>,
}

impl Presented {
    /// Reads the certificates (DER, the leaf first) and the root that the caller trusts. The first that cannot be read
    /// makes the whole unreadable.
    pub(in crate::verify) fn read(chain: &[Vec<u8>], root: Option<&[u8]>) -> Part<Self> {
        if chain.is_empty() {
            return Part::Absent;
        }
        if chain.len() > crate::ra_tls::MAX_CHAIN {
            return Part::Unreadable(ChainProblem::TooLong.to_string());
        }
        let mut certificates = Vec::new();
        for (index, der) in chain.iter().enumerate() {
            match RaTlsCertificate::from_der(der) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => return Part::Unreadable(format!("certificate {index}: {error}")),
            }
        }
        Part::Read(Self { certificates, root: Part::of(root.map(RaTlsCertificate::from_der)) })
    }

    /// The certificate of whoever presented the chain.
    pub(in crate::verify) fn leaf(&self) -> Option<&RaTlsCertificate> {
        self.certificates.first()
    }

    fn chain(&self) -> Chain<'_> {
        let chain = Chain::new(&self.certificates);
        match &self.root {
            Part::Read(root) => chain.completed_by(root),
            Part::Absent | Part::Unreadable(_) => chain,
        }
    }

    /// What can be read: names and extensions.
    pub(in crate::verify) fn readable(&self, check: &CheckDef) -> Finding {
        let mut finding = check.pass();
        for (index, certificate) in self.certificates.iter().enumerate() {
            finding = finding.evidence(
                format!("certificate {index}"),
                format!(
                    "subject {:?}, issuer {:?}, serial {}",
                    certificate.subject, certificate.issuer, certificate.serial
                ),
            );
        }
        let count = self.certificates.len();
        finding = finding.observed(match count {
            1 => "1 certificate".to_owned(),
            _ => format!("{count} certificates"),
        });
        let unwrapped: Vec<String> =
            self.certificates.iter().flat_map(|found| &found.unwrapped).map(ToString::to_string).collect();
        if unwrapped.is_empty() {
            return finding;
        }
        finding.evidence("extensions without an OCTET STRING of their own", unwrapped.join(", "))
    }

    /// Whether each certificate is signed by the next.
    pub(in crate::verify) fn chain_holds(&self, check: &CheckDef) -> Finding {
        let chain = self.chain();
        let problems = chain.problems();
        let subjects: Vec<&str> = chain.certificates().map(|found| found.subject.as_str()).collect();
        let path = subjects.join(" <- ");
        let (unchecked, broken): (Vec<&ChainProblem>, Vec<&ChainProblem>) =
            problems.iter().partition(|problem| matches!(problem, ChainProblem::Algorithm { .. }));
        if !broken.is_empty() {
            return check
                .fail()
                .observed(list(&broken))
                .expected("each certificate signed by the CA that follows it")
                .evidence("certificates", path)
                .fix(Fix::new(
                    "ask for the whole chain, the leaf first; if it is whole, the certificate was not issued by that CA",
                ));
        }
        if !unchecked.is_empty() {
            return check.unknown(list(&unchecked)).evidence("certificates", path);
        }
        if self.certificates.len() == 1 && chain.top().is_none() {
            // Nobody's signature was checked: there is one certificate, and its issuer was not shown.
            return check
                .unknown("the certificate's issuer was not given")
                .evidence("certificates", path)
                .fix(Fix::new("give the whole chain, or the CA's certificate"));
        }
        check.pass().observed(path)
    }

    /// Whether the chain ends at the CA that is expected. `keys` are public keys (SubjectPublicKeyInfo in DER) of CAs
    /// that the caller's policy allows.
    pub(in crate::verify) fn rooted(&self, check: &CheckDef, keys: &[&[u8]]) -> Finding {
        let chain = self.chain();
        let pinned = match &self.root {
            Part::Unreadable(why) => return check.unknown(format!("the CA given as trusted: {why}")),
            Part::Read(root) => Some(root),
            Part::Absent => None,
        };
        let Some(top) = chain.top() else {
            let last = chain.certificates().last();
            let issuer = last.map(|last| last.issuer.clone()).unwrap_or_default();
            if pinned.is_some() || !keys.is_empty() {
                return check
                    .fail()
                    .observed(format!("the chain ends below {issuer:?}, which was not shown"))
                    .expected("a chain to the CA that you trust")
                    .fix(Fix::new(
                        "give the certificate of the CA itself; do not trust the certificate otherwise",
                    ));
            }
            return check.unknown(format!("the chain ends below {issuer:?}, which was not shown"));
        };
        let observed = format!("{} with key {}", top.subject, fingerprint(&top.public_key));
        let wrong = |expected: String| {
            check.fail().observed(observed.clone()).expected(expected).fix(Fix::new(
                "do not trust the certificate: another CA issued it than the one you named, under whatever name",
            ))
        };
        if let Some(root) = pinned {
            if root.public_key != top.public_key {
                return wrong(format!("{} with key {}", root.subject, fingerprint(&root.public_key)));
            }
            let finding = check.pass().trusting("the CA's certificate that was given");
            return if root.der == top.der {
                finding.observed(observed)
            } else {
                finding.observed(format!("{observed}, in another certificate than the one given"))
            };
        }
        if keys.is_empty() {
            return check
                .unknown(format!("the chain ends at a CA that nobody vouches for: {observed}"))
                .fix(Fix::new(
                    "give the certificate of the KMS's root CA (ca_cert of its GetMeta), from a source that you trust",
                ));
        }
        if keys.contains(&top.public_key.as_slice()) {
            return check.pass().observed(observed).trusting("the key provider that the policy names");
        }
        let allowed: Vec<String> =
            keys.iter().map(|key| format!("a CA with key {}", fingerprint(key))).collect();
        wrong(list(&allowed))
    }

    /// Whether all certificates are valid now.
    pub(in crate::verify) fn valid_at(&self, check: &CheckDef, now: SystemTime) -> Finding {
        let mut wrong = Vec::new();
        let mut windows = Vec::new();
        for (index, found) in self.chain().certificates().enumerate() {
            let (from, to) = (shown_time(found.not_before), shown_time(found.not_after));
            if now < found.not_before {
                wrong.push(format!("certificate {index} is not valid before {from}"));
            } else if now > found.not_after {
                wrong.push(format!("certificate {index} expired at {to}"));
            }
            windows.push(format!("certificate {index}: {from} to {to}"));
        }
        let now = format!("the clock that says {}", shown_time(now));
        if wrong.is_empty() {
            return check.pass().observed(list(&windows)).trusting(now);
        }
        check
            .fail()
            .observed(list(&wrong))
            .expected("certificates that are valid now")
            .trusting(now)
            .fix(Fix::new("ask for a new certificate; if this one is new, compare the clocks"))
    }

    /// Whether the leaf is for this use.
    pub(in crate::verify) fn usable(&self, check: &CheckDef, expected: Option<&str>) -> Finding {
        let usage = self.leaf().and_then(|leaf| leaf.usage.as_deref());
        let observed = usage.map_or_else(|| "no special usage".to_owned(), |usage| format!("{usage:?}"));
        match expected {
            None => check.not_applicable().observed(observed),
            Some(expected) if usage == Some(expected) => {
                check.pass().observed(observed).trusting("the CA that wrote the usage into the certificate")
            }
            Some(expected) => {
                check.fail().observed(observed).expected(format!("{expected:?}")).fix(Fix::new(
                    "do not take the certificate for this: its CA issued it for something else",
                ))
            }
        }
    }

    /// Whether the leaf is for this host.
    pub(in crate::verify) fn named(&self, check: &CheckDef, host: Option<&str>) -> Finding {
        let Some(leaf) = self.leaf() else { return check.unknown("there is no certificate") };
        let addresses = leaf.ip_addresses.iter().map(ToString::to_string);
        let names: Vec<String> = leaf.dns_names.iter().cloned().chain(addresses).collect();
        let observed = if names.is_empty() { "no alternative names".to_owned() } else { list(&names) };
        match host.map(HostName::new) {
            None => check.not_applicable().observed(observed),
            Some(host) if leaf.covers(&host) => check.pass().observed(observed).expected(host.to_string()),
            Some(host) => check.fail().observed(observed).expected(host.to_string()).fix(Fix::new(
                "make sure that you reached the server you meant, and that its certificate names it",
            )),
        }
    }

    /// Whether the quote is over the leaf's key.
    pub(in crate::verify) fn key_bound(&self, check: &CheckDef, quote: &Part<TdxQuote>) -> Finding {
        let Some(leaf) = self.leaf() else { return check.unknown("there is no certificate") };
        let expected = leaf.expected_report_data();
        let quote = match quote {
            Part::Absent => return check.unknown("the certificate carries no quote"),
            Part::Unreadable(why) => return check.unknown(why),
            Part::Read(quote) => quote,
        };
        let finding = if quote.report.report_data == expected {
            check.pass()
        } else {
            check.fail().fix(Fix::new(
                "do not trust the certificate: the evidence in it was made for another key, so that whoever has this one may be anybody",
            ))
        };
        finding
            .observed(format!("report data {}", quote.report.report_data))
            .expected(format!("{expected}, SHA-512 of \"ratls-cert:\" and the certificate's public key"))
    }

    /// The app ids in the leaf and in the CAs between it and the end, with who wrote them.
    pub(in crate::verify) fn app_ids(&self) -> impl Iterator<Item = (usize, crate::Id20)> {
        self.certificates.iter().enumerate().filter_map(|(index, found)| Some((index, found.app_id?)))
    }

    /// Whether the CA at the end of the chain is the key provider of this id (hex), which a CVM measured.
    pub(in crate::verify) fn issued_by_provider(&self, check: &CheckDef, id: &str) -> Finding {
        let Some(top) = self.chain().top() else {
            return check.unknown("the CA at the end of the chain was not shown");
        };
        let observed = format!("{} with key {}", top.subject, fingerprint(&top.public_key));
        match decode_hex(id) {
            Err(error) => check.unknown(format!("the key provider's id is not hex: {error}")),
            Ok(id) if id == top.public_key => check.pass().observed(observed),
            Ok(id) => check
                .fail()
                .observed(observed)
                .expected(format!("a CA with key {}, the measured key provider", fingerprint(&id)))
                .fix(Fix::new(
                    "find out who issued the certificate: the CVM got its keys from another KMS, unless it is a simulator",
                )),
        }
    }
}

/// SHA-256 of a public key, by which people compare keys.
fn fingerprint(public_key: &[u8]) -> String {
    format!("sha256:{}", hash::sha256(&[public_key]))
}

/// A time as text, in UTC to the second.
fn shown_time(time: SystemTime) -> String {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs()).ok().map(|seconds| -seconds),
    };
    let time = seconds.and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.map_or_else(|| "a time beyond the calendar".to_owned(), |time| time.to_string())
}
