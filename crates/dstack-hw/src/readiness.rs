//! The answer over all checks of a profile: ready, not enabled yet, cannot, not this place, or not to be told.

use std::collections::BTreeMap;
use std::fmt;

use dstack_check::{Catalogue, CheckDef, Evaluation, Finding, Fix, Gate, Report, Status};
use serde::Serialize;

use crate::checks::{self, Barrier};
use crate::{HostFacts, Profile, Requirement};

/// The check whose finding says what more rights would tell.
const PRIVILEGE: &str = "hw.environment.privilege";

/// Whether a host can do what a profile wants of it. Three of the answers are often confused and never are here:
/// that it *cannot*, that it is *not enabled yet*, and that nothing was judged because the question was asked elsewhere.
///
/// Where several required checks failed, the place decides before the hardware and the hardware before a setting;
/// among those of one kind the lowest layer decides, since what is above may follow from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
#[non_exhaustive]
pub enum Readiness {
    /// Every required check passed, or does not arise.
    Ready {
        /// How many findings are warnings all the same.
        warnings: usize,
    },
    /// Something fails that a setting, another version or a service changes.
    NotEnabledYet {
        /// The layer in which the way ends.
        layer: &'static str,
        /// The check that failed there.
        check: &'static str,
    },
    /// The hardware does not have what is wanted: no setting changes that.
    Cannot {
        /// The layer in which the way ends.
        layer: &'static str,
        /// The check that failed there.
        check: &'static str,
    },
    /// The question was asked in a virtual machine or a container, and the host was not judged; or, where a CVM was
    /// wanted, this is none.
    NotThisPlace {
        /// The check that found it.
        check: &'static str,
    },
    /// Nothing that is required failed, but not everything could be told.
    Undetermined {
        /// The required checks without an answer, lowest layer first.
        unknown: Vec<&'static str>,
    },
}

impl Readiness {
    /// Is it [`Readiness::Ready`]?
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// `ready`, `not-enabled-yet`, `cannot`, `not-this-place` or `undetermined`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::NotEnabledYet { .. } => "not-enabled-yet",
            Self::Cannot { .. } => "cannot",
            Self::NotThisPlace { .. } => "not-this-place",
            Self::Undetermined { .. } => "undetermined",
        }
    }

    /// The check that decided, where one did.
    pub fn check(&self) -> Option<&'static str> {
        match self {
            Self::NotEnabledYet { check, .. } | Self::Cannot { check, .. } | Self::NotThisPlace { check } => {
                Some(check)
            }
            Self::Undetermined { unknown } => unknown.first().copied(),
            Self::Ready { .. } => None,
        }
    }

    /// The exit code a program ends with: 0 for [`Readiness::Ready`], else 1.
    ///
    /// It is the answer to "is this host ready for the profile", so it may differ from that of the report's own
    /// verdict: an advised check that could not be told leaves the report undetermined and the host ready.
    pub const fn exit_code(&self) -> u8 {
        if self.is_ready() { 0 } else { 1 }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a failure stands in a report as a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Softened {
    /// The profile only advises the check.
    Advised,
    /// It was ignored on request.
    Ignored,
}

/// What the checks of a profile found on a host, and whether the host is ready.
///
/// ```
/// use dstack_hw::source::Pasted;
/// use dstack_hw::{Assessment, CollectOptions, HostFacts, Profile};
///
/// let pasted = Pasted::new().kernel_log("[    0.000000] x86/tme: not enabled by BIOS\n").into_readings();
/// let facts = HostFacts::collect(&pasted, CollectOptions::quick());
/// let assessment = Assessment::of("a pasted log", &facts, &Profile::builtin("tdx-host")?);
/// assert!(!assessment.readiness.is_ready());
/// # Ok::<(), dstack_hw::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Assessment {
    /// Every finding of the profile. Failures that do not decide are warnings here, and their evidence says so.
    pub report: Report,
    /// The answer.
    pub readiness: Readiness,
    /// What each check meant.
    requirements: BTreeMap<&'static str, Requirement>,
    softened: BTreeMap<&'static str, Softened>,
}

impl Assessment {
    /// Asks every check of the profile. Pure: everything was read when the facts were collected.
    ///
    /// What stands on a failed check is skipped. What stands on one that could not be told is asked, and so is what
    /// stands on a failure that is ignored.
    pub fn of(subject: impl Into<String>, facts: &HostFacts, profile: &Profile) -> Self {
        let wanted: Vec<CheckDef> = profile.checks().map(|(check, _)| check.def).collect();
        // A profile holds what its checks stand on, and the checks are tested to be a catalogue.
        let catalogue = Catalogue::new(wanted).unwrap_or_default();
        let mut evaluation = Evaluation::new(&catalogue).gate(Gate::NotFailed);
        let mut softened = BTreeMap::new();
        while let Some(def) = evaluation.next_check() {
            let mut finding = checks::get(def.id)
                .map_or_else(|| def.unknown("there is no such check"), |check| check.run(facts));
            if finding.status == Status::Fail && profile.ignores(def.id) {
                finding = soften(finding, "ignored on request");
                softened.insert(def.id, Softened::Ignored);
            }
            evaluation.record(finding);
        }
        let mut findings = evaluation.finish(String::new()).into_findings();
        for finding in &mut findings {
            let Some(check) = checks::get(finding.id.as_str()) else { continue };
            if finding.status == Status::Fail && !profile.decides(check.def.id) {
                let note = format!("the profile {} only advises it", profile.name);
                *finding = soften(finding.clone(), &note);
                softened.insert(check.def.id, Softened::Advised);
            }
        }
        let report = Report::new(subject, findings).with_meta("profile", profile.name.as_str());
        let readiness = decide(&report, profile);
        let requirements = profile.checks().map(|(check, requirement)| (check.def.id, requirement)).collect();
        Self { report, readiness, requirements, softened }
    }

    /// What a check meant in the profile; `None` for one that was not asked.
    pub fn requirement(&self, id: &str) -> Option<Requirement> {
        self.requirements.get(id).copied()
    }

    /// The failures that stand in the report as warnings, and why.
    pub fn softened(&self) -> impl Iterator<Item = (&'static str, Softened)> + '_ {
        self.softened.iter().map(|(id, why)| (*id, *why))
    }

    /// The finding that decided. `None` where the host is ready; the first without an answer where it is undetermined.
    pub fn deciding(&self) -> Option<&Finding> {
        self.report.get(self.readiness.check()?)
    }

    /// What to do next: the fix of the finding that decided. Where answers are missing, what would bring them.
    pub fn next_step(&self) -> Option<&Fix> {
        if let Readiness::Undetermined { unknown } = &self.readiness {
            let rights = self.report.get(PRIVILEGE).and_then(|finding| finding.fix.as_ref());
            let own = unknown.iter().find_map(|id| self.report.get(id)?.fix.as_ref());
            return rights.or(own);
        }
        self.deciding()?.fix.as_ref()
    }

    /// The lowest layer in which a required check failed.
    pub fn first_failing_layer(&self) -> Option<&'static str> {
        let failed = self.report.findings().iter().filter(|finding| finding.status == Status::Fail);
        let layers = failed.filter_map(|finding| Some(checks::get(finding.id.as_str())?.def.layer));
        layers.min_by_key(|layer| rank(layer))
    }
}

/// A failure as a warning that says why it is one.
fn soften(mut finding: Finding, why: &str) -> Finding {
    finding.status = Status::Warn;
    finding.evidence("profile", format!("a failure that counts as a warning: {why}"))
}

/// How high a layer stands: the silicon is low.
fn rank(layer: &str) -> usize {
    checks::all().position(|check| check.def.layer == layer).unwrap_or(usize::MAX)
}

fn decide(report: &Report, profile: &Profile) -> Readiness {
    let decisive = || report.findings().iter().filter(|finding| profile.decides(finding.id.as_str()));
    let failed = decisive()
        .filter(|finding| finding.status == Status::Fail)
        .filter_map(|finding| checks::get(finding.id.as_str()))
        // Of equals the first is kept: parents stand before children.
        .min_by_key(|check| {
            let kind = match check.barrier {
                Barrier::Elsewhere => 0,
                Barrier::Hardware => 1,
                Barrier::Setting => 2,
            };
            (kind, rank(check.def.layer))
        });
    if let Some(check) = failed {
        let (layer, id) = (check.def.layer, check.def.id);
        return match check.barrier {
            Barrier::Elsewhere => Readiness::NotThisPlace { check: id },
            Barrier::Hardware => Readiness::Cannot { layer, check: id },
            Barrier::Setting => Readiness::NotEnabledYet { layer, check: id },
        };
    }
    let unknown: Vec<&'static str> = decisive()
        .filter(|finding| matches!(finding.status, Status::Unknown { .. } | Status::Skipped { .. }))
        .filter_map(|finding| Some(checks::get(finding.id.as_str())?.def.id))
        .collect();
    if unknown.is_empty() {
        Readiness::Ready { warnings: report.counts().warn }
    } else {
        Readiness::Undetermined { unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report in which every check of the profile passes but these.
    fn report(profile: &Profile, others: &[(&str, Status)]) -> Report {
        let finding = |def: CheckDef| {
            let status = others.iter().find(|(id, _)| *id == def.id).map(|(_, status)| status.clone());
            Finding::new(def.id, def.title, status.unwrap_or(Status::Pass)).layer(def.layer)
        };
        Report::new("host", profile.checks().map(|(check, _)| finding(check.def)))
    }

    fn decided(profile: &Profile, others: &[(&str, Status)]) -> Readiness {
        decide(&report(profile, others), profile)
    }

    fn tdx_host() -> Profile {
        Profile::builtin("tdx-host").unwrap()
    }

    fn unknown() -> Status {
        Status::Unknown { why: "needs root".to_owned() }
    }

    #[test]
    fn all_checks_are_one_catalogue() {
        Catalogue::new(checks::all().map(|check| check.def)).unwrap();
    }

    #[test]
    fn everything_passed_is_ready_with_its_warnings_counted() {
        let profile = tdx_host();
        assert_eq!(decided(&profile, &[]), Readiness::Ready { warnings: 0 });
        let warned = decided(&profile, &[("hw.kvm.tdx", Status::Warn), ("hw.sgx.epc", Status::Warn)]);
        assert_eq!(warned, Readiness::Ready { warnings: 2 });
        assert_eq!(warned.exit_code(), 0);
    }

    #[test]
    fn a_setting_in_the_lowest_layer_decides() {
        let failed = [("hw.kvm.tdx", Status::Fail), ("hw.firmware.tme", Status::Fail)];
        let decided = decided(&tdx_host(), &failed);
        assert_eq!(decided, Readiness::NotEnabledYet { layer: "firmware", check: "hw.firmware.tme" });
        assert_eq!(decided.exit_code(), 1);
    }

    #[test]
    fn hardware_decides_before_a_setting_below_it() {
        let profile = Profile::builtin("gpu").unwrap();
        let failed = [("hw.firmware.tme", Status::Fail), ("hw.gpu.present", Status::Fail)];
        assert_eq!(decided(&profile, &failed), Readiness::Cannot { layer: "gpu", check: "hw.gpu.present" });
    }

    #[test]
    fn the_place_decides_before_everything() {
        let failed = [("hw.environment.bare-metal", Status::Fail), ("hw.cpu.tdx-generation", Status::Fail)];
        let decided = decided(&tdx_host(), &failed);
        assert_eq!(decided, Readiness::NotThisPlace { check: "hw.environment.bare-metal" });
    }

    #[test]
    fn a_failure_decides_before_what_is_unknown() {
        let found = [("hw.firmware.tme", unknown()), ("hw.kvm.tdx", Status::Fail)];
        assert_eq!(decided(&tdx_host(), &found).word(), "not-enabled-yet");
    }

    #[test]
    fn a_required_answer_that_is_missing_is_not_ready_and_an_advised_one_does_not_matter() {
        let advised = decided(&tdx_host(), &[("hw.sgx.epc", unknown())]);
        assert_eq!(advised, Readiness::Ready { warnings: 0 });
        let required = decided(&tdx_host(), &[("hw.kvm.tdx", unknown()), ("hw.firmware.tme", unknown())]);
        assert_eq!(required, Readiness::Undetermined { unknown: vec!["hw.firmware.tme", "hw.kvm.tdx"] });
        assert_eq!(required.exit_code(), 1);
        let ignored = tdx_host().ignore(["hw.kvm.tdx", "hw.firmware.tme"]).unwrap();
        let found = [("hw.kvm.tdx", unknown()), ("hw.firmware.tme", unknown())];
        assert!(decided(&ignored, &found).is_ready());
    }

    #[test]
    fn a_softened_failure_says_so() {
        let finding = soften(Finding::fail("hw.sgx.cpu", "the CPU has SGX"), "ignored on request");
        assert_eq!(finding.status, Status::Warn);
        assert_eq!(finding.evidence[0].excerpt, "a failure that counts as a warning: ignored on request");
    }

    #[test]
    fn the_json_form_is_tagged() {
        let text = |readiness: &Readiness| serde_json::to_string(readiness).unwrap();
        assert_eq!(text(&Readiness::Ready { warnings: 1 }), r#"{"state":"ready","warnings":1}"#);
        let cannot = Readiness::Cannot { layer: "cpu", check: "hw.cpu.vendor" };
        assert_eq!(text(&cannot), r#"{"state":"cannot","layer":"cpu","check":"hw.cpu.vendor"}"#);
        assert_eq!(
            text(&Readiness::Undetermined { unknown: vec!["hw.kvm.tdx"] }),
            r#"{"state":"undetermined","unknown":["hw.kvm.tdx"]}"#
        );
    }
}
