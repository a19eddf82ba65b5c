//! Asking for more never makes the answer better.

use dstack_attestation::event_log::KeyProviderKind;
use dstack_attestation::known_good::KnownGood;
use dstack_attestation::policy::TcbStatus;
use dstack_attestation::{Aspect, CvmEvidence, Policy};
use dstack_check::{Report, Status, Verdict};
use proptest::prelude::*;
use std::time::Duration;

use crate::evidence::{
    APP, CHALLENGE, COMPOSE, INSTANCE, compose_hash, emulated, expectation, recorded, verify_app,
};

/// One thing more to ask for; `right` is what the honest evidence has.
#[derive(Clone, Copy, Debug)]
struct Demand {
    what: u8,
    right: bool,
}

fn demand() -> impl Strategy<Value = Demand> {
    (0u8..15, any::<bool>()).prop_map(|(what, right)| Demand { what, right })
}

/// Sets that were empty get a member, options that were open a value: each leaves out some evidence and lets none in.
fn restrict(mut policy: Policy, demand: Demand) -> Policy {
    let Demand { what, right } = demand;
    let byte = |honest: u8| if right { honest } else { 0x99 };
    match what {
        0 if policy.compose_hashes.is_empty() => {
            policy = policy.compose(if right { COMPOSE.to_owned() } else { COMPOSE.replace("demo", "evil") });
        }
        1 if policy.app_ids.is_empty() => policy = policy.app_id(if right { APP } else { [9; 20].into() }),
        2 if policy.instance_ids.is_empty() => {
            policy = policy.instance_id(if right { INSTANCE } else { [9; 20].into() });
        }
        3 if policy.key_providers.is_empty() => {
            policy = policy.key_provider(KeyProviderKind::Kms, right.then(|| vec![0x30, 0x59]));
        }
        4 if policy.report_data.is_none() => {
            policy = policy.report_data(if right { CHALLENGE.into() } else { [9; 64].into() });
        }
        5 if policy.os_images.is_empty() => policy = policy.os_image([byte(0x44); 32].into()),
        6 if policy.known_good.is_empty() => {
            let mut good = KnownGood::default();
            good.name = "image".to_owned();
            good.mrtd = Some([byte(0xd0); 48].into());
            policy = policy.known_good(good);
        }
        7 if policy.device_ids.is_empty() => drop(policy.device_ids.insert([byte(0x71); 32].into())),
        8 if policy.mr_aggregated.is_empty() => drop(policy.mr_aggregated.insert([byte(1); 32].into())),
        9 if policy.mr_system.is_empty() => drop(policy.mr_system.insert([byte(1); 32].into())),
        10 if policy.max_collateral_age.is_none() => {
            policy.max_collateral_age = Some(Duration::from_secs(if right { 86_400 * 365 } else { 1 }));
        }
        11 if policy.max_evidence_age.is_none() => {
            policy.max_evidence_age = Some(Duration::from_secs(if right { 86_400 * 365 } else { 1 }));
        }
        12 => drop(policy.tcb.statuses.remove(&TcbStatus::UpToDate)),
        13 => drop(policy.tcb.rejected_advisories.insert("INTEL-SA-00001".to_owned())),
        14 if policy.tcb.min_evaluation_number.is_none() => {
            policy.tcb.min_evaluation_number = Some(if right { 1 } else { 9_999 });
        }
        _ => {}
    }
    policy
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Ok => 0,
        Verdict::Warnings => 1,
        Verdict::Undetermined => 2,
        Verdict::Failed => 3,
    }
}

fn status<'r>(report: &'r Report, id: &str) -> &'r Status {
    &report.get(id).unwrap().status
}

proptest! {
    #[test]
    fn restrictions_only_take_away(
        which in 0u8..3,
        accept in any::<bool>(),
        first in prop::collection::vec(demand(), 0..6),
        more in prop::collection::vec(demand(), 1..6),
    ) {
        let evidence = match which {
            0 => emulated(),
            1 => recorded(),
            _ => CvmEvidence::new(),
        };
        let base = Policy::new().danger_accept_emulated(accept).require(Aspect::Hardware).require(Aspect::Code);
        let loose = first.into_iter().fold(base, restrict);
        let strict = more.into_iter().fold(loose.clone(), restrict);
        let (before, after) = (verify_app("app", &evidence, &loose), verify_app("app", &evidence, &strict));
        for finding in before.findings().iter().filter(|finding| finding.status == Status::Fail) {
            let id = finding.id.as_str();
            // What is required may be shown by more than one check: it is looked at through the verdict.
            if id != "policy.required" {
                prop_assert_eq!(status(&after, id), &Status::Fail, "{}", id);
            }
        }
        if rank(before.verdict()) >= 2 {
            // Asking for the app-compose can show that it runs, so that only this demand is answered by more.
            let asked = strict.compose_hashes != loose.compose_hashes;
            prop_assert!(asked || rank(after.verdict()) >= 2, "{:?} {:?}", before.counts(), after.counts());
        }
        prop_assert!(before.verdict() != Verdict::Failed || after.verdict() == Verdict::Failed);
    }

    /// Of an allow-list with the right value, values beside it take nothing away.
    #[test]
    fn another_allowed_value_is_no_restriction(other in any::<[u8; 32]>(), app in any::<[u8; 20]>()) {
        let policy = expectation().danger_accept_emulated(true);
        let wider = policy.clone().compose_hash(other.into()).app_id(app.into());
        prop_assert!(wider.compose_hashes.contains(&compose_hash()));
        let (narrow, wide) = (verify_app("app", &emulated(), &policy), verify_app("app", &emulated(), &wider));
        prop_assert_eq!(narrow.verdict(), wide.verdict());
    }
}
