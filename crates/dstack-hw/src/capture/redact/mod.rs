//! What identifies a host, its users or its network is taken out before a capture is shared.
//!
//! | what | becomes |
//! |---|---|
//! | MAC addresses and world-wide names | `<mac-1>` |
//! | IP addresses, except loopback, unspecified, masks and those for documentation | `<ip-1>`; in `/proc/net/tcp` and its kin an address for documentation |
//! | the host's name and domain, learned from the host and replaced wherever they stand as words | `<host-1>`, `<domain-1>` |
//! | hosts in URLs, except `localhost`, `*.intel.com`, `*.amd.com`, `*.nvidia.com`, `pccs.phala.network` and the servers of distributions and registries of images | `host-1.invalid` |
//! | users in URLs | `redacted` |
//! | names of people's accounts, in paths below `/home`, in owners, `/etc/passwd` and `/etc/group` | `<user-1>` |
//! | serial numbers, asset and service tags, in texts, below `/sys` and in the SMBIOS tables | `<serial-1>`, blanks in tables |
//! | UUIDs, labels and names of disks and partitions | `<uuid-1>`, `<disk-1>` |
//! | keys, tokens, passwords, PEM blocks | `<secret-1>`, `<pem-1>` |
//! | e-mail addresses | `<email-1>` |
//! | machine ids, PPIDs, QE ids, other words of 32 or of 128 and more hex digits | `<id-1>` |
//! | who built a kernel, unless a distribution did | `<builder-1>` |
//! | files that cannot be redacted: UEFI variables beyond the few that are looked at, other binary files, environments of processes, private keys | left out: not recorded |
//!
//! The same value has the same placeholder everywhere. Redacting twice changes nothing.
//!
//! A host whose name is a word that such texts are full of, or is made of such words (`tdx`, `gpu-node`), keeps its name in
//! texts: taking it out would take the messages apart, and it tells nothing.

mod accounts;
mod addresses;
mod dmi;
mod efi;
mod files;
mod identity;
mod names;
mod sockets;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::identity::Identity;
use self::names::{Kind, Names};
use crate::source::{FileMeta, HostSource, Probe, Readings};
use crate::{Reading, Unread};

/// What was taken out of a capture, for whoever is about to share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct Redaction {
    /// The rules that were applied.
    pub rules: Vec<String>,
    /// How many different values each rule replaced. A rule that found nothing is not listed.
    pub replaced: BTreeMap<String, usize>,
}

/// The rule for files that are left out.
const LEFT_OUT: &str = "left-out-files";

/// The CPUID leaf of the processor serial number, which no processor since the Pentium III has.
const SERIAL_LEAF: u32 = 3;

/// Registers that number a processor: the protected processor inventory numbers of Intel and AMD.
const SERIAL_REGISTERS: [u32; 2] = [0x4f, 0xc001_02f1];

/// Takes out of readings what identifies the host that they are from.
pub(super) fn redact(readings: Readings, source: &dyn HostSource) -> (Readings, Redaction) {
    let mut redactor = Redactor::new(Identity::learn(source));
    redactor.reserve(&readings);
    let readings = redactor.readings(readings);
    let mut rules: Vec<String> = Kind::ALL.iter().map(|kind| kind.rule().to_owned()).collect();
    rules.push(LEFT_OUT.to_owned());
    let mut replaced = redactor.names.counts();
    if redactor.left_out > 0 {
        replaced.insert(LEFT_OUT.to_owned(), redactor.left_out);
    }
    (readings, Redaction { rules, replaced })
}

/// What is known while a capture is redacted.
struct Redactor {
    identity: Identity,
    names: Names,
    left_out: usize,
}

impl Redactor {
    fn new(identity: Identity) -> Self {
        Self { identity, names: Names::default(), left_out: 0 }
    }

    /// Notes the placeholders that are there already.
    fn reserve(&mut self, readings: &Readings) {
        for content in readings.files.values().flatten() {
            self.names.reserve(&String::from_utf8_lossy(content));
        }
        for output in readings.probes.values().flatten() {
            self.names.reserve(&output.stdout);
            self.names.reserve(&output.stderr);
        }
        if let Ok(log) = &readings.kernel_log {
            self.names.reserve(&log.text);
        }
        for path in readings.files.keys().chain(readings.stats.keys()).chain(readings.folders.keys()) {
            self.names.reserve(path);
        }
        for meta in readings.stats.values().flatten() {
            self.names.reserve(meta.owner.as_deref().unwrap_or_default());
            self.names.reserve(meta.group.as_deref().unwrap_or_default());
        }
    }

    fn readings(&mut self, mut readings: Readings) -> Readings {
        readings.cpuid.retain(|(leaf, _), _| *leaf != SERIAL_LEAF);
        readings.msrs.retain(|(_, address), _| !SERIAL_REGISTERS.contains(address));
        readings.kernel_log = self.reading(readings.kernel_log, |redactor, mut log| {
            log.text = redactor.text(&log.text);
            log
        });
        readings.kvm = self.reading(readings.kvm, |_, kvm| kvm);
        readings.files = self.keyed(readings.files, |redactor, path, content| redactor.file(path, content));
        readings.digests = self.keyed(readings.digests, |_, _, digest| digest);
        readings.folders = self.keyed(readings.folders, |redactor, path, names| {
            names.map(|names| redactor.names_in_folder(path, names))
        });
        readings.stats = self.keyed(readings.stats, |redactor, _, meta| meta.map(|meta| redactor.meta(meta)));
        readings.disks = self.keyed(readings.disks, |_, _, space| space);
        readings.probes = std::mem::take(&mut readings.probes)
            .into_iter()
            .map(|(probe, output)| {
                let output = self.reading(output, |redactor, mut output| {
                    output.stdout = redactor.text(&output.stdout);
                    output.stderr = redactor.text(&output.stderr);
                    output
                });
                (self.probe(probe), output)
            })
            .collect();
        readings
    }

    /// Redacts a value, or the words of why there is none.
    fn reading<T>(&mut self, reading: Reading<T>, redact: impl FnOnce(&mut Self, T) -> T) -> Reading<T> {
        match reading {
            Ok(value) => Ok(redact(self, value)),
            Err(Unread::Failed(why)) => Err(Unread::Failed(self.text(&why))),
            Err(why) => Err(why),
        }
    }

    /// Redacts what is kept by path, and the paths.
    fn keyed<T>(
        &mut self,
        readings: BTreeMap<String, Reading<T>>,
        mut redact: impl FnMut(&mut Self, &str, Reading<T>) -> Reading<T>,
    ) -> BTreeMap<String, Reading<T>> {
        readings
            .into_iter()
            .map(|(path, reading)| {
                let reading = redact(self, &path, reading);
                let reading = self.reading(reading, |_, value| value);
                (self.path(&path), reading)
            })
            .collect()
    }

    /// A path. The GUIDs at the end of the names of UEFI variables name their vendors and stay; and what is below these
    /// folders was named by the kernel, whatever the host is called.
    fn path(&mut self, path: &str) -> String {
        if path.starts_with(efi::FOLDER) {
            path.to_owned()
        } else if ["/dev/", "/sys/", "/proc/"].iter().any(|folder| path.starts_with(folder)) {
            self.text_apart_from_hosts(path)
        } else {
            self.text(path)
        }
    }

    fn names_in_folder(&mut self, path: &str, mut names: Vec<String>) -> Vec<String> {
        if path == efi::FOLDER {
            names.sort();
            return names;
        }
        // The folder's path says what its names are: those in `/home` are users.
        let folder = format!("{}/", path.trim_end_matches('/'));
        let kept = self.path(&folder);
        let mut names: Vec<String> = names
            .into_iter()
            .map(|name| {
                let whole = self.path(&format!("{folder}{name}"));
                whole.strip_prefix(&kept).map_or_else(|| self.text(&name), str::to_owned)
            })
            .collect();
        names.sort();
        names
    }

    fn meta(&mut self, mut meta: FileMeta) -> FileMeta {
        meta.owner = meta.owner.map(|name| self.account(&name));
        meta.group = meta.group.map(|name| self.account(&name));
        meta.target = meta.target.map(|target| self.text(&target));
        meta
    }

    /// The name of an account: people's become placeholders.
    fn account(&mut self, name: &str) -> String {
        if self.identity.users.contains(name) {
            self.names.placeholder(Kind::User, name)
        } else {
            name.to_owned()
        }
    }

    fn probe(&mut self, probe: Probe) -> Probe {
        match probe {
            Probe::CollateralService { url } => Probe::CollateralService { url: self.text(&url) },
            Probe::ProgramVersion { path } => Probe::ProgramVersion { path: self.text(&path) },
            other => other,
        }
    }
}
