//! Which operating system image runs?

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dstack_check::{CheckDef, Finding, Fix, Status};

use crate::fixed_bytes::parse_hex;
use crate::image::{Checksums, TDX_MEASUREMENT_FILE};
use crate::known_good::KnownGood;
use crate::quote::TdReport;
use crate::verify::cvm::subject::{Part, Subject, list, one_of};
use crate::{Digest32, HexError, Measurements, TdxMeasurement, VmConfig, hash};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    CheckDef::new("os.measurements", "the firmware and the OS are known ones")
        .layer("os")
        .parents(&["quote.readable"])
        .needs("known-good values of MRTD and RTMR0 to RTMR2, for the image and the VM's shape")
        .why("what the OS measures about the app is worth as much as the OS")
        .proves("MRTD and RTMR0 to RTMR2 in the quote are those of the named image in the named VM shape")
        .leaves_open("whether the known-good values are right, and what that image contains"),
    CheckDef::new("os.image-hash", "the OS image is an expected one")
        .layer("os")
        .parents(&["eventlog.readable"])
        .needs("the hashes of the OS images that may run")
        .why("contracts and policies list OS images by this hash")
        .proves("known-good measurements that the quote has belong to an expected OS image hash")
        .leaves_open("where only the log names the hash, which image runs: whoever started another image can name any hash"),
    CheckDef::new("os.vm-config", "the VM's configuration agrees with the log")
        .layer("os")
        .parents(&["eventlog.readable"])
        .needs("vm_config, from the guest agent's Info or GetQuote")
        .why("known-good values are computed for the image and the shape that vm_config names")
        .proves("vm_config names the OS image that the log names, and what comes with it for TDX lite fits it")
        .leaves_open("whether that image runs: nothing measures vm_config, and it can be made up with the log"),
    CheckDef::new("os.mr-system", "the system measurement is an expected one")
        .layer("os")
        .parents(&["quote.readable", "eventlog.replay-rtmr3"])
        .needs("the mr_system values that are allowed")
        .why("it stands for the firmware, the OS, the VM's shape and the key provider together")
        .proves("the digest over MRTD, RTMR0 to RTMR2 and the measured key provider is an expected one")
        .leaves_open("which app runs, and whether the expected digest is that of a good system"),
    CheckDef::new("os.mr-aggregated", "the aggregated measurement is the expected one")
        .layer("os")
        .parents(&["quote.readable"])
        .needs("the mr_aggregated values that are allowed, or the one that the agent reports")
        .why("the KMS contract lists KMS instances by it")
        .proves("the digest over all registers of the quote is an expected one: the very same system, app and VM shape")
        .leaves_open("whether the expected digest is that of a good CVM; a digest that only the agent reports is nobody's expectation"),
];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "os.measurements" => measurements(check, subject),
        "os.image-hash" => image_hash(check, subject),
        "os.vm-config" => vm_config(check, subject),
        "os.mr-system" => mr_system(check, subject),
        "os.mr-aggregated" => mr_aggregated(check, subject),
        _ => return None,
    })
}

/// Runs a check of the registers, where there are some. Those of an emulated quote measure no machine, so that nothing
/// about them passes.
fn on_registers(
    check: &CheckDef,
    subject: &Subject<'_>,
    judge: impl FnOnce(&TdReport) -> Finding,
) -> Finding {
    let Part::Read(quote) = &subject.quote else { return check.not_applicable() };
    let finding = judge(&quote.report);
    if matches!(finding.status, Status::Pass | Status::Warn) && subject.emulated().is_some() {
        return check.not_applicable().observed("EMULATED: the registers are those of no machine");
    }
    finding
}

/// What a register stands for, in words.
fn meaning(register: &str) -> &'static str {
    match register {
        "MRTD" => "the virtual firmware",
        "RTMR0" => "the virtual hardware and the firmware's settings: vCPUs, memory, QEMU, devices",
        "RTMR1" => "the kernel and the boot path",
        "RTMR2" => "the kernel's command line and the initrd",
        _ => "a register",
    }
}

fn registers(measured: &Measurements) -> String {
    let Measurements { mrtd, rtmr0, rtmr1, rtmr2, .. } = measured;
    format!("MRTD {mrtd}\nRTMR0 {rtmr0}\nRTMR1 {rtmr1}\nRTMR2 {rtmr2}")
}

/// The known-good values that the registers fit, those with the fewest gaps first. Values without a register fit
/// everything, and so nothing.
fn matching<'s>(subject: &Subject<'s>, measured: &Measurements) -> Option<&'s KnownGood> {
    let known = subject.policy.known_good.iter().filter(|known| !known.is_empty());
    let fitting = known.filter(|known| known.differences(measured).is_empty());
    fitting.min_by_key(|known| (known.unknown_registers().len(), known.os_image_hash.is_none()))
}

fn source(known: &KnownGood) -> String {
    let name = if known.name.is_empty() { "without a name" } else { known.name.as_str() };
    let source = if known.source.is_empty() { "an unnamed source" } else { known.source.as_str() };
    format!("the known-good values {name:?}, from {source}")
}

fn measurements(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    on_registers(check, subject, |report| {
        let measured = &report.measurements;
        if subject.policy.known_good.is_empty() {
            return check.not_applicable().observed(registers(measured));
        }
        let Some(known) = matching(subject, measured) else { return no_match(check, subject, measured) };
        let gaps = known.unknown_registers();
        let observed = format!("the registers of {:?}", known.name);
        if gaps.is_empty() {
            return check.pass().observed(observed).trusting(source(known));
        }
        let gaps: Vec<String> = gaps.iter().map(|name| format!("{name}: {}", meaning(name))).collect();
        check
            .warn()
            .observed(format!("{observed}, as far as they are known\nnot compared:\n{}", list(&gaps)))
            .expected("known-good values of all four registers")
            .trusting(source(known))
            .fix(Fix::new("have all four computed with dstack-mr for this image and VM shape"))
    })
}

/// The registers fit no known-good values: which come nearest, and what differs.
fn no_match(check: &CheckDef, subject: &Subject<'_>, measured: &Measurements) -> Finding {
    let known = subject.policy.known_good.iter().filter(|known| !known.is_empty());
    let nearest =
        known.map(|known| (known.differences(measured), known)).min_by_key(|(differ, _)| differ.len());
    let Some((differ, known)) = nearest else {
        return check
            .unknown("the known-good values name no register")
            .observed(registers(measured))
            .fix(Fix::new("give MRTD and RTMR0 to RTMR2, as dstack-mr prints them"));
    };
    let lines: Vec<String> = differ
        .iter()
        .map(|(name, expected, found)| format!("{name} ({}) is {found}, not {expected}", meaning(name)))
        .collect();
    let only_shape = differ.iter().all(|(name, ..)| *name == "RTMR0");
    let fix = if only_shape {
        "compute the values for this VM's shape: the image fits, and only the virtual hardware differs"
    } else {
        "do not trust the CVM unless these are the registers of an image you know: it runs another OS than expected"
    };
    let shape =
        read_config(subject).ok().flatten().map(|config| config.shape()).filter(|shape| !shape.is_empty());
    let finding = check
        .fail()
        .observed(list(&lines))
        .expected(format!("the registers of {:?}, which come nearest", known.name))
        .trusting(source(known))
        .fix(Fix::new(fix));
    match shape {
        Some(shape) => finding.evidence("vm_config", shape),
        None => finding,
    }
}

/// The VM's configuration, where there is one.
fn read_config(subject: &Subject<'_>) -> Result<Option<VmConfig>, String> {
    let text = subject.evidence.vm_config.as_deref().filter(|text| !text.trim().is_empty());
    text.map(VmConfig::parse).transpose().map_err(|error| error.to_string())
}

/// What somebody says the OS image hash is.
struct Claim {
    hash: Digest32,
    /// Whose word it is.
    whose: &'static str,
}

/// The OS image hash as those say it whom nothing measures, the guest before the host. Texts that are no hash are
/// left out; an empty one means that it is not known.
fn unmeasured_claim(subject: &Subject<'_>) -> Option<Claim> {
    let read = |text: &str| parse_hex(text).ok();
    let reported = subject.evidence.os_image_hash.as_deref().and_then(read);
    let tcb_info = match &subject.tcb_info {
        Part::Read(tcb) => read(&tcb.os_image_hash),
        Part::Absent | Part::Unreadable(_) => None,
    };
    let config = || read_config(subject).ok().flatten().and_then(|config| config.image_hash().ok().flatten());
    if let Some(hash) = reported.or(tcb_info) {
        return Some(Claim { hash, whose: "the guest agent's word" });
    }
    config().map(|hash| Claim { hash, whose: "the host's word in vm_config" })
}

fn image_hash(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let allowed = &subject.policy.os_images;
    let logged = subject.system.os_image_hash;
    let measured = match &subject.quote {
        Part::Read(quote) if subject.emulated().is_none() => matching(subject, &quote.report.measurements),
        _ => None,
    };
    let by_registers = measured
        .filter(|known| known.unknown_registers().is_empty())
        .and_then(|known| known.os_image_hash.map(|hash| (hash, known)));
    if let (Some((hash, known)), Some(logged)) = (by_registers, logged)
        && hash != logged
    {
        return check
            .fail()
            .observed(format!("the log names {logged}"))
            .expected(format!("{hash}, to which the registers belong"))
            .trusting(source(known))
            .fix(Fix::new(
                "find out which is wrong: the hash in the known-good values, or the one in the log",
            ));
    }
    if let Some((hash, known)) = by_registers {
        let finding = if allowed.is_empty() {
            check.not_applicable()
        } else if allowed.contains(&hash) {
            check.pass()
        } else {
            refused(check, allowed)
        };
        return finding.observed(format!("OS image hash {hash}, by the registers")).trusting(source(known));
    }
    if let Some(hash) = logged {
        let said = format!("OS image hash {hash}, by the os-image-hash event");
        if allowed.is_empty() {
            return check.not_applicable().observed(said);
        }
        let finding = if allowed.contains(&hash) { only_named(check) } else { refused(check, allowed) };
        return finding
            .observed(said)
            .trusting("the OS image hash in the log, which the guest measured as its KMS told it");
    }
    match unmeasured_claim(subject) {
        Some(Claim { hash, whose }) => {
            let said = format!("OS image hash {hash}, by {whose}");
            if allowed.is_empty() {
                return check.not_applicable().observed(said);
            }
            if allowed.contains(&hash) {
                return check
                    .unknown(format!("only {whose} names it, which nothing measures"))
                    .observed(said)
                    .fix(measure());
            }
            refused(check, allowed).observed(said).trusting(format!("the OS image hash, {whose}"))
        }
        None if allowed.is_empty() => check.not_applicable(),
        None => check.unknown("nothing in the evidence names an OS image").fix(measure()),
    }
}

fn refused(check: &CheckDef, allowed: &BTreeSet<Digest32>) -> Finding {
    check
        .fail()
        .expected(format!("OS image hash {}", one_of(allowed)))
        .fix(Fix::new("start the CVM from an image you allow, or allow this one after looking at it"))
}

/// The hash is an expected one, and only a name so far.
fn only_named(check: &CheckDef) -> Finding {
    check
        .warn()
        .expected("known-good registers that belong to this hash: a hash alone is a name, which any system can give itself")
        .fix(measure())
}

fn measure() -> Fix {
    Fix::new("give known-good MRTD and RTMR0 to RTMR2 for the image, which dstack-mr computes from its files")
        .command("dstack-mr measure --json --cpu=N --memory=BYTES IMAGE/metadata.json")
}

fn vm_config(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let config = match read_config(subject) {
        Ok(Some(config)) => config,
        Ok(None) => return check.not_applicable(),
        Err(why) => return check.unknown(why),
    };
    let hash = match config.image_hash() {
        Ok(hash) => hash,
        Err(error) => return check.unknown(format!("vm_config's os_image_hash: {error}")),
    };
    let shape = config.shape();
    let mut wrong = Vec::new();
    let mut agree = Vec::new();
    if let (Some(stated), Some(logged)) = (hash, subject.system.os_image_hash) {
        if stated == logged {
            agree.push(format!("OS image hash {stated}"));
        } else {
            wrong.push(format!("vm_config names OS image {stated}, the log {logged}"));
        }
    }
    if let Some(measurement) = &config.tdx_measurement {
        match lite(measurement, hash) {
            Ok(()) => agree.push("the TDX lite material fits the hash".to_owned()),
            Err(Lite::Wrong(what)) => wrong.push(what),
            Err(Lite::Unreadable(why)) if wrong.is_empty() => return check.unknown(why).observed(shape),
            Err(Lite::Unreadable(_)) => {}
        }
    }
    if !wrong.is_empty() {
        return check
            .fail()
            .observed(list(&wrong))
            .expected("one and the same OS image everywhere")
            .evidence("vm_config", shape)
            .fix(Fix::new("do not rely on vm_config: it is not that of the boot that the log is from"));
    }
    let shape = if shape.is_empty() { "no shape".to_owned() } else { shape };
    if agree.is_empty() {
        return check.not_applicable().observed(shape);
    }
    check
        .pass()
        .observed(format!("{shape}\n{}", list(&agree)))
        .trusting("vm_config, which the host wrote and nothing measures")
}

enum Lite {
    Unreadable(String),
    Wrong(String),
}

impl From<base64::DecodeError> for Lite {
    fn from(error: base64::DecodeError) -> Self {
        Self::Unreadable(format!("vm_config's tdx_measurement is not base64: {error}"))
    }
}

/// Does the material of TDX lite hang together? A list of checksums has the OS image hash, and one of its lines the
/// hash of the measurement document. Nothing here ties either to the registers.
fn lite(measurement: &TdxMeasurement, hash: Option<Digest32>) -> Result<(), Lite> {
    let list = STANDARD.decode(&measurement.checksum_file)?;
    let document = STANDARD.decode(&measurement.measurement)?;
    let Some(stated) = hash else {
        return Err(Lite::Unreadable("vm_config has a tdx_measurement and no os_image_hash".to_owned()));
    };
    let digest = hash::sha256(&[&list]);
    if digest != stated {
        return Err(Lite::Wrong(format!(
            "tdx_measurement's list of checksums hashes to {digest}, not {stated}"
        )));
    }
    let list = Checksums::parse(&list)
        .map_err(|error| Lite::Unreadable(format!("tdx_measurement's list of checksums: {error}")))?;
    match list.get(TDX_MEASUREMENT_FILE) {
        None => Err(Lite::Wrong(format!(
            "tdx_measurement's list of checksums does not list {TDX_MEASUREMENT_FILE}"
        ))),
        Some(listed) if listed != hash::sha256(&[&document]) => Err(Lite::Wrong(format!(
            "tdx_measurement's document is not the {TDX_MEASUREMENT_FILE} that is listed"
        ))),
        Some(_) => Ok(()),
    }
}

fn mr_system(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    on_registers(check, subject, |report| {
        let Part::Read(_) = &subject.log else {
            return check.unknown("there is no log that names the key provider");
        };
        let found = report.measurements.mr_system(subject.system.key_provider_payload.as_deref());
        let allowed = &subject.policy.mr_system;
        let finding = if allowed.is_empty() {
            check.not_applicable()
        } else if allowed.contains(&found) {
            check.pass().trusting("the expected mr_system, which the caller gave")
        } else {
            check.fail().expected(format!("mr_system {}", one_of(allowed))).fix(Fix::new(
                "compare the OS image, the VM's shape and the key provider with those expected",
            ))
        };
        finding.observed(format!("mr_system {found}"))
    })
}

fn mr_aggregated(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    on_registers(check, subject, |report| {
        let found = report.measurements.mr_aggregated(&report.creator);
        let allowed = &subject.policy.mr_aggregated;
        let observed = format!("mr_aggregated {found}");
        let reported = subject.evidence.mr_aggregated.as_deref().filter(|text| !text.is_empty());
        let reported: Option<Result<Digest32, HexError>> = reported.map(parse_hex);
        let mut wrong = Vec::new();
        if !allowed.is_empty() && !allowed.contains(&found) {
            wrong.push(format!("expected {}", one_of(allowed)));
        }
        // Agents that do not know the digest report zeros.
        if let Some(Ok(stated)) = &reported
            && !stated.is_zero()
            && *stated != found
        {
            wrong.push(format!("reported {stated}"));
        }
        if !wrong.is_empty() {
            return check.fail().observed(observed).expected(list(&wrong)).fix(Fix::new(
                "make sure that quote and report are of one and the same CVM, and that it is the one you expect",
            ));
        }
        if !allowed.is_empty() {
            return check
                .pass()
                .observed(observed)
                .trusting("the expected mr_aggregated, which the caller gave");
        }
        match reported {
            Some(Err(error)) => {
                check.unknown(format!("the reported mr_aggregated: {error}")).observed(observed)
            }
            // That the agent reports what the quote gives is no expectation of anybody's.
            Some(Ok(_)) | None => check.not_applicable().observed(observed),
        }
    })
}
