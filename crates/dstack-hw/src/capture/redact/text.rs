//! Texts: what identifies somebody is replaced where its form or its context shows it.

use std::net::IpAddr;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Redactor;
use super::addresses::{ips, macs, says_something};
use super::names::Kind;

/// Hosts that everybody talks to: naming them tells nothing. A name that begins with a point stands for everything below.
const PUBLIC_HOSTS: [&str; 25] = [
    "localhost",
    "host.docker.internal",
    ".intel.com",
    ".amd.com",
    ".nvidia.com",
    "pccs.phala.network",
    "global.acccache.azure.net",
    "github.com",
    ".githubusercontent.com",
    "ghcr.io",
    "docker.io",
    ".docker.io",
    ".docker.com",
    ".ubuntu.com",
    ".canonical.com",
    "launchpad.net",
    ".launchpad.net",
    ".launchpadcontent.net",
    ".debian.org",
    ".kernel.org",
    ".systemd.io",
    ".example.com",
    "example.com",
    ".invalid",
    ".local.invalid",
];

/// Suffixes of systemd's units: `getty@tty1.service` is not an e-mail address.
const UNIT_SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// Builders of distributions, whose names are no secret.
const PUBLIC_BUILDERS: [&str; 5] = ["buildd@", "mockbuild@", "geeko@", "root@localhost", "debian-kernel@"];

/// A rule of this module: a pattern, and which group of it is replaced by what.
struct Rule {
    pattern: Regex,
    group: usize,
    kind: Kind,
}

impl Rule {
    fn new(pattern: &str, group: usize, kind: Kind) -> Option<Self> {
        // The patterns are constants; a test compiles them all.
        Regex::new(pattern).ok().map(|pattern| Self { pattern, group, kind })
    }
}

/// Values after a word that says what they are. None begins with `<`: that is a placeholder.
const CONTEXTS: [(&str, usize, Kind); 14] = [
    (
        r#"(?i-u)\b(?:api[-_ ]?key|[a-z_-]*token[a-z_]*|[a-z_-]*password|passwd|passphrase|[a-z_-]*secret(?:_?key)?|subscription-key)["']?[ \t]*[:=][ \t]*["']?((?u-i:[^ \t\r\n"',;&}<)])(?u-i:[^ \t\r\n"',;&}])*)"#,
        1,
        Kind::Secret,
    ),
    (
        r#"(?i-u)\bauthorization["']?[ \t]*[:=][ \t]*["']?((?:bearer|basic|digest)?[ \t]*(?u-i:[^ \t\r\n"'<])(?u-i:[^"'\r\n])*)"#,
        1,
        Kind::Secret,
    ),
    (r"(?-u)\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", 0, Kind::Secret),
    (
        r#"(?i-u)\b(?:enc_?ppid|encrypted_?ppid|ppid|qe_?id|ppin|platform_?id|platform_?instance_?id)["']?[ \t]*[:=][ \t]*["']?(?:0x)?([0-9a-f]{12,})"#,
        1,
        Kind::Id,
    ),
    (
        r#"(?i-u)\b(?:serial[-_ ]?(?:number|no\.?)?|s/n|sn|asset[-_ ]?tag|service[-_ ]?tag)["']?[ \t]*[:=][ \t]*["']?((?u-i:[^ \t\r\n"',;)<])(?u-i:[^ \t\r\n"',;)]){2,})"#,
        1,
        Kind::Serial,
    ),
    (r#"(?-u)\b(?:PART)?(?:UUID|LABEL)="?((?u-i:[^ \t\r\n"<,])(?u-i:[^ \t\r\n",])*)"#, 1, Kind::Disk),
    (r"(?-u)/dev/disk/by-[a-z]+/((?u-i:[^ \t\r\n:<,])(?u-i:[^ \t\r\n:,])*)", 1, Kind::Disk),
    (r"(?-u)/dev/mapper/((?u-i:[^ \t\r\n:<,])(?u-i:[^ \t\r\n:,])*)", 1, Kind::Disk),
    (
        r"(?i-u)\b(?:naa\.|eui\.|nvme\.|wwn[-:= ]+(?:0x)?|sas[_ ]addr(?:ess)?[ =:(]+(?:0x)?)([0-9a-f][0-9a-f.-]{7,}[0-9a-z_.-]*)",
        1,
        Kind::Disk,
    ),
    (r"(?-u)\biqn\.[0-9]{4}-[0-9]{2}\.(?u-i:[^ \t\r\n,;])+", 0, Kind::Disk),
    (r"(?-u)\b(?:enx|wlx)([0-9a-f]{12})\b", 1, Kind::Mac),
    (r"(?-u)/(?:home|Users)/([A-Za-z0-9_.-]+)", 1, Kind::User),
    (r"(?-u)\b(?:systemd\.)?hostname=([A-Za-z0-9_.-]+)", 1, Kind::Host),
    (r"(?-u)\bnfs: server ([A-Za-z0-9_.-]+)", 1, Kind::Host),
];

static CONTEXT_RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    CONTEXTS.iter().filter_map(|&(pattern, group, kind)| Rule::new(pattern, group, kind)).collect()
});

/// Identifiers that show by their form: `systemd`'s machine ids and Intel's subscription keys have 32 hex digits,
/// hashes of user tokens and encrypted identities 128 and more. SHA-256 has 64 and SHA-384 96; both stay.
const FORMS: [(&str, usize, Kind); 3] = [
    (r"(?-u)\b[0-9A-Fa-f]{32}\b", 0, Kind::Id),
    (r"(?-u)\b[0-9A-Fa-f]{128,}\b", 0, Kind::Id),
    // GUIDs of InfiniBand ports.
    (r"(?i-u)\bguid[ =:]+(?:0x)?([0-9a-f]{4}(?::[0-9a-f]{4}){3}|[0-9a-f]{16})\b", 1, Kind::Id),
];

static FORM_RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    FORMS.iter().filter_map(|&(pattern, group, kind)| Rule::new(pattern, group, kind)).collect()
});

static PEM: LazyLock<Option<Rule>> = LazyLock::new(|| {
    Rule::new(r"-----BEGIN [A-Z0-9 ]+-----(?s-u:[\x00-\x7f]*?)-----END [A-Z0-9 ]+-----", 0, Kind::Pem)
});

static UUID: LazyLock<Option<Rule>> = LazyLock::new(|| {
    Rule::new(
        r"(?-u)[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
        0,
        Kind::Uuid,
    )
});

static EMAIL: LazyLock<Option<Rule>> = LazyLock::new(|| {
    Rule::new(r"(?-u)[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.([A-Za-z]{2,})\b", 0, Kind::Email)
});

static BUILDER: LazyLock<Option<Rule>> = LazyLock::new(|| {
    Rule::new(
        r"Linux version (?u-i:[^ \t\r\n(])+ \(((?u-i:[^ \t\r\n()<])+@(?u-i:[^ \t\r\n()])+)\)",
        1,
        Kind::Builder,
    )
});

static URL: LazyLock<Option<Rule>> = LazyLock::new(|| {
    Rule::new(r#"(?i-u)\b[a-z][a-z0-9+.-]{1,11}://((?u-i:[^ \t\r\n/"'<>,;)?#])+)"#, 1, Kind::Host)
});

static ACCOUNT: LazyLock<Option<Rule>> = LazyLock::new(|| {
    Rule::new(r"(?i-u)\b(?:user|logname|sudo_user|owner|uname)=([a-z_][a-z0-9_.-]*)", 1, Kind::User)
});

impl Redactor {
    /// Takes out of a text what identifies somebody. Doing it again changes nothing.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut text = self.text_apart_from_hosts(text);
        self.hosts(&mut text);
        text
    }

    /// [`Redactor::text`] without looking for the names of the host, for what the kernel named.
    pub(super) fn text_apart_from_hosts(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        self.apply(&PEM, &mut text, |_, _| true);
        self.urls(&mut text);
        self.apply(&BUILDER, &mut text, |_, builder| {
            !PUBLIC_BUILDERS.iter().any(|public| builder.starts_with(public))
        });
        for rule in CONTEXT_RULES.iter() {
            self.apply_rule(rule, &mut text, |_, value| is_worth_it(value));
        }
        self.apply(&EMAIL, &mut text, |found, address| {
            // What became of a user in a URL is none.
            !address.starts_with("redacted@")
                && !found.get(1).is_some_and(|end| UNIT_SUFFIXES.contains(&end.as_str()))
        });
        self.apply(&UUID, &mut text, |_, _| true);
        replace(&mut text, &macs, |mac| Some(self.names.placeholder(Kind::Mac, &mac.to_ascii_lowercase())));
        let addresses = |text: &str| ips(text).into_iter().map(|(range, _)| range).collect();
        replace(&mut text, &addresses, |ip| Some(self.names.placeholder(Kind::Ip, &ip.to_ascii_lowercase())));
        for rule in FORM_RULES.iter() {
            self.apply_rule(rule, &mut text, |_, _| true);
        }
        let users = self.identity.users.clone();
        self.apply(&ACCOUNT, &mut text, |_, name| users.contains(name));
        text
    }

    fn apply(
        &mut self,
        rule: &LazyLock<Option<Rule>>,
        text: &mut String,
        wanted: impl Fn(&Captures<'_>, &str) -> bool,
    ) {
        if let Some(rule) = rule.as_ref() {
            self.apply_rule(rule, text, wanted);
        }
    }

    fn apply_rule(&mut self, rule: &Rule, text: &mut String, wanted: impl Fn(&Captures<'_>, &str) -> bool) {
        let mut found = Vec::new();
        for captures in rule.pattern.captures_iter(text) {
            if let Some(value) = captures.get(rule.group)
                && wanted(&captures, value.as_str())
            {
                found.push(value.range());
            }
        }
        replace(text, &|_: &str| found.clone(), |value| Some(self.names.placeholder(rule.kind, value)));
    }

    /// The authority of URLs: users go, and hosts that are not public.
    fn urls(&mut self, text: &mut String) {
        let Some(rule) = URL.as_ref() else { return };
        let authorities = |text: &str| {
            rule.pattern
                .captures_iter(text)
                .filter_map(|found| Some(found.get(rule.group)?.range()))
                .collect()
        };
        replace(text, &authorities, |authority| self.authority(authority));
    }

    fn authority(&mut self, authority: &str) -> Option<String> {
        let (user, place) =
            authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port),
            None => place.rfind(':').map_or((place, ""), |colon| place.split_at(colon)),
        };
        let user = match user {
            Some("redacted") | None => None,
            Some(user) => {
                self.names.number(Kind::Secret, user);
                Some("redacted")
            }
        };
        let host_stays = is_public(host);
        if user.is_none() && host_stays {
            return None;
        }
        let host = if host_stays {
            place.strip_suffix(port).unwrap_or(place).to_owned()
        } else {
            self.url_host(host)
        };
        let user = user.map_or_else(String::new, |user| format!("{user}@"));
        Some(format!("{user}{host}{port}"))
    }

    /// A name in place of a host, that is still a name where a URL is read: `.invalid` is kept free for such uses
    /// (RFC 2606). It has the number of the placeholder of the same host elsewhere.
    pub(super) fn url_host(&mut self, host: &str) -> String {
        format!("host-{}.invalid", self.names.number(Kind::Host, &host.to_ascii_lowercase()))
    }

    /// The names of the host and its domain, wherever they stand as words.
    fn hosts(&mut self, text: &mut String) {
        for name in self.identity.hosts.clone() {
            let words = |text: &str| words(text, &name);
            // The name with the domain and the one without are one host.
            let short = name.split('.').next().unwrap_or(&name).to_ascii_lowercase();
            replace(text, &words, |_| Some(self.names.placeholder(Kind::Host, &short)));
        }
        if let Some(domain) = self.identity.domain.clone() {
            let words = |text: &str| words(text, &domain);
            replace(text, &words, |_| {
                Some(self.names.placeholder(Kind::Domain, &domain.to_ascii_lowercase()))
            });
        }
    }
}

/// Small numbers after `SerialNumber=` are indices of strings, and `Serial: 8250/16550` is a driver.
fn is_worth_it(value: &str) -> bool {
    !value.starts_with("8250") && !value.starts_with("(null)") && value != "null"
}

fn is_public(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return !says_something(address);
    }
    PUBLIC_HOSTS.iter().any(|public| {
        host.get(host.len().saturating_sub(public.len())..)
            .is_some_and(|end| end.eq_ignore_ascii_case(public))
            && (public.starts_with('.') || host.len() == public.len())
    })
}

/// Where a name stands as a word: nothing that could be part of a name with it is next to it. Letter case does not count
/// where the name has a digit or a dash in it, and so is no word of a language.
fn words(text: &str, name: &str) -> Vec<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let any_case = name.bytes().any(|byte| !byte.is_ascii_alphabetic());
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(window) = bytes.get(at..at + name.len()) {
        let same =
            if any_case { window.eq_ignore_ascii_case(name.as_bytes()) } else { window == name.as_bytes() };
        let word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        if same
            && !word(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && !word(bytes.get(at + name.len()))
        {
            found.push(at..at + name.len());
            at += name.len();
        } else {
            at += 1;
        }
    }
    found
}

/// Replaces ranges of a text, which do not overlap and come in order.
fn replace(
    text: &mut String,
    find: &dyn Fn(&str) -> Vec<std::ops::Range<usize>>,
    mut with: impl FnMut(&str) -> Option<String>,
) {
    let found = find(text);
    if found.is_empty() {
        return;
    }
    let mut replaced = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        let Some(value) = text.get(range.clone()) else { continue };
        let Some(between) = text.get(at..range.start) else { continue };
        let Some(placeholder) = with(value) else { continue };
        replaced.push_str(between);
        replaced.push_str(&placeholder);
        at = range.end;
    }
    replaced.push_str(text.get(at..).unwrap_or_default());
    *text = replaced;
}

#[cfg(test)]
mod tests {
    use super::super::identity::Identity;
    use super::*;

    fn redactor() -> Redactor {
        let identity = Identity {
            hosts: vec!["node7.corp.example".to_owned(), "node7".to_owned()],
            domain: Some("corp.example".to_owned()),
            users: ["alice".to_owned()].into(),
        };
        Redactor::new(identity)
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(CONTEXT_RULES.len(), CONTEXTS.len());
        assert_eq!(FORM_RULES.len(), FORMS.len());
        for rule in [&PEM, &UUID, &EMAIL, &BUILDER, &URL, &ACCOUNT] {
            assert!(rule.is_some());
        }
    }

    #[test]
    fn what_identifies_is_replaced() {
        for (text, expected) in [
            ("usb 1-1: SerialNumber: 4C530001241026", "usb 1-1: SerialNumber: <serial-1>"),
            (r#"{"ApiKey": "abcDEF123", "port": 8081}"#, r#"{"ApiKey": "<secret-1>", "port": 8081}"#),
            (r#""UserTokenHash" : "0011aa","#, r#""UserTokenHash" : "<secret-1>","#),
            ("Authorization: Bearer abc.def", "Authorization: <secret-1>"),
            ("Ocp-Apim-Subscription-Key: abcdef", "Ocp-Apim-Subscription-Key: <secret-1>"),
            (
                "BOOT_IMAGE=/vmlinuz-6.8.0-1028-intel root=UUID=1b1c2d3e-0000-4000-8000-0123456789ab ro nohibernate",
                "BOOT_IMAGE=/vmlinuz-6.8.0-1028-intel root=UUID=<disk-1> ro nohibernate",
            ),
            ("root=PARTUUID=1a2b3c4d-01 quiet", "root=PARTUUID=<disk-1> quiet"),
            ("/dev/mapper/vg0-root / ext4", "/dev/mapper/<disk-1> / ext4"),
            ("rename enx9c6b00123456: eth0", "rename enx<mac-1>: eth0"),
            ("/home/alice/.config and /home/bob", "/home/<user-1>/.config and /home/<user-2>"),
            ("User=alice\nUser=qgsd", "User=<user-1>\nUser=qgsd"),
            ("mail alice@corp.example now", "mail <email-1> now"),
            ("systemd[1]: Hostname set to <node7>.", "systemd[1]: Hostname set to <<host-1>>."),
            ("Nov 18 10:00:00 NODE7 kernel: x", "Nov 18 10:00:00 <host-1> kernel: x"),
            ("node7.corp.example, db.corp.example", "<host-1>, db.<domain-1>"),
            (
                "\"pccs_url\": \"https://10.1.2.3:8081/sgx/\"",
                "\"pccs_url\": \"https://host-1.invalid:8081/sgx/\"",
            ),
            ("https://bob:pw@cache.corp.net/x", "https://redacted@host-1.invalid/x"),
            ("http://[2a01:4f8::1]:80/", "http://host-1.invalid:80/"),
            ("Linux version 6.8.0 (bob@workstation) (gcc 13)", "Linux version 6.8.0 (<builder-1>) (gcc 13)"),
            ("machine-id 0123456789abcdef0123456789abcdef", "machine-id <id-1>"),
            (
                "GET /pckcert?encrypted_ppid=00112233445566778899&pceid=0000",
                "GET /pckcert?encrypted_ppid=<id-1>&pceid=0000",
            ),
            ("GPU 0: (UUID: GPU-1b1c2d3e-0000-4000-8000-0123456789ab)", "GPU 0: (UUID: GPU-<uuid-1>)"),
            ("a\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\nb", "a\n<pem-1>\nb"),
        ] {
            assert_eq!(redactor().text(text), expected);
        }
    }

    #[test]
    fn what_checks_read_survives() {
        for text in [
            "[    5.205693] virt/tdx: BIOS enabled: private KeyID range [64, 128)",
            "[  245.715035] virt/tdx: TDX module: attributes 0x0, vendor_id 0x8086, major_version 1, minor_version 5, build_date 20240725, build_num 784",
            "virt/tdx: TDX module 2.0.08.00, build number 882, build date 0134fed5",
            "virt/tdx: CMR: [0x100000, 0x77800000)",
            "virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000",
            "virt/tdx: RCX 0x0 RDX 0x9100000100000008 R08 0x0",
            "virt/tdx: initialization failed: TDMR [0x40000000, 0x80000000): reserved areas exhausted.",
            "sgx: EPC section 0x1020c00000-0x107fffffff",
            "SEV-SNP: RMP table physical range [0x0000000088900000 - 0x00000000a8efffff]",
            "ccp 0000:22:00.1: SEV API:1.55 build:31",
            "AMD-Vi: Using global IVHD EFR:0x25bf732fa2295afe, EFR2:0x1d",
            "GPU 0000:98:00.0 H100-PCIE 0x2331 BAR0 0x226042000000",
            "Linux version 6.8.0-1028-intel (buildd@lcy02-amd64-027) (x86_64-linux-gnu-gcc-13)",
            "BOOT_IMAGE=/vmlinuz-6.17.0-5-generic ro nohibernate kvm_intel.tdx=1 console=ttyS0,115200",
            "Serial: 8250/16550 driver, 32 ports, IRQ sharing enabled",
            "New USB device strings: Mfr=3, Product=2, SerialNumber=1",
            "Id=getty@tty1.service LoadState=loaded",
            "{\"ApiKey\": \"\", \"use_secure_cert\": false}",
            "https://localhost:8081/sgx/certification/v4/rootcacrl",
            "https://pccs.phala.network/sgx/certification/v4/",
            "https://api.trustedservices.intel.com/sgx/certification/v4/",
            "https://[::1]:8081/ http://127.0.0.1:8081/",
            "0::/system.slice/docker.service",
            "QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.1)",
            "[QPL] No certificate data for this platform. 0xe011",
            "microcode : 0x2b000603",
            "DMI: Dell Inc. PowerEdge R760/0ABCDE, BIOS 2.9.4 07/01/2025",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "anode7 node70 corp.examples",
        ] {
            assert_eq!(redactor().text(text), text);
        }
    }

    #[test]
    fn the_same_value_has_the_same_placeholder_everywhere() {
        let mut redactor = redactor();
        assert_eq!(redactor.text("9c:6b:00:12:34:56"), "<mac-1>");
        assert_eq!(redactor.text("9C:6B:00:12:34:57 9C:6B:00:12:34:56"), "<mac-2> <mac-1>");
        assert_eq!(redactor.text("https://node7:8081/ on node7"), "https://host-1.invalid:8081/ on <host-1>");
    }
}
