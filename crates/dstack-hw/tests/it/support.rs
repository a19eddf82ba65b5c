//! Fixtures, and sources that change what another source says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use dstack_check::{Finding, Report, Status};
use dstack_hw::capture::{Capture, MadeBy};
use dstack_hw::source::{
    CpuidRegisters, DiskSpace, FileKind, FileMeta, HostSource, KvmCapabilities, LogOrigin, Origin, Probe,
    ProbeOutput, RawKernelLog, Readings, TreeHost,
};
use dstack_hw::{Assessment, CollectOptions, HostFacts, Profile, Reading, Unread, checks};

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The recorded outputs, by name.
pub(crate) fn recorded() -> BTreeMap<String, Readings> {
    let files = std::fs::read_dir(fixtures().join("recorded")).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let capture = Capture::from_bytes(&std::fs::read(&path).unwrap());
            (name, capture.unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_readings())
        })
        .collect()
}

/// One recorded output.
pub(crate) fn recording(name: &str) -> Readings {
    let bytes = std::fs::read(fixtures().join(format!("recorded/{name}.json"))).unwrap();
    Capture::from_bytes(&bytes).unwrap().into_readings()
}

/// The synthetic hosts, with the profile each is looked at for.
pub(crate) const HOSTS: [(&str, &str); 14] = [
    ("container", "tdx-host"),
    ("firmware-off", "tdx-host"),
    ("gpu-host", "gpu"),
    ("healthy-2404-intel", "tdx-host-with-kms"),
    ("healthy-2510-mainline", "tdx-host-with-kms"),
    ("healthy-2604-mainline", "tdx-host-with-kms"),
    ("healthy-snp", "snp-host"),
    ("no-root", "tdx-host-with-kms"),
    ("qemu-mismatch", "tdx-host"),
    ("sgx-off-kms", "tdx-host-with-kms"),
    ("socket-mismatch", "tdx-host"),
    ("td-guest", "tdx-guest"),
    ("vm", "tdx-host"),
    ("wrapped-log", "tdx-host-with-kms"),
];

pub(crate) fn host(name: &str) -> TreeHost {
    TreeHost::open(fixtures().join("hosts").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn facts(source: &dyn HostSource) -> HostFacts {
    HostFacts::collect(source, CollectOptions::default())
}

/// A built-in profile, or `sgx`: the checks of SGX alone.
pub(crate) fn profile(name: &str) -> Profile {
    let sgx = "name = 'sgx'\nabout = 'SGX alone'\nrequired = ['hw.sgx.*']\n";
    if name == "sgx" { Profile::from_toml(sgx).unwrap() } else { Profile::builtin(name).unwrap() }
}

pub(crate) fn assess(source: &dyn HostSource, name: &str) -> Assessment {
    Assessment::of("test", &facts(source), &profile(name))
}

pub(crate) fn record(source: &dyn HostSource) -> Capture {
    Capture::record(source, CollectOptions::default(), MadeBy::new("test", "1.0.0"))
}

/// What a check says of a source, whatever it stands on.
pub(crate) fn ask(source: &dyn HostSource, id: &str) -> Finding {
    checks::get(id).unwrap_or_else(|| panic!("there is no {id}")).run(&facts(source))
}

/// What every check says, whatever it stands on.
pub(crate) fn ask_all(facts: &HostFacts) -> Vec<Finding> {
    checks::all().map(|check| check.run(facts)).collect()
}

pub(crate) fn statuses(findings: &[Finding]) -> Vec<(&str, &'static str)> {
    findings.iter().map(|finding| (finding.id.as_str(), finding.status.word())).collect()
}

pub(crate) fn failed(report: &Report) -> Vec<&str> {
    let failed = report.findings().iter().filter(|finding| finding.status == Status::Fail);
    failed.map(|finding| finding.id.as_str()).collect()
}

/// Everything a finding says, in one text.
pub(crate) fn words(finding: &Finding) -> String {
    format!("{finding:?}")
}

/// A source with some of its answers changed.
pub(crate) struct Changed<'a> {
    base: &'a dyn HostSource,
    cpuid: BTreeMap<(u32, u32), CpuidRegisters>,
    msrs: BTreeMap<(Option<u32>, u32), Reading<u64>>,
    files: BTreeMap<String, Reading<Vec<u8>>>,
    folders: BTreeMap<String, Vec<String>>,
    stats: BTreeMap<String, FileMeta>,
    gone: BTreeSet<String>,
    log: Option<Reading<RawKernelLog>>,
    kvm: Option<Reading<KvmCapabilities>>,
    probes: BTreeMap<Probe, Reading<ProbeOutput>>,
    disk: Option<DiskSpace>,
}

impl<'a> Changed<'a> {
    pub(crate) fn new(base: &'a dyn HostSource) -> Self {
        Self {
            base,
            cpuid: BTreeMap::new(),
            msrs: BTreeMap::new(),
            files: BTreeMap::new(),
            folders: BTreeMap::new(),
            stats: BTreeMap::new(),
            gone: BTreeSet::new(),
            log: None,
            kvm: None,
            probes: BTreeMap::new(),
            disk: None,
        }
    }

    pub(crate) fn leaf(mut self, leaf: u32, change: impl FnOnce(&mut CpuidRegisters)) -> Self {
        let mut registers = HostSource::cpuid(&self, leaf, 0).unwrap_or_default();
        change(&mut registers);
        self.cpuid.insert((leaf, 0), registers);
        self
    }

    /// No section of enclave memory in CPUID.
    pub(crate) fn no_sections(mut self) -> Self {
        self.cpuid.extend((2..5).map(|subleaf| ((0x12, subleaf), CpuidRegisters::default())));
        self
    }

    /// The register of every CPU.
    pub(crate) fn register(mut self, address: u32, value: u64) -> Self {
        self.msrs.insert((None, address), Ok(value));
        self
    }

    pub(crate) fn register_of(mut self, cpu: u32, address: u32, value: u64) -> Self {
        self.msrs.insert((Some(cpu), address), Ok(value));
        self
    }

    pub(crate) fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), Ok(content.into()));
        self
    }

    /// A file of text with something replaced that must be there.
    pub(crate) fn replace(self, path: &str, from: &str, to: &str) -> Self {
        let text = self.text(path).unwrap_or_else(|why| panic!("{path}: {why}"));
        assert!(text.contains(from), "{path} has no {from:?}: {text}");
        let text = text.replace(from, to);
        self.file(path, text)
    }

    pub(crate) fn folder(mut self, path: &str, names: &[&str]) -> Self {
        self.folders.insert(path.to_owned(), names.iter().map(|&name| name.to_owned()).collect());
        self
    }

    pub(crate) fn meta(mut self, path: &str, kind: FileKind, mode: u32, group: &str) -> Self {
        let meta = FileMeta {
            kind,
            mode,
            uid: 0,
            gid: if group == "root" { 0 } else { 100 },
            owner: Some("root".to_owned()),
            group: Some(group.to_owned()),
            size: 0,
            device: (kind == FileKind::CharacterDevice).then_some((10, 0)),
            target: None,
        };
        self.stats.insert(path.to_owned(), meta);
        self
    }

    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        self = self.meta(path, FileKind::Link, 0o777, "root");
        self.stats.get_mut(path).unwrap().target = Some(target.to_owned());
        self
    }

    /// Takes a path away, with everything below it.
    pub(crate) fn gone(mut self, path: &str) -> Self {
        let stays = |listed: &String| !is_at_or_below(listed, path);
        self.files.retain(|listed, _| stays(listed));
        self.folders.retain(|listed, _| stays(listed));
        self.stats.retain(|listed, _| stays(listed));
        self.gone.insert(path.to_owned());
        self
    }

    /// Changes the lines of the kernel log.
    pub(crate) fn log(mut self, change: impl FnMut(&str) -> Option<String>) -> Self {
        let log = self.kernel_log().unwrap();
        let text = log.text.lines().filter_map(change).fold(String::new(), |all, line| all + &line + "\n");
        self.log = Some(Ok(RawKernelLog { text, ..log }));
        self
    }

    /// Takes the lines with this text out of the kernel log.
    pub(crate) fn log_without(self, text: &str) -> Self {
        self.log(|line| (!line.contains(text)).then(|| line.to_owned()))
    }

    /// Adds a line to the end of the kernel log.
    pub(crate) fn log_line(mut self, line: &str) -> Self {
        let mut log = self.kernel_log().unwrap_or_else(|_| RawKernelLog {
            from: LogOrigin::Pasted,
            from_boot: None,
            text: String::new(),
        });
        log.text.push_str(line);
        log.text.push('\n');
        self.log = Some(Ok(log));
        self
    }

    pub(crate) fn vm_types(mut self, reading: Reading<u64>) -> Self {
        self.kvm = Some(reading.map(|vm_types| KvmCapabilities { api_version: 12, vm_types }));
        self
    }

    pub(crate) fn says(mut self, probe: Probe, stdout: &str) -> Self {
        let output = ProbeOutput { status: Some(0), stdout: stdout.to_owned(), stderr: String::new() };
        self.probes.insert(probe, Ok(output));
        self
    }

    pub(crate) fn says_replace(self, probe: Probe, from: &str, to: &str) -> Self {
        let stdout = HostSource::probe(&self, &probe).unwrap().stdout;
        assert!(stdout.contains(from), "{probe:?} has no {from:?}");
        self.says(probe, &stdout.replace(from, to))
    }

    pub(crate) fn silent(mut self, probe: Probe, why: Unread) -> Self {
        self.probes.insert(probe, Err(why));
        self
    }

    pub(crate) fn space(mut self, total: u64, available: u64) -> Self {
        self.disk = Some(DiskSpace { total, available });
        self
    }

    fn is_gone(&self, path: &str) -> bool {
        self.gone.iter().any(|gone| is_at_or_below(path, gone))
    }
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl HostSource for Changed<'_> {
    fn origin(&self) -> Origin {
        self.base.origin()
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
        self.cpuid.get(&(leaf, subleaf)).copied().map_or_else(|| self.base.cpuid(leaf, subleaf), Ok)
    }

    fn msr(&self, cpu: u32, address: u32) -> Reading<u64> {
        let changed = self.msrs.get(&(Some(cpu), address)).or_else(|| self.msrs.get(&(None, address)));
        changed.cloned().unwrap_or_else(|| self.base.msr(cpu, address))
    }

    fn read(&self, path: &str) -> Reading<Vec<u8>> {
        if let Some(content) = self.files.get(path) {
            return content.clone();
        }
        if self.is_gone(path) { Err(Unread::Absent) } else { self.base.read(path) }
    }

    fn digest(&self, path: &str) -> Reading<String> {
        if self.is_gone(path) { Err(Unread::Absent) } else { self.base.digest(path) }
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        if let Some(names) = self.folders.get(path) {
            return Ok(names.clone());
        }
        if self.is_gone(path) {
            return Err(Unread::Absent);
        }
        let mut names = self.base.list(path)?;
        names.retain(|name| !self.is_gone(&format!("{path}/{name}")));
        Ok(names)
    }

    fn stat(&self, path: &str) -> Reading<FileMeta> {
        if let Some(meta) = self.stats.get(path) {
            return Ok(meta.clone());
        }
        let plain = |kind, mode| FileMeta {
            kind,
            mode,
            uid: 0,
            gid: 0,
            owner: Some("root".to_owned()),
            group: Some("root".to_owned()),
            size: 0,
            device: None,
            target: None,
        };
        match (self.files.get(path), self.folders.get(path)) {
            (Some(Ok(_)), _) => Ok(plain(FileKind::File, 0o644)),
            (Some(Err(why)), _) => Err(why.clone()),
            (None, Some(_)) => Ok(plain(FileKind::Folder, 0o755)),
            (None, None) if self.is_gone(path) => Err(Unread::Absent),
            (None, None) => self.base.stat(path),
        }
    }

    fn disk(&self, path: &str) -> Reading<DiskSpace> {
        self.disk.map_or_else(|| self.base.disk(path), Ok)
    }

    fn kernel_log(&self) -> Reading<RawKernelLog> {
        self.log.clone().unwrap_or_else(|| self.base.kernel_log())
    }

    fn kvm(&self) -> Reading<KvmCapabilities> {
        self.kvm.clone().unwrap_or_else(|| self.base.kvm())
    }

    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput> {
        self.probes.get(probe).cloned().unwrap_or_else(|| self.base.probe(probe))
    }
}

/// What a source was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Question {
    Cpuid(u32, u32),
    Msr(u32, u32),
    Read(String),
    Digest(String),
    List(String),
    Stat(String),
    Disk(String),
    KernelLog,
    Kvm,
    Probe(Probe),
}

/// Why a question is not answered; `None` lets it pass.
type Refuse<'a> = dyn Fn(&Question) -> Option<Unread> + Sync + 'a;

/// A source that keeps what it is asked, and may refuse to answer.
pub(crate) struct Spy<'a> {
    base: &'a dyn HostSource,
    asked: Mutex<BTreeSet<Question>>,
    refuse: Box<Refuse<'a>>,
}

impl<'a> Spy<'a> {
    pub(crate) fn new(base: &'a dyn HostSource) -> Self {
        Self::refusing(base, |_| None)
    }

    pub(crate) fn refusing(
        base: &'a dyn HostSource,
        refuse: impl Fn(&Question) -> Option<Unread> + Sync + 'a,
    ) -> Self {
        Self { base, asked: Mutex::new(BTreeSet::new()), refuse: Box::new(refuse) }
    }

    pub(crate) fn asked(self) -> BTreeSet<Question> {
        self.asked.into_inner().unwrap()
    }

    fn ask<T>(&self, question: Question, answer: impl FnOnce() -> Reading<T>) -> Reading<T> {
        let refused = (self.refuse)(&question);
        self.asked.lock().unwrap().insert(question);
        refused.map_or_else(answer, Err)
    }
}

impl HostSource for Spy<'_> {
    fn origin(&self) -> Origin {
        self.base.origin()
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
        self.ask(Question::Cpuid(leaf, subleaf), || self.base.cpuid(leaf, subleaf))
    }

    fn msr(&self, cpu: u32, address: u32) -> Reading<u64> {
        self.ask(Question::Msr(cpu, address), || self.base.msr(cpu, address))
    }

    fn read(&self, path: &str) -> Reading<Vec<u8>> {
        self.ask(Question::Read(path.to_owned()), || self.base.read(path))
    }

    fn digest(&self, path: &str) -> Reading<String> {
        self.ask(Question::Digest(path.to_owned()), || self.base.digest(path))
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.ask(Question::List(path.to_owned()), || self.base.list(path))
    }

    fn stat(&self, path: &str) -> Reading<FileMeta> {
        self.ask(Question::Stat(path.to_owned()), || self.base.stat(path))
    }

    fn disk(&self, path: &str) -> Reading<DiskSpace> {
        self.ask(Question::Disk(path.to_owned()), || self.base.disk(path))
    }

    fn kernel_log(&self) -> Reading<RawKernelLog> {
        self.ask(Question::KernelLog, || self.base.kernel_log())
    }

    fn kvm(&self) -> Reading<KvmCapabilities> {
        self.ask(Question::Kvm, || self.base.kvm())
    }

    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput> {
        self.ask(Question::Probe(probe.clone()), || self.base.probe(probe))
    }
}
