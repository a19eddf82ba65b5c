//! Files: which rule is for which path.

use super::{Redactor, efi};
use crate::facts::qemu;
use crate::{Reading, Unread};

use super::names::Kind;

/// Names of files whose whole content numbers something.
const NUMBERING: [&str; 22] = [
    "product_serial",
    "product_uuid",
    "board_serial",
    "board_asset_tag",
    "chassis_serial",
    "chassis_asset_tag",
    "serial",
    "serial_number",
    "sn",
    "wwid",
    "wwn",
    "eui",
    "nguid",
    "uuid",
    "unique_id",
    "machine-id",
    "machine_id",
    "boot_id",
    "ppin",
    "node_guid",
    "sys_image_guid",
    "port_name",
];

/// Beginnings of paths whose files are left out: nothing in them is for others.
const LEFT_OUT: [&str; 8] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/ssl/private/",
    "/etc/ssh/",
    "/root/.ssh/",
    "/sys/firmware/acpi/tables/",
];

/// Tables of sockets with addresses in hex.
const SOCKET_TABLES: [&str; 6] =
    ["/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6", "/proc/net/raw", "/proc/net/raw6"];

impl Redactor {
    /// The content of a file without what identifies somebody.
    pub(super) fn file(&mut self, path: &str, content: Reading<Vec<u8>>) -> Reading<Vec<u8>> {
        let content = content?;
        if is_left_out(path) {
            return self.leave_out();
        }
        if let Some(name) = path.strip_prefix(efi::FOLDER) {
            let name = name.trim_start_matches('/');
            return self.efi_variable(name, &content).map_or_else(|| self.leave_out(), Ok);
        }
        if path == "/sys/firmware/dmi/tables/DMI" {
            return Ok(self.dmi(&content));
        }
        if path == "/sys/firmware/dmi/tables/smbios_entry_point" {
            // Addresses, lengths, versions and a checksum.
            return Ok(content);
        }
        let Ok(text) = String::from_utf8(content) else { return self.leave_out() };
        Ok(self.text_file(path, &text).into_bytes())
    }

    fn text_file(&mut self, path: &str, text: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or_default();
        let value = text.trim();
        if NUMBERING.contains(&name) || (name == "address" && path.starts_with("/sys/class/net/")) {
            let is_placeholder = value.starts_with('<') && value.ends_with('>');
            if value.is_empty() || is_placeholder {
                return text.to_owned();
            }
            let kind = if name == "address" { Kind::Mac } else { Kind::Serial };
            return format!("{}\n", self.names.placeholder(kind, value));
        }
        match path {
            "/proc/sys/kernel/hostname" | "/etc/hostname" => self.host_file(text),
            "/etc/passwd" => {
                self.learn_people(text);
                self.passwd(text)
            }
            "/etc/group" => self.group(text),
            "/var/lib/dpkg/status" => qemu::package_paragraphs(text),
            "/proc/mounts" | "/proc/self/mounts" | "/proc/self/mountinfo" | "/etc/fstab" => {
                let text = self.text(text);
                self.mounts(&text)
            }
            _ if SOCKET_TABLES.contains(&path) => self.socket_table(text),
            _ => self.text(text),
        }
    }

    /// A file that holds the name of the host, which may be too common to be replaced elsewhere.
    fn host_file(&mut self, text: &str) -> String {
        let lines: Vec<String> = text
            .lines()
            .map(|line| match line.trim() {
                "" => String::new(),
                name if name.starts_with(['#', '<']) => line.to_owned(),
                name => {
                    let short = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
                    self.names.placeholder(Kind::Host, &short)
                }
            })
            .collect();
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Servers of network file systems: `SERVER:/PATH` and `//SERVER/PATH` at the beginning of a field.
    fn mounts(&mut self, text: &str) -> String {
        let mut redacted = String::with_capacity(text.len());
        for part in text.split_inclusive([' ', '\t', '\n']) {
            let word = part.trim_end();
            let server = word
                .strip_prefix("//")
                .and_then(|rest| rest.split('/').next())
                .or_else(|| word.split_once(":/").map(|(server, _)| server))
                .filter(|server| {
                    !server.is_empty()
                        && server
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
                });
            match server {
                Some(server) => {
                    let placeholder = self.names.placeholder(Kind::Host, &server.to_ascii_lowercase());
                    redacted.push_str(&part.replacen(server, &placeholder, 1));
                }
                None => redacted.push_str(part),
            }
        }
        redacted
    }

    fn leave_out<T>(&mut self) -> Reading<T> {
        self.left_out += 1;
        Err(Unread::NotRecorded)
    }
}

fn is_left_out(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    LEFT_OUT.iter().any(|beginning| path.starts_with(beginning))
        || (path.starts_with("/proc/") && name == "environ")
        || name.ends_with(".key")
        || name.starts_with("id_")
        || name == "vpd"
        || name == "wireguard"
        || path.contains("/.ssh/")
}

#[cfg(test)]
mod tests {
    use super::super::Redactor;
    use super::super::identity::Identity;
    use super::*;

    fn file(path: &str, content: &[u8]) -> Reading<Vec<u8>> {
        Redactor::new(Identity::default()).file(path, Ok(content.to_vec()))
    }

    fn text(path: &str, content: &str) -> String {
        String::from_utf8(file(path, content.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn files_that_number_a_machine_are_replaced_whole() {
        for path in [
            "/sys/class/dmi/id/product_serial",
            "/etc/machine-id",
            "/sys/devices/system/cpu/cpu0/topology/ppin",
        ] {
            assert_eq!(text(path, "7XK2PQ3\n"), "<serial-1>\n");
            assert_eq!(text(path, "<serial-1>\n"), "<serial-1>\n");
        }
        assert_eq!(text("/sys/class/net/eth0/address", "9c:6b:00:12:34:56\n"), "<mac-1>\n");
        assert_eq!(text("/proc/sys/kernel/hostname", "tdx\n"), "<host-1>\n");
        assert_eq!(text("/sys/class/dmi/id/product_name", "PowerEdge R760\n"), "PowerEdge R760\n");
    }

    #[test]
    fn what_cannot_be_redacted_is_left_out() {
        for path in [
            "/proc/1/environ",
            "/etc/shadow",
            "/etc/ssl/private/ssl-cert-snakeoil.key",
            "/root/.ssh/id_ed25519",
            "/opt/x/private.key",
            "/sys/firmware/acpi/tables/MSDM",
            "/sys/firmware/efi/efivars/SgxRegistrationServerRequest-304e0796-d515-4698-ac6e-e76cb1a71c28",
        ] {
            assert_eq!(file(path, b"x"), Err(Unread::NotRecorded), "{path}");
        }
        assert_eq!(file("/some/binary", &[0xff, 0xfe]), Err(Unread::NotRecorded));
    }

    #[test]
    fn servers_of_mounts_are_replaced() {
        assert_eq!(
            text(
                "/proc/mounts",
                "filer.corp.net:/vol/x /mnt nfs rw 0 0\n//nas/share /s cifs rw 0 0\nproc /proc proc rw 0 0\n"
            ),
            "<host-1>:/vol/x /mnt nfs rw 0 0\n//<host-2>/share /s cifs rw 0 0\nproc /proc proc rw 0 0\n"
        );
    }
}
