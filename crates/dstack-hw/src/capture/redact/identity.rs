//! What a host and its users are called: learned from the host, taken out everywhere.

use std::collections::BTreeSet;

use crate::source::HostSource;

/// Names that say nothing about a host, and that texts are full of. A host that is called like this keeps its name.
const COMMON: [&str; 78] = [
    "acpi",
    "admin",
    "amd",
    "amd64",
    "bios",
    "boot",
    "build",
    "builder",
    "bare",
    "centos",
    "client",
    "cloud",
    "compute",
    "core",
    "cpu",
    "data",
    "debian",
    "dell",
    "desktop",
    "dev",
    "disk",
    "docker",
    "dstack",
    "efi",
    "epyc",
    "fedora",
    "gateway",
    "gpu",
    "guest",
    "h100",
    "h200",
    "b200",
    "home",
    "host",
    "hostname",
    "hpe",
    "hypervisor",
    "intel",
    "kernel",
    "kms",
    "kvm",
    "lab",
    "lenovo",
    "linux",
    "local",
    "localdomain",
    "localhost",
    "main",
    "master",
    "memory",
    "metal",
    "network",
    "node",
    "none",
    "nvidia",
    "pci",
    "prod",
    "qemu",
    "rhel",
    "root",
    "server",
    "sev",
    "sgx",
    "snp",
    "supermicro",
    "suse",
    "system",
    "systemd",
    "tdx",
    "test",
    "tme",
    "ubuntu",
    "unknown",
    "usb",
    "user",
    "virtual",
    "vm",
    "worker",
];

/// Accounts of people begin here, on every distribution that is checked for.
const FIRST_PERSON: u32 = 1000;

/// `nobody`, and those above: not people.
const NOBODY: u32 = 65_534;

/// What a host and its users are called.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// Names of the host, longest first: with the domain, without it.
    pub(super) hosts: Vec<String>,
    /// The domain it is in.
    pub(super) domain: Option<String>,
    /// The names of people's accounts.
    pub(super) users: BTreeSet<String>,
}

impl Identity {
    /// Asks a host for its names. What cannot be read is not learned.
    pub(super) fn learn(source: &dyn HostSource) -> Self {
        let mut identity = Self::default();
        for path in ["/proc/sys/kernel/hostname", "/etc/hostname"] {
            if let Ok(text) = source.text(path) {
                identity.add_host(
                    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')),
                );
            }
        }
        if let Ok(log) = source.kernel_log() {
            identity.learn_from_log(&log.text);
        }
        if let Ok(text) = source.text("/proc/sys/kernel/domainname") {
            identity.add_domain(text.trim());
        }
        if let Ok(passwd) = source.text("/etc/passwd") {
            identity.users = people(&passwd);
        }
        identity.hosts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        identity.hosts.dedup();
        identity
    }

    /// systemd says `Hostname set to <NAME>.`, and a journal puts the name in front of every line.
    fn learn_from_log(&mut self, log: &str) {
        for line in log.lines() {
            if let Some((_, rest)) =
                line.split_once("ostname set to <").or_else(|| line.split_once("et hostname to <"))
            {
                self.add_host(rest.split('>').next());
            }
        }
    }

    fn add_host(&mut self, name: Option<&str>) {
        let Some(name) = name.map(|name| name.trim_end_matches('.')).filter(|name| is_host_name(name)) else {
            return;
        };
        let (short, domain) =
            name.split_once('.').map_or((name, None), |(short, domain)| (short, Some(domain)));
        if domain.is_some() && !is_common(name) {
            self.hosts.push(name.to_owned());
        }
        if !is_common(short) {
            self.hosts.push(short.to_owned());
        }
        if let Some(domain) = domain {
            self.add_domain(domain);
        }
    }

    fn add_domain(&mut self, domain: &str) {
        let domain = domain.trim_matches('.');
        if is_host_name(domain) && !is_common(domain) && domain.len() > 3 && self.domain.is_none() {
            self.domain = Some(domain.to_owned());
        }
    }
}

/// Too common to be told from the words of a text, or too short. So are names made of nothing but such words: a host that
/// is called `tdx-guest` has the name of a device.
fn is_common(name: &str) -> bool {
    name.len() < 3
        || name.bytes().all(|byte| byte.is_ascii_digit())
        || name
            .split(['-', '_', '.'])
            .all(|word| COMMON.iter().any(|common| common.eq_ignore_ascii_case(word)))
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// The names of people's accounts in `/etc/passwd`.
pub(super) fn people(passwd: &str) -> BTreeSet<String> {
    let person = |line: &str| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (FIRST_PERSON..NOBODY).contains(&number.parse().ok()?).then(|| name.to_owned())
    };
    passwd.lines().filter_map(person).filter(|name| !name.is_empty() && !name.starts_with('<')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Readings;

    #[test]
    fn names_are_learned_from_the_host_and_its_log() {
        let host = Readings::nothing_known()
            .file("/proc/sys/kernel/hostname", "node7.corp.example\n")
            .file("/etc/hostname", "# set by hand\nold-name\n")
            .file("/etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000:Alice,,,:/home/alice:/bin/sh\nnobody:x:65534:65534::/:/\n");
        let identity = Identity::learn(&host);
        assert_eq!(identity.hosts, ["node7.corp.example", "old-name", "node7"]);
        assert_eq!(identity.domain.as_deref(), Some("corp.example"));
        assert_eq!(identity.users, BTreeSet::from(["alice".to_owned()]));
    }

    #[test]
    fn a_host_that_is_called_like_a_word_of_the_kernel_keeps_its_name() {
        for name in ["tdx", "Ubuntu", "localhost", "42", "vm", "(none)", "tdx-guest", "sev-guest", "gpu-node"]
        {
            let host = Readings::nothing_known().file("/proc/sys/kernel/hostname", name);
            assert!(Identity::learn(&host).hosts.is_empty(), "{name}");
        }
    }
}
