//! A host in a temporary folder, set up twice: what was changed is found and named, and nothing else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;
use crate::Reading;
use crate::source::{
    CpuidRegisters, DiskSpace, FileMeta, HostSource, KvmCapabilities, LiveHost, Origin, Probe, ProbeOutput,
    RawKernelLog,
};

/// What must never be in a snapshot.
const PLANTED: &str = "d34db33fc0ffee";

/// A tree of files with the programs of a host that answer from memory.
struct Fake {
    tree: LiveHost,
    units: String,
    vsock: String,
}

impl HostSource for Fake {
    fn origin(&self) -> Origin {
        Origin::Tree
    }
    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
        self.tree.cpuid(leaf, subleaf)
    }
    fn msr(&self, cpu: u32, address: u32) -> Reading<u64> {
        self.tree.msr(cpu, address)
    }
    fn read(&self, path: &str) -> Reading<Vec<u8>> {
        self.tree.read(path)
    }
    fn digest(&self, path: &str) -> Reading<String> {
        self.tree.digest(path)
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.tree.list(path).map_err(looked_for)
    }
    fn stat(&self, path: &str) -> Reading<FileMeta> {
        // Names of owners are those of the tree; numbers are those of whoever runs the test.
        let meta = self.tree.stat(path).map_err(looked_for)?;
        Ok(FileMeta { owner: Some("root".to_owned()), group: Some("root".to_owned()), ..meta })
    }
    fn kernel_log(&self) -> Reading<RawKernelLog> {
        self.tree.kernel_log()
    }
    fn kvm(&self) -> Reading<KvmCapabilities> {
        self.tree.kvm()
    }
    fn disk(&self, path: &str) -> Reading<DiskSpace> {
        self.tree.disk(path)
    }
    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput> {
        let stdout = match probe {
            Probe::UnitFiles => self.units.clone(),
            Probe::Units => "Id=qgsd.service\nLoadState=loaded\nActiveState=active\n".to_owned(),
            Probe::VsockListeners => self.vsock.clone(),
            _ => return Err(Unread::Absent),
        };
        Ok(ProbeOutput { status: Some(0), stdout, stderr: String::new() })
    }
}

/// The tree is all there is of this host: what is not in `/dev` or `/run` is not there.
fn looked_for(why: Unread) -> Unread {
    if why == Unread::NotRecorded { Unread::Absent } else { why }
}

fn write(root: &Path, path: &str, mode: u32, content: &str) {
    let file = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
}

const TCP: &str = "  sl  local_address rem_address   st\n   0: 0100007F:2378 00000000:0000 0A\n";
const UNITS: &str = "dstack-vmm.service enabled enabled\nqgsd.service enabled enabled\n";
const VSOCK: &str = "v_str LISTEN 0 0 *:4050 *:*\n";
const DPKG: &str = "Package: qemu-system-x86\nStatus: hold ok installed\nVersion: 1:8.2.2+ds-0ubuntu1.4+tdx1.1\n\n\
                    Package: libc6\nStatus: install ok installed\nVersion: 2.39-0ubuntu8.3\n";

/// A small host as a tutorial leaves it.
fn host() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(
        root,
        "/etc/os-release",
        0o644,
        "ID=ubuntu\nVERSION_ID=\"24.04\"\nPRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\n",
    );
    write(root, "/proc/sys/kernel/osrelease", 0o444, "6.8.0-1028-intel\n");
    write(root, "/proc/sys/kernel/hostname", 0o444, "tdx-7\n");
    write(root, "/proc/cmdline", 0o444, "root=UUID=3e6be9de-8139-11d1-9106-a43f08d823a6 nohibernate\n");
    write(root, "/proc/net/tcp", 0o444, TCP);
    fs::create_dir_all(root.join("run/systemd/system")).unwrap();
    write(root, "/proc/modules", 0o444, "kvm_intel 1 0 - Live 0x0\nvhost_vsock 1 0 - Live 0x0\n");
    write(root, "/proc/mounts", 0o444, "/dev/x / ext4 rw 0 0\n");
    write(root, "/sys/module/kvm_intel/parameters/tdx", 0o444, "Y\n");
    write(
        root,
        "/etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/bash\nqgsd:x:995:994::/var/opt/qgsd:/sbin/nologin\n",
    );
    write(root, "/etc/group", 0o644, "root:x:0:\nqgsd:x:994:\nsgx_prv:x:993:qgsd\n");
    write(root, "/var/lib/dpkg/status", 0o644, DPKG);
    write(root, "/etc/default/grub", 0o644, "GRUB_CMDLINE_LINUX=\"nohibernate\"\n");
    write(root, "/etc/sysctl.d/90-dstack.conf", 0o644, "vm.nr_hugepages=512\n");
    write(
        root,
        "/etc/dstack/vmm.toml",
        0o640,
        &format!(
            "address = \"127.0.0.1:9080\"\n[cvm]\ncid_start = 1000\n[auth]\nenabled = true\ntokens = [\"{PLANTED}\"]\n"
        ),
    );
    write(root, "/etc/dstack/vmm-auth-token", 0o600, PLANTED);
    write(root, "/root/.dstack/secrets/sepolia-private-key", 0o600, PLANTED);
    write(root, "/etc/letsencrypt/live/app.example.com/privkey.pem", 0o600, PLANTED);
    write(
        root,
        "/etc/systemd/system/dstack-vmm.service",
        0o644,
        "[Service]\nExecStart=/usr/local/bin/dstack-vmm\n",
    );
    write(root, "/usr/local/bin/dstack-vmm", 0o755, "program\n");
    symlink("dstack-vmm", root.join("usr/local/bin/vmm")).unwrap();
    folder
}

fn fake(root: &Path) -> Fake {
    Fake { tree: LiveHost::at(root).unwrap(), units: UNITS.to_owned(), vsock: VSOCK.to_owned() }
}

fn take(root: &Path) -> HostSnapshot {
    HostSnapshot::take(&fake(root), &SnapshotSpec::builtin())
}

/// What differs after `change`, one line a difference with its meaning.
fn after(change: impl FnOnce(&Path)) -> Vec<String> {
    let folder = host();
    let before = take(folder.path());
    change(folder.path());
    lines(&diff(&before, &take(folder.path()), &DiffRules::builtin()))
}

fn lines(found: &SnapshotDiff) -> Vec<String> {
    let line = |difference: &Difference| {
        let meaning = difference.severity().map_or("may differ", Severity::word);
        format!("{difference} [{meaning}]")
    };
    let unknown = found.unknown.iter().map(|unknown| format!("{unknown} [unknown]"));
    found.differences.iter().map(line).chain(unknown).collect()
}

#[test]
fn twice_is_the_same() {
    let folder = host();
    let (first, second) = (take(folder.path()), take(folder.path()));
    assert_eq!(first, second);
    let found = diff(&first, &second, &DiffRules::builtin());
    assert_eq!(lines(&found), [""; 0]);
    assert_eq!(found.outcome, Outcome::Same);
    // And it is a snapshot of something.
    assert!(first.files.items.len() > 8 && first.packages.items.len() == 2 && first.units.items.len() == 2);
}

#[test]
fn a_snapshot_read_again_is_the_same() {
    let folder = host();
    let taken = take(folder.path()).label("host").made_by("test 1");
    let read = HostSnapshot::from_json(&taken.to_json()).unwrap();
    assert_eq!(read, taken);
    assert_eq!(read.to_json(), taken.to_json());
}

#[test]
fn no_secret_no_address_and_no_name_is_in_it() {
    let folder = host();
    let json = take(folder.path()).to_json();
    assert!(json.contains("vmm-auth-token") && json.contains("sepolia-private-key"), "they are recorded");
    for planted in [PLANTED, "tdx-7", "3e6be9de-8139", "app.example.com"] {
        assert!(!json.contains(planted), "{planted} is in {json}");
    }
    // Nor in a digest: a token could be found by trying.
    let digest = hex::encode(ring::digest::digest(&ring::digest::SHA256, PLANTED.as_bytes()));
    assert!(!json.contains(&digest));
}

#[test]
fn every_change_is_found_and_named() {
    let all = [
        after(|root| write(root, "/etc/sysctl.d/90-dstack.conf", 0o644, "vm.nr_hugepages=1024\n")),
        after(|root| write(root, "/etc/sysctl.d/90-dstack.conf", 0o666, "vm.nr_hugepages=512\n")),
        after(|root| write(root, "/etc/sysctl.d/91-more.conf", 0o644, "x\n")),
        after(|root| fs::remove_file(root.join("etc/sysctl.d/90-dstack.conf")).unwrap()),
        after(|root| write(root, "/etc/dstack/vmm-auth-token", 0o644, PLANTED)),
        after(|root| fs::remove_file(root.join("etc/dstack/vmm-auth-token")).unwrap()),
        after(|root| {
            write(
                root,
                "/etc/dstack/vmm.toml",
                0o640,
                "address = \"0.0.0.0:9080\"\n[cvm]\ncid_start = 33000\n[auth]\nenabled = false\ntokens = []\n",
            );
        }),
        after(|root| fs::remove_file(root.join("etc/dstack/vmm.toml")).unwrap()),
        after(|root| {
            write(root, "/etc/default/grub", 0o644, "GRUB_CMDLINE_LINUX=\"nohibernate kvm_intel.tdx=1\"\n");
        }),
        after(|root| {
            write(
                root,
                "/proc/cmdline",
                0o444,
                "root=UUID=00000000-8139-11d1-9106-a43f08d823a6 nohibernate kvm_intel.tdx=1\n",
            );
        }),
        after(|root| write(root, "/proc/sys/kernel/osrelease", 0o444, "6.8.0-1029-intel\n")),
        after(|root| write(root, "/proc/sys/kernel/osrelease", 0o444, "6.8.0-51-generic\n")),
        after(|root| write(root, "/var/lib/dpkg/status", 0o644, &DPKG.replace("hold ok", "install ok"))),
        after(|root| write(root, "/var/lib/dpkg/status", 0o644, &DPKG.replace("1.4+tdx1.1", "1.6"))),
        after(|root| write(root, "/var/lib/dpkg/status", 0o644, &DPKG.replace("8.3", "8.4"))),
        after(|root| {
            fs::remove_file(root.join("usr/local/bin/vmm")).unwrap();
            symlink("dstack-vmm-old", root.join("usr/local/bin/vmm")).unwrap();
        }),
        after(|root| write(root, "/proc/net/tcp", 0o444, &TCP.replace("0100007F", "00000000"))),
        after(|root| {
            write(root, "/proc/net/tcp", 0o444, &format!("{TCP}   1: 00000000:9C40 00000000:0000 0A\n"));
        }),
        after(|root| write(root, "/etc/group", 0o644, "root:x:0:\nqgsd:x:994:\nsgx_prv:x:993:\n")),
        after(|root| {
            let passwd = "root:x:0:0:root:/root:/bin/bash\nqgsd:x:0:994::/var/opt/qgsd:/sbin/nologin\n";
            write(root, "/etc/passwd", 0o644, passwd);
        }),
        after(|root| write(root, "/proc/modules", 0o444, "kvm_intel 1 0 - Live 0x0\n")),
        after(|root| write(root, "/sys/module/kvm_intel/parameters/tdx", 0o444, "N\n")),
        after(|root| write(root, "/etc/sudoers.d/me", 0o440, "me ALL=(ALL) NOPASSWD:ALL\n")),
    ];
    let text: Vec<String> = all.iter().map(|lines| lines.join("\n")).collect();
    insta::assert_snapshot!(text.join("\n---\n"));
    assert!(all.iter().all(|lines| !lines.is_empty()));
}

#[test]
fn units_and_vsock() {
    let folder = host();
    let spec = SnapshotSpec::builtin();
    let before = HostSnapshot::take(&fake(folder.path()), &spec);
    let other = Fake {
        units: "dstack-vmm.service disabled enabled\nnew.timer enabled enabled\n".to_owned(),
        vsock: String::new(),
        ..fake(folder.path())
    };
    let found = diff(&before, &HostSnapshot::take(&other, &spec), &DiffRules::builtin());
    insta::assert_snapshot!(lines(&found).join("\n"));
}

#[test]
fn what_was_not_read_is_neither_equal_nor_different() {
    let folder = host();
    let before = take(folder.path());
    let mut other = before.clone();
    let why = || super::super::record::NotRead { unread: Unread::NotPermitted };
    // A folder that must not be listed hides what is in it.
    other.files.items.retain(|path, _| !path.starts_with("/etc/letsencrypt"));
    other.files.items.insert("/etc/letsencrypt/live".to_owned(), super::super::Seen::Unread(why()));
    other.packages = super::super::Section::not_read(Unread::TooLarge);
    if let Some(super::super::Seen::Value(file)) = other.files.items.get_mut("/etc/sysctl.d/90-dstack.conf") {
        file.sha256 = Some(super::super::Seen::Unread(why()));
    }
    let found = diff(&before, &other, &DiffRules::builtin());
    insta::assert_snapshot!(lines(&found).join("\n"));
    assert_eq!(found.outcome, Outcome::Undetermined);
    assert!(found.is_empty());
    // The same on both sides is still not equal.
    let found = diff(&other, &other, &DiffRules::builtin());
    assert_eq!(found.outcome, Outcome::Undetermined);
}

#[test]
fn what_was_not_looked_for_is_not_missing() {
    let folder = host();
    write(folder.path(), "/etc/nftables.mine", 0o644, "x\n");
    let more = SnapshotSpec::from_toml(
        "schema = \"dstack-hw/snapshot-spec/v1\"\n[[files]]\npaths = [\"/etc/nftables.*\"]\nabout = \"mine\"\n",
    )
    .unwrap();
    let with = HostSnapshot::take(&fake(folder.path()), &more);
    let found = diff(&take(folder.path()), &with, &DiffRules::builtin());
    assert_eq!(lines(&found), ["files /etc/nftables.mine: not looked for (first) [unknown]"]);
}

#[test]
fn rules_of_the_user_come_first() {
    let rules = DiffRules::from_toml(
        "schema = \"dstack-hw/diff-rules/v1\"\n[[rule]]\nsection = \"files\"\nsubject = \"/etc/sysctl.d/*\"\nattribute = \"sha256\"\nmay-differ = \"tuned by hand\"\n",
    )
    .unwrap();
    let folder = host();
    let before = take(folder.path());
    write(folder.path(), "/etc/sysctl.d/90-dstack.conf", 0o644, "other\n");
    let after = take(folder.path());
    let found = diff(&before, &after, &rules);
    assert_eq!(found.outcome, Outcome::Equivalent);
    assert_eq!(found.differences[0].why(), "tuned by hand");
    assert_eq!(diff(&before, &after, &DiffRules::builtin()).outcome, Outcome::Different);
}

#[test]
fn the_form_for_programs() {
    let folder = host();
    let before = take(folder.path()).label("by-hand");
    write(folder.path(), "/etc/dstack/vmm-auth-token", 0o644, PLANTED);
    let after = take(folder.path()).label("by-role");
    insta::assert_snapshot!(diff(&before, &after, &DiffRules::builtin()).to_json());
}

#[test]
fn snapshots_that_cannot_be_read_say_why() {
    let wrong = |text: &str| HostSnapshot::from_json(text).unwrap_err().to_string();
    let folder = host();
    let json = take(folder.path()).to_json();
    let all = [
        wrong(""),
        wrong("{}"),
        wrong("{\"schema\": \"dstack-hw/snapshot/v2\"}"),
        wrong("{\"schema\": \"dstack-hw/snapshot/v1\"}"),
        wrong("[1]"),
        wrong(&"[".repeat(100_000)),
    ];
    insta::assert_snapshot!(all.join("\n"));
    let cut = json.get(..json.len() / 2).unwrap();
    assert!(wrong(cut).contains("EOF while parsing"), "{}", wrong(cut));
}

proptest::proptest! {
    #[test]
    fn what_differs_is_what_is_named(
        a in proptest::collection::btree_map("[a-d]{1,2}", "[1-3]\\.[0-9]", 0..8),
        b in proptest::collection::btree_map("[a-d]{1,2}", "[1-3]\\.[0-9]", 0..8),
    ) {
        let snapshot = |packages: &std::collections::BTreeMap<String, String>| {
            let status: String = packages
                .iter()
                .map(|(name, version)| format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n"))
                .collect();
            let host = crate::source::Readings::empty_host().file("/var/lib/dpkg/status", status);
            HostSnapshot::take(&host, &SnapshotSpec::builtin())
        };
        let found = diff(&snapshot(&a), &snapshot(&b), &DiffRules::builtin());
        let named: BTreeSet<&str> = found.differences.iter().map(|difference| difference.subject.as_str()).collect();
        let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        let wanted: BTreeSet<&str> =
            names.into_iter().filter(|name| a.get(*name) != b.get(*name)).map(String::as_str).collect();
        proptest::prop_assert_eq!(named, wanted);
    }
}
