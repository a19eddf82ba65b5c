//! Does an app-compose have this hash, and belong to this app?

mod document;
pub(in crate::verify) mod forms;

use std::collections::BTreeSet;

use dstack_check::{Catalogue, CheckDef, Finding, Fix, Report};
use serde::Deserialize;

use self::document::{Document, MAX_V05};
use self::forms::other_form;
use super::Verifier;
use super::cvm::one_of;
use crate::{Digest32, Digest48, Id20, MrConfigId, hash};

/// Every check of [`Verifier::compose`], parents before children.
pub const COMPOSE_CHECKS: &[CheckDef] = &[
    CheckDef::new("compose.document", "the file is an app-compose")
        .layer("app")
        .why("a hash tells nothing about what the file says")
        .proves("the file is a JSON object with the members that every guest wants")
        .leaves_open("whether a guest would take it, and what it does"),
    CheckDef::new("compose.hash", "the app-compose has the expected hash")
        .layer("app")
        .needs("the compose hash that it should have")
        .why("the compose hash is what a CVM measures and what contracts list")
        .proves("the bytes of the file are those that the expected compose hash stands for")
        .leaves_open("whether any CVM runs it: that takes the CVM's evidence"),
    CheckDef::new("compose.app-id", "the app id is that of the app-compose")
        .layer("app")
        .needs("the app id that it should have")
        .why("by default the app id is the beginning of the compose hash")
        .proves("an app that is deployed with this app-compose and without an id of its own has this app id")
        .leaves_open("whether it runs under that id"),
    CheckDef::new("compose.mr-config-id", "MRCONFIGID commits to the app-compose")
        .layer("app")
        .needs("MRCONFIGID from a quote")
        .why("the VMM writes MRCONFIGID before the CVM starts, and nothing inside can change it")
        .proves("a CVM with this MRCONFIGID was created for this app-compose")
        .leaves_open("whether the MRCONFIGID is that of a genuine quote"),
];

/// What an app-compose is said to be. What is not said is taken from the policy, and else not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComposeClaim {
    /// The compose hash.
    pub hash: Option<Digest32>,
    /// The app id.
    pub app_id: Option<Id20>,
    /// The MRCONFIGID of a quote.
    pub mr_config_id: Option<Digest48>,
    /// The document behind an MRCONFIGID of version 3, as the bytes that were hashed.
    pub mr_config_document: Option<String>,
}

impl Verifier {
    /// Judges the bytes of an app-compose.
    ///
    /// It is the bytes that count: the compose hash is their SHA-256, and the same JSON written otherwise is another
    /// app-compose.
    ///
    /// ```
    /// use dstack_attestation::{ComposeClaim, Policy, Verifier};
    /// use dstack_check::Status;
    ///
    /// let mut claim = ComposeClaim::default();
    /// claim.hash = Some("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".parse()?);
    /// let verifier = Verifier::new(Policy::new(), std::time::SystemTime::UNIX_EPOCH);
    /// let report = verifier.compose("app-compose.json", b"{}", &claim);
    /// assert_eq!(report.get("compose.hash").map(|finding| &finding.status), Some(&Status::Pass));
    /// // A newline at the end makes another app-compose of it.
    /// let report = verifier.compose("app-compose.json", b"{}\n", &claim);
    /// assert_eq!(report.get("compose.hash").map(|finding| &finding.status), Some(&Status::Fail));
    /// # Ok::<(), dstack_attestation::HexError>(())
    /// ```
    pub fn compose(&self, name: impl Into<String>, bytes: &[u8], claim: &ComposeClaim) -> Report {
        // A test constructs the same catalogue: ids, parents and order are constants.
        let catalogue = Catalogue::new(COMPOSE_CHECKS.iter().copied()).expect("the checks form a catalogue");
        let subject = Subject {
            bytes,
            hash: hash::sha256(&[bytes]),
            document: Document::read(bytes),
            claim,
            hashes: expected(claim.hash, &self.policy.compose_hashes),
            app_ids: expected(claim.app_id, &self.policy.app_ids),
        };
        Report::evaluate(name, &catalogue, |check| subject.evaluate(check))
    }
}

/// What is expected: what the caller claims, else what the policy allows.
fn expected<T: Copy + Ord>(claimed: Option<T>, allowed: &BTreeSet<T>) -> BTreeSet<T> {
    claimed.map_or_else(|| allowed.clone(), |claimed| BTreeSet::from([claimed]))
}

struct Subject<'a> {
    bytes: &'a [u8],
    hash: Digest32,
    document: Result<Document, String>,
    claim: &'a ComposeClaim,
    hashes: BTreeSet<Digest32>,
    app_ids: BTreeSet<Id20>,
}

/// The app id that an app-compose has of itself: the first 20 bytes of its hash.
fn derived(hash: &Digest32) -> Id20 {
    let mut id = [0; 20];
    // The zip ends with the shorter of the two.
    id.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    Id20::new(id)
}

impl Subject<'_> {
    fn evaluate(&self, check: &CheckDef) -> Finding {
        match check.id {
            "compose.document" => self.document(check),
            "compose.hash" => self.hash(check),
            "compose.app-id" => self.app_id(check),
            "compose.mr-config-id" => self.mr_config_id(check),
            _ => check.unknown("no such check"),
        }
    }

    fn document(&self, check: &CheckDef) -> Finding {
        let size = self.bytes.len();
        let hash = format!("compose hash {}", self.hash);
        let document = match &self.document {
            Err(why) => return check.unknown(why).observed(format!("{hash}, {size} bytes")),
            Ok(document) => document,
        };
        let words = [("name", &document.name), ("runner", &document.runner)].into_iter().filter_map(
            |(key, value)| {
                let shown: String = value.as_ref()?.chars().take(80).collect();
                Some(format!("{key} {shown:?}, "))
            },
        );
        let observed = format!("{}{size} bytes, {hash}", words.collect::<String>());
        let missing = document.missing();
        if !missing.is_empty() {
            return check
                .warn()
                .observed(observed)
                .expected(format!("{}, without which no guest starts", missing.join(", ")))
                .fix(Fix::new(
                    "make sure that the file is the app-compose, and not the Docker Compose file in it",
                ));
        }
        if size > MAX_V05 {
            return check
                .warn()
                .observed(observed)
                .expected(format!("at most {MAX_V05} bytes, beyond which guests of dstack 0.5 do not boot"))
                .fix(Fix::new("move large contents out of the app-compose, or use an image of dstack 0.6"));
        }
        check.pass().observed(observed)
    }

    fn hash(&self, check: &CheckDef) -> Finding {
        let observed = format!("compose hash {}", self.hash);
        if self.hashes.is_empty() {
            return check.not_applicable().observed(observed);
        }
        if self.hashes.contains(&self.hash) {
            return check
                .pass()
                .observed(observed)
                .trusting("the expected compose hash, which the caller gave");
        }
        let advice = other_form(self.bytes, |hash| self.hashes.contains(hash)).map_or(
            "take the app-compose that was deployed, byte for byte: this is another one",
            forms::Form::advice,
        );
        check
            .fail()
            .observed(observed)
            .expected(format!("compose hash {}", one_of(&self.hashes)))
            .fix(Fix::new(advice))
    }

    fn app_id(&self, check: &CheckDef) -> Finding {
        let id = derived(&self.hash);
        let observed = format!("app id {id}");
        if self.app_ids.is_empty() {
            return check.not_applicable().observed(observed);
        }
        if self.app_ids.contains(&id) {
            return check.pass().observed(observed).trusting("the expected app id, which the caller gave");
        }
        let advice = other_form(self.bytes, |hash| self.app_ids.contains(&derived(hash))).map_or(
            "ask the contract or the KMS which app-composes the app id has: an id that was given at deployment does \
             not follow from the app-compose",
            forms::Form::advice,
        );
        check
            .unknown("the app id does not follow from this app-compose; it may have been given at deployment")
            .observed(observed)
            .expected(format!("app id {}", one_of(&self.app_ids)))
            .fix(Fix::new(advice))
    }

    fn mr_config_id(&self, check: &CheckDef) -> Finding {
        let v1 = MrConfigId::v1(self.hash).to_bytes();
        let Some(claimed) = &self.claim.mr_config_id else {
            return check.not_applicable().observed(format!("version 1 would be {v1}"));
        };
        let answer = match MrConfigId::parse(claimed) {
            Err(error) => Err(Obstacle::Unknown(error.to_string())),
            Ok(MrConfigId::Unused) => {
                Err(Obstacle::Unknown("MRCONFIGID is zero: it commits to nothing".to_owned()))
            }
            Ok(MrConfigId::V1 { compose_hash }) if compose_hash == self.hash => Ok("version 1".to_owned()),
            Ok(MrConfigId::V1 { compose_hash }) => {
                Err(Obstacle::Wrong(format!("it commits to compose hash {compose_hash}")))
            }
            Ok(committed @ MrConfigId::V2 { .. }) => self.version_2(&committed),
            Ok(committed @ MrConfigId::V3 { .. }) => self.version_3(&committed),
        };
        match answer {
            Ok(how) => check.pass().observed(format!("{how}, compose hash {}", self.hash)),
            Err(Obstacle::Unknown(why)) => check.unknown(why).observed(format!("MRCONFIGID {claimed}")),
            Err(Obstacle::Wrong(what)) => {
                let advice = match MrConfigId::parse(claimed) {
                    Ok(MrConfigId::V1 { compose_hash }) => {
                        other_form(self.bytes, |hash| *hash == compose_hash).map(forms::Form::advice)
                    }
                    _ => None,
                };
                check
                    .fail()
                    .observed(format!("MRCONFIGID {claimed}: {what}"))
                    .expected(format!("the compose hash {}", self.hash))
                    .fix(Fix::new(advice.unwrap_or(
                        "find out for which app-compose the CVM was created: it was not this one",
                    )))
            }
        }
    }

    /// Version 2 is over the app id as well, which the app-compose does not say.
    fn version_2(&self, committed: &MrConfigId) -> Result<String, Obstacle> {
        let document = self.document.as_ref().map_err(|why| Obstacle::Unknown(why.clone()))?;
        let kind = document.key_provider().map_err(Obstacle::Unknown)?;
        let id = document.key_provider_id().map_err(Obstacle::Unknown)?;
        let candidates = self.app_ids.iter().copied().chain([derived(&self.hash)]);
        for app_id in candidates {
            if MrConfigId::v2(&self.hash, &app_id, kind, &id) == *committed {
                return Ok(format!("version 2, app id {app_id}"));
            }
        }
        if self.app_ids.is_empty() {
            return Err(Obstacle::Unknown(
                "MRCONFIGID has version 2, which is over the app id too; say which app it is".to_owned(),
            ));
        }
        Err(Obstacle::Wrong("it commits to another app-compose, app id or key provider".to_owned()))
    }

    /// Version 3 is over a document, which the app-compose does not say.
    fn version_3(&self, committed: &MrConfigId) -> Result<String, Obstacle> {
        let Some(text) = &self.claim.mr_config_document else {
            return Err(Obstacle::Unknown(
                "MRCONFIGID has version 3, and the document it stands for was not given".to_owned(),
            ));
        };
        if MrConfigId::v3(text.as_bytes()) != *committed {
            return Err(Obstacle::Wrong("it commits to another document than the one given".to_owned()));
        }
        let document: ConfigDocument = serde_json::from_str(text)
            .map_err(|error| Obstacle::Unknown(format!("the document behind MRCONFIGID: {error}")))?;
        if document.version != 3 {
            return Err(Obstacle::Unknown(format!(
                "the document behind MRCONFIGID has version {}",
                document.version
            )));
        }
        if document.compose_hash != self.hash {
            return Err(Obstacle::Wrong(format!(
                "its document names compose hash {}",
                document.compose_hash
            )));
        }
        Ok("version 3".to_owned())
    }
}

enum Obstacle {
    Unknown(String),
    Wrong(String),
}

#[derive(Deserialize)]
struct ConfigDocument {
    version: u64,
    compose_hash: Digest32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_form_a_catalogue_and_each_says_what_it_proves() {
        assert_eq!(Catalogue::new(COMPOSE_CHECKS.iter().copied()).unwrap().len(), COMPOSE_CHECKS.len());
        assert!(COMPOSE_CHECKS.iter().all(|check| !check.proves.is_empty() && !check.leaves_open.is_empty()));
    }
}
