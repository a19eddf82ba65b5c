//! What holds for every source.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use dstack_check::{Finding, Status};
use dstack_hw::capture::Capture;
use dstack_hw::source::{CpuidRegisters, HostSource, Readings};
use dstack_hw::{HostFacts, Profile, Requirement, Unread, checks};
use proptest::prelude::*;

use crate::support::{
    Changed, HOSTS, Question, Spy, ask_all, assess, facts, failed, host, record, recorded, statuses,
};

/// Every source there is: recordings and hosts, by name.
fn sources() -> BTreeMap<String, Box<dyn HostSource>> {
    let recorded =
        recorded().into_iter().map(|(name, readings)| (name, Box::new(readings) as Box<dyn HostSource>));
    let hosts =
        HOSTS.iter().map(|(name, _)| ((*name).to_owned(), Box::new(host(name)) as Box<dyn HostSource>));
    recorded.chain(hosts).collect()
}

/// The hosts' captures, made once: mutated fixtures start from them.
static CAPTURES: LazyLock<Vec<Readings>> = LazyLock::new(|| {
    HOSTS
        .iter()
        .map(|(name, _)| record(&host(name)).into_readings())
        .chain(recorded().into_values())
        .collect()
});

#[test]
fn a_capture_says_what_its_host_said() {
    let mut wrong = String::new();
    for (name, source) in sources() {
        let before = facts(source.as_ref());
        let capture = record(source.as_ref());
        let json = capture.to_json();
        let again = Capture::from_json(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again, capture, "{name}: JSON keeps everything");
        assert_eq!(again.to_json(), json, "{name}: JSON is stable");
        let after = facts(again.readings());
        for (before, after) in ask_all(&before).iter().zip(ask_all(&after)) {
            if before.status.word() != after.status.word() {
                wrong.push_str(&format!("{name}: {before:?}\n   became {after:?}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Fails with the first lines in which the readings of two captures differ.
fn same(name: &str, one: &Capture, other: &Capture) {
    let readings = |capture: &Capture| {
        let json = capture.to_json();
        let from = json.find("\"readings\"").unwrap();
        json[from..].lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, other) = (readings(one), readings(other));
    let differ = one.iter().zip(&other).find(|(one, other)| one != other);
    assert!(one == other, "{name}: {differ:?}, {} and {} lines", one.len(), other.len());
}

#[test]
fn a_capture_of_a_capture_is_the_capture() {
    for (name, source) in sources() {
        let once = record(source.as_ref());
        let twice = record(once.readings());
        same(&name, &once, &twice);
    }
}

#[test]
fn collecting_twice_says_the_same() {
    for (name, source) in sources() {
        assert_eq!(
            statuses(&ask_all(&facts(source.as_ref()))),
            statuses(&ask_all(&facts(source.as_ref()))),
            "{name}"
        );
    }
}

/// What every finding owes its reader.
fn owes(name: &str, finding: &Finding) -> Vec<String> {
    let mut wrong = Vec::new();
    let id = &finding.id;
    if matches!(finding.status, Status::Fail | Status::Warn) && finding.fix.is_none() {
        wrong.push(format!("{name}: {id} is {} and does not say what to do", finding.status.word()));
    }
    if matches!(finding.status, Status::Pass | Status::Warn | Status::Fail)
        && finding.observed.is_none()
        && finding.evidence.is_empty()
    {
        wrong.push(format!("{name}: {id} is {} and does not say why", finding.status.word()));
    }
    if finding.status == Status::Fail && finding.evidence.is_empty() {
        wrong.push(format!("{name}: {id} fails without evidence"));
    }
    if finding.status == Status::Fail && finding.expected.is_none() {
        wrong.push(format!("{name}: {id} fails and does not say what was expected"));
    }
    if let Status::Unknown { why } = &finding.status
        && why.trim().is_empty()
    {
        wrong.push(format!("{name}: {id} is unknown for no reason"));
    }
    if finding.fix.as_ref().is_some_and(|fix| fix.action.trim().is_empty()) {
        wrong.push(format!("{name}: {id} has a fix without words"));
    }
    wrong
}

#[test]
fn every_finding_says_what_it_rests_on_and_what_to_do() {
    let mut wrong = Vec::new();
    for (name, source) in sources() {
        for finding in ask_all(&facts(source.as_ref())) {
            wrong.extend(owes(&name, &finding));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_catalogue_is_sound() {
    let mut ids = BTreeSet::new();
    for check in checks::all() {
        assert!(ids.insert(check.def.id), "{} is there twice", check.def.id);
        assert!(check.def.id.starts_with(&format!("hw.{}.", check.def.layer)), "{}", check.def.id);
        for parent in check.def.parents {
            assert!(
                ids.contains(parent),
                "{} stands on {parent}, which comes later or is not there",
                check.def.id
            );
        }
    }
    assert!(ids.len() >= 70, "{} checks", ids.len());
    for name in Profile::builtin_names() {
        let profile = Profile::builtin(name).unwrap();
        let required = profile.checks().filter(|(_, requirement)| *requirement == Requirement::Required);
        for (check, _) in required {
            assert!(checks::get(check.def.id).is_some(), "{name}: {}", check.def.id);
        }
    }
}

#[test]
fn nothing_that_is_unreadable_fails_and_nothing_that_is_unknown_passes() {
    // Hosts of which nothing can be read, for each reason there is.
    for why in [
        Unread::NotPermitted,
        Unread::NotRecorded,
        Unread::NotAsked,
        Unread::TooLarge,
        Unread::TimedOut,
        Unread::Failed("input/output error".to_owned()),
    ] {
        let nothing = Readings::nothing_known();
        let dark = Spy::refusing(&nothing, |_| Some(why.clone()));
        for finding in ask_all(&facts(&dark)) {
            assert!(
                matches!(finding.status, Status::Unknown { .. } | Status::NotApplicable | Status::Warn),
                "{why:?}: {finding:?}"
            );
            // What this user may not open is an answer to what this user may.
            let about_rights = finding.id.as_str() == "hw.kvm.device" && why == Unread::NotPermitted
                || finding.id.as_str() == "hw.environment.privilege";
            assert!(finding.status != Status::Warn || about_rights, "{why:?}: {finding:?}");
        }
    }
}

/// A number from a seed and a question, to choose questions by.
fn draw(seed: u64, question: &Question) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, question).hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// What a healthy host hides from a user without rights does not turn into a failure.
    #[test]
    fn hiding_readings_of_a_healthy_host_makes_nothing_fail(seed: u64, share in 1_u64..100, which in 0_usize..5) {
        let (name, profile) = [
            ("healthy-2404-intel", "tdx-host-with-kms"),
            ("healthy-2604-mainline", "tdx-host-with-kms"),
            ("healthy-snp", "snp-host"),
            ("gpu-host", "gpu"),
            ("td-guest", "tdx-guest"),
        ][which];
        let host = host(name);
        let hidden = Spy::refusing(&host, |question| {
            // CPUID answers everybody or nobody.
            let question = if matches!(question, Question::Cpuid(..)) { &Question::Cpuid(0, 0) } else { question };
            (draw(seed, question) % 100 < share).then_some(Unread::NotPermitted)
        });
        let assessment = assess(&hidden, profile);
        prop_assert!(failed(&assessment.report).is_empty(), "{name}: {:#?}", assessment.deciding());
    }

    /// Files that are missing, cut or garbled, registers with bits flipped, logs with noise: an answer each time.
    #[test]
    fn no_change_to_a_fixture_makes_it_panic(
        which in 0_usize..HOSTS.len() + 52,
        seed: u64,
        share in 1_u64..60,
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        flip in 0_u32..64,
    ) {
        let base = &CAPTURES[which % CAPTURES.len()];
        let spoiled = Spoiled { base, seed, share, noise: &noise, flip };
        let facts = facts(&spoiled);
        for finding in ask_all(&facts) {
            let wrong = owes("spoiled", &finding);
            prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
        // What was collected can be shown, and what was shown is JSON.
        prop_assert!(serde_json::to_string(&facts).is_ok());
        // And kept: the capture says the same.
        let capture = record(&spoiled);
        let again = Capture::from_json(&capture.to_json()).unwrap();
        same("spoiled", &capture, &again);
        prop_assert!(again == capture, "JSON lost something that it does not show");
    }

    /// A capture that is cut or garbled is an error or another capture, never a panic.
    #[test]
    fn a_garbled_capture_is_an_error(which in 0_usize..HOSTS.len() + 52, at: prop::sample::Index, byte: u8, cut: bool) {
        let mut json = Capture::to_json(&record(&CAPTURES[which % CAPTURES.len()])).into_bytes();
        let at = at.index(json.len());
        if cut { json.truncate(at) } else { json[at] = byte }
        match Capture::from_bytes(&json) {
            Ok(capture) => { let _ = ask_all(&facts(capture.readings())); }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

/// A source some of whose answers are wrong.
struct Spoiled<'a> {
    base: &'a Readings,
    seed: u64,
    share: u64,
    noise: &'a [u8],
    flip: u32,
}

impl Spoiled<'_> {
    /// How to spoil the answer to this question; `None` leaves it.
    fn how(&self, question: &Question) -> Option<u64> {
        let drawn = draw(self.seed, question);
        (drawn % 100 < self.share).then_some(drawn / 100)
    }

    fn bytes(&self, how: u64, mut bytes: Vec<u8>) -> dstack_hw::Reading<Vec<u8>> {
        let at = usize::try_from(how >> 8).unwrap_or(0) % (bytes.len() + 1);
        match how % 6 {
            0 => return Err(Unread::Absent),
            1 => return Err(Unread::Failed("input/output error".to_owned())),
            2 => bytes.truncate(at),
            3 => bytes = self.noise.to_vec(),
            4 => drop(bytes.splice(at..at, self.noise.iter().copied())),
            _ => bytes.reverse(),
        }
        Ok(bytes)
    }

    fn text(&self, how: u64, text: String) -> dstack_hw::Reading<String> {
        self.bytes(how, text.into_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl HostSource for Spoiled<'_> {
    fn origin(&self) -> dstack_hw::source::Origin {
        self.base.origin()
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> dstack_hw::Reading<CpuidRegisters> {
        let mut registers = self.base.cpuid(leaf, subleaf)?;
        if let Some(how) = self.how(&Question::Cpuid(leaf, subleaf)) {
            let bit = 1_u32 << (self.flip % 32);
            match how % 6 {
                0 => registers.eax ^= bit,
                1 => registers.ebx ^= bit,
                2 => registers.ecx ^= bit,
                3 => registers.edx ^= bit,
                4 => registers = CpuidRegisters { eax: !0, ebx: !0, ecx: !0, edx: !0 },
                _ => return Err(Unread::Absent),
            }
        }
        Ok(registers)
    }

    fn msr(&self, cpu: u32, address: u32) -> dstack_hw::Reading<u64> {
        let value = self.base.msr_value(cpu, address)?;
        match self.how(&Question::Msr(cpu, address)) {
            None => Ok(value),
            Some(how) if how % 4 == 0 => Err(Unread::NotPermitted),
            Some(how) if how % 4 == 1 => Ok(!value),
            Some(_) => Ok(value ^ 1 << self.flip),
        }
    }

    fn read(&self, path: &str) -> dstack_hw::Reading<Vec<u8>> {
        let bytes = self.base.read(path)?;
        match self.how(&Question::Read(path.to_owned())) {
            None => Ok(bytes),
            Some(how) => self.bytes(how, bytes),
        }
    }

    fn digest(&self, path: &str) -> dstack_hw::Reading<String> {
        self.base.digest(path)
    }

    fn list(&self, path: &str) -> dstack_hw::Reading<Vec<String>> {
        let mut names = self.base.list(path)?;
        match self.how(&Question::List(path.to_owned())) {
            None => {}
            Some(how) if how % 3 == 0 => names.clear(),
            Some(how) if how % 3 == 1 => names.push(String::from_utf8_lossy(self.noise).into_owned()),
            Some(_) => names.extend((0..300).map(|n| format!("{n}"))),
        }
        Ok(names)
    }

    fn stat(&self, path: &str) -> dstack_hw::Reading<dstack_hw::source::FileMeta> {
        let mut meta = self.base.stat(path)?;
        match self.how(&Question::Stat(path.to_owned())) {
            None => {}
            Some(how) if how % 3 == 0 => return Err(Unread::Absent),
            Some(how) if how % 3 == 1 => meta.mode ^= 0o777,
            Some(_) => meta.target = Some(String::from_utf8_lossy(self.noise).into_owned()),
        }
        Ok(meta)
    }

    fn disk(&self, path: &str) -> dstack_hw::Reading<dstack_hw::source::DiskSpace> {
        let mut space = self.base.disk(path)?;
        if self.how(&Question::Disk(path.to_owned())).is_some() {
            space.available = u64::MAX;
            space.total = 0;
        }
        Ok(space)
    }

    fn kernel_log(&self) -> dstack_hw::Reading<dstack_hw::source::RawKernelLog> {
        let mut log = self.base.kernel_log()?;
        if let Some(how) = self.how(&Question::KernelLog) {
            log.text = self.text(how, log.text)?;
        }
        Ok(log)
    }

    fn kvm(&self) -> dstack_hw::Reading<dstack_hw::source::KvmCapabilities> {
        let mut kvm = self.base.kvm()?;
        if self.how(&Question::Kvm).is_some() {
            kvm.vm_types ^= 1 << self.flip;
            kvm.api_version = -1;
        }
        Ok(kvm)
    }

    fn probe(&self, probe: &dstack_hw::source::Probe) -> dstack_hw::Reading<dstack_hw::source::ProbeOutput> {
        let mut output = self.base.probe(probe)?;
        if let Some(how) = self.how(&Question::Probe(probe.clone())) {
            output.stdout = self.text(how, output.stdout)?;
            if how % 2 == 0 {
                output.status = None;
            }
        }
        Ok(output)
    }
}

#[test]
fn what_is_asked_of_a_host_is_bounded() {
    for (name, source) in sources() {
        let spy = Spy::new(source.as_ref());
        let _ = facts(&spy);
        let asked = spy.asked();
        assert!(asked.len() < 2_000, "{name}: {} questions", asked.len());
    }
    // And so with a host that claims to have no end of everything.
    let host = host("gpu-host");
    let many: Vec<String> = (0..60_000).map(|n| format!("cpu{n}")).collect();
    let names: Vec<&str> = many.iter().map(String::as_str).collect();
    let devices: Vec<String> = (0..60_000).map(|n| format!("{n:04x}:00:00.0")).collect();
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    let endless = Changed::new(&host)
        .folder("/sys/devices/system/cpu", &names)
        .folder("/sys/devices/system/node", &names)
        .folder("/sys/bus/pci/devices", &devices)
        .file("/sys/devices/system/cpu/online", "0-4294967295\n")
        .file("/sys/devices/system/cpu/present", "0-4294967295\n")
        .file("/sys/devices/system/node/online", "0-4294967295\n");
    let spy = Spy::new(&endless);
    let facts: HostFacts = facts(&spy);
    assert_eq!(ask_all(&facts).len(), checks::all().count());
    let asked = spy.asked().len();
    assert!(asked < 500_000, "{asked} questions");
}
