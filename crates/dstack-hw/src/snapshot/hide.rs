//! What a snapshot must not have in it: addresses, names of machines, identities, secrets.
//!
//! A snapshot is made to be handed on. Values that are recorded as text go through [`Hider::text`]; what says who or
//! where a machine is becomes a placeholder without a number, so that two hosts that differ in nothing else are equal.

/// Names and addresses that every host knows, which say nothing about one.
const WELL_KNOWN: &[&str] = &[
    "localhost",
    "pccs.phala.network",
    "api.trustedservices.intel.com",
    "sbx.api.trustedservices.intel.com",
    "certificates.trustedservices.intel.com",
    "download.01.org",
    "download.dstack.org",
    "ghcr.io",
    "docker.io",
    "github.com",
];

/// Endings that look like the end of a host name and are those of files and units.
const FILE_ENDINGS: &[&str] = &[
    "toml", "json", "conf", "cfg", "sock", "socket", "pid", "log", "service", "timer", "pem", "crt", "key",
    "db", "so", "img", "tar", "gz", "sh", "js", "py", "txt", "d", "yaml", "yml", "fd", "efi", "env", "list",
    "sources", "bin", "iso", "raw", "qcow2", "xz", "zst", "1", "ns",
];

/// Words in the name of a setting that mark its value as a secret.
const SECRET_WORDS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "api_key",
    "api-key",
    "private",
    "credential",
    "htpasswd",
    "auth_key",
    "seed",
];

/// What stands for a secret.
pub const SECRET: &str = "<secret>";

/// Replaces what says who or where a machine is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hider {
    /// Names of this machine, longest first.
    names: Vec<String>,
}

impl Hider {
    /// One that knows what this machine is called. Names shorter than three characters would hide half of every text.
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = names
            .into_iter()
            .flat_map(|name| {
                let short = name.split('.').next().unwrap_or_default().to_owned();
                [name, short]
            })
            .map(|name| name.trim().to_owned())
            .filter(|name| {
                name.len() >= 3
                    && !matches!(name.as_str(), "localhost" | "host" | "node" | "ubuntu" | "debian")
            })
            .collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.dedup();
        Self { names }
    }

    /// Is the value of a setting with this name a secret?
    pub(crate) fn is_secret_name(key: &str) -> bool {
        let lower = key.to_ascii_lowercase();
        let last = lower.rsplit('.').next().unwrap_or(&lower);
        // Where a secret lies is none.
        let public = last.ends_with("_file") || last.ends_with("_path");
        !public && SECRET_WORDS.iter().any(|word| lower.contains(word))
    }

    /// The text with addresses, identities and host names as placeholders.
    pub(crate) fn text(&self, text: &str) -> String {
        self.replaced(text, true)
    }

    /// A path or another name, with addresses, identities and the names of this machine as placeholders. What only looks
    /// like the name of a host stays: `multi-user.target.wants` does.
    pub(crate) fn name(&self, name: &str) -> String {
        self.replaced(name, false)
    }

    fn replaced(&self, text: &str, hosts: bool) -> String {
        let mut hidden = String::with_capacity(text.len());
        let mut word = String::new();
        let belongs =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_' | '[' | ']' | '@');
        for character in text.chars() {
            if belongs(character) {
                word.push(character);
            } else {
                // What stands before `=` is the name of a setting: `vfio-pci.ids=10de:2335`.
                self.word(&word, hosts && character != '=', &mut hidden);
                word.clear();
                hidden.push(character);
            }
        }
        self.word(&word, hosts, &mut hidden);
        hidden
    }

    fn word(&self, word: &str, hosts: bool, out: &mut String) {
        if word.is_empty() {
            return;
        }
        if is_mac(word) {
            out.push_str("<mac>");
            return;
        }
        if let Some((user, host)) = word.split_once('@')
            && !host.is_empty()
            && !user.is_empty()
            && !host.ends_with(".service")
        {
            out.push_str("<user>@");
            self.word(host, true, out);
            return;
        }
        let bare = word.trim_matches(|c| c == '[' || c == ']');
        if let Ok(address) = bare.parse::<std::net::IpAddr>() {
            out.push_str(address_class(address).unwrap_or(word));
            return;
        }
        if let Ok(address) = word.parse::<std::net::SocketAddr>() {
            match address_class(address.ip()) {
                Some(class) => {
                    out.push_str(class);
                    out.push_str(&format!(":{}", address.port()));
                }
                None => out.push_str(word),
            }
            return;
        }
        // `host:port`, `scheme:` and `key:value` fall apart at colons; an IPv6 address did not parse above.
        if word.contains(':') {
            for (at, piece) in word.split(':').enumerate() {
                if at > 0 {
                    out.push(':');
                }
                self.word(piece, hosts, out);
            }
            return;
        }
        if is_uuid(word) {
            out.push_str("<uuid>");
        } else if is_long_hex(word) {
            out.push_str("<hex>");
        } else if self.names.iter().any(|name| name.eq_ignore_ascii_case(word))
            || (hosts && is_host_name(word))
        {
            out.push_str("<host>");
        } else {
            out.push_str(word);
        }
    }
}

/// What stands for an address; `None` for those that say nothing about one machine: loopback, any, and the network that
/// QEMU gives its guests (10.0.2.0/24, the default of dstack's user-mode networking).
fn address_class(address: std::net::IpAddr) -> Option<&'static str> {
    let plain = address.is_loopback()
        || address.is_unspecified()
        || matches!(address, std::net::IpAddr::V4(v4) if v4.octets().starts_with(&[10, 0, 2]));
    (!plain).then_some("<address>")
}

fn is_mac(word: &str) -> bool {
    let groups: Vec<&str> = word.split([':', '-']).collect();
    groups.len() == 6 && groups.iter().all(|group| group.len() == 2 && is_hex(group))
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// 8-4-4-4-12 as for RFC 9562, and the 4-4 of FAT file systems where a disk is named by it.
fn is_uuid(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.iter().all(|group| is_hex(group));
    digits
        && (lengths == [8, 4, 4, 4, 12]
            || (lengths == [4, 4] && word.chars().any(|c| c.is_ascii_uppercase())))
}

/// Keys, identities and digests: 32 or more hexadecimal digits.
fn is_long_hex(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    digits.len() >= 32 && is_hex(digits)
}

/// A name with a dot that ends as host names do, and is none that every host knows.
fn is_host_name(word: &str) -> bool {
    let word = word.trim_end_matches('.');
    let Some((_, last)) = word.rsplit_once('.') else { return false };
    let letters = last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    let labels = word.split('.').all(|label| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    letters
        && labels
        && !FILE_ENDINGS.contains(&last.to_ascii_lowercase().as_str())
        && !WELL_KNOWN.iter().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hide(text: &str) -> String {
        Hider::new(["tdx-7.example.com".to_owned()]).text(text)
    }

    #[test]
    fn what_says_who_and_where() {
        assert_eq!(hide("https://kms.example.org:9100/x"), "https://<host>:9100/x");
        assert_eq!(hide("192.0.2.7"), "<address>");
        assert_eq!(hide("tcp:192.0.2.7:9080"), "tcp:<address>:9080");
        assert_eq!(hide("[2001:db8::7]:443"), "<address>:443");
        assert_eq!(hide("2001:db8::7/64"), "<address>/64");
        assert_eq!(hide("52:54:00:12:34:56"), "<mac>");
        assert_eq!(hide("root=UUID=3e6be9de-8139-11d1-9106-a43f08d823a6 ro"), "root=UUID=<uuid> ro");
        assert_eq!(hide("someone@example.org"), "<user>@<host>");
        assert_eq!(hide("console for tdx-7 and tdx-7.example.com"), "console for <host> and <host>");
        assert_eq!(hide("0123456789abcdef0123456789abcdef"), "<hex>");
    }

    #[test]
    fn what_stays() {
        for text in [
            "127.0.0.1:9080",
            "0.0.0.0",
            "10.0.2.0/24",
            "[::1]:8081",
            "https://pccs.phala.network/sgx/certification/v4/",
            "unix:./vmm.sock",
            "vsock:2",
            "/var/run/dstack/supervisor.pid",
            "quiet nohibernate kvm_intel.tdx=1 intel_iommu=on vfio-pci.ids=10de:2335",
            "6.8.0-1028-intel",
            "2:8.2.2+ds-0ubuntu1.4+tdx1.1",
            "dstack-0.5.11",
            "0000:98:00.0",
            "getty@tty1.service",
        ] {
            assert_eq!(hide(text), text);
        }
    }

    #[test]
    fn names_of_things_stay() {
        let hider = Hider::new(["tdx-7.example.com".to_owned()]);
        let path = "/etc/systemd/system/multi-user.target.wants/dstack-vmm.service";
        assert_eq!(hider.name(path), path);
        assert_eq!(hider.name("/etc/apt/keyrings/tdx-7.asc"), "/etc/apt/keyrings/tdx-7.asc");
        assert_eq!(hider.name("/etc/netplan/tdx-7"), "/etc/netplan/<host>");
    }

    #[test]
    fn secrets_by_name() {
        for key in [
            "auth.tokens",
            "core.admin.admin_token",
            "ApiKey",
            "UserTokenHash",
            "cvm.tee_simulator.mock_attestation_seed",
            "cf_api_token",
        ] {
            assert!(Hider::is_secret_name(key), "{key}");
        }
        for key in [
            "cvm.cid_start",
            "auth.enabled",
            "image.path",
            "key_provider.port",
            "os_image_hash",
            "auth.htpasswd_file",
        ] {
            assert!(!Hider::is_secret_name(key), "{key}");
        }
    }

    proptest! {
        #[test]
        fn planted_addresses_never_stay(before in "[a-z =,/]{0,12}", a in 11u8..=126, b: u8, c: u8, d: u8) {
            let address = format!("{a}.{b}.{c}.{d}");
            let hidden = hide(&format!("{before} {address}"));
            prop_assert!(!hidden.contains(&address), "{}", hidden);
        }

        #[test]
        fn hiding_twice_changes_nothing(text in "\\PC{0,80}") {
            let once = hide(&text);
            prop_assert_eq!(hide(&once), once);
        }
    }
}
