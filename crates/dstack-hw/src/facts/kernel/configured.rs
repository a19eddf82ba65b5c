//! The command line that the boot loader is set up to give the kernel at the next start.

use std::collections::BTreeMap;

use serde::Serialize;

use super::CommandLine;
use crate::Fact;
use crate::Unread;
use crate::facts::HostSource;

/// The most files of `/etc/default/grub.d` that are read.
const MAX_DROP_INS: usize = 256;

/// The longest value of a shell variable that is kept, in bytes: `A="$A$A"` doubles with every line.
const MAX_VALUE: usize = 64 << 10;

/// The command line that is configured for the next start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ConfiguredCommandLine {
    /// The files it was put together from.
    pub files: Vec<String>,
    /// The words.
    pub words: CommandLine,
    /// True where a file holds shell code that is more than assignments: the words may then not be all.
    pub uncertain: bool,
}

impl ConfiguredCommandLine {
    /// Reads `/etc/kernel/cmdline` (systemd-boot, unified kernels), else `/etc/default/grub` and the files after it.
    pub(super) fn collect(source: &dyn HostSource) -> Fact<Self> {
        match source.text("/etc/kernel/cmdline") {
            Ok(text) => {
                return Fact::Known(Self {
                    files: vec!["/etc/kernel/cmdline".to_owned()],
                    words: CommandLine::parse(&text),
                    uncertain: false,
                });
            }
            Err(Unread::Absent) => {}
            Err(why) => return Fact::Unread(why),
        }
        let main = match source.text("/etc/default/grub") {
            Ok(text) => text,
            Err(Unread::Absent) => return Fact::Absent,
            Err(why) => return Fact::Unread(why),
        };
        let mut variables = ShellVariables::default();
        let mut files = vec!["/etc/default/grub".to_owned()];
        variables.read(&main);
        let names = source.list("/etc/default/grub.d").unwrap_or_default();
        for name in names.iter().filter(|name| name.ends_with(".cfg")).take(MAX_DROP_INS) {
            let path = format!("/etc/default/grub.d/{name}");
            match source.text(&path) {
                Ok(text) => {
                    variables.read(&text);
                    files.push(path);
                }
                Err(Unread::Absent) => {}
                Err(_) => variables.uncertain = true,
            }
        }
        let line = format!(
            "{} {}",
            variables.get("GRUB_CMDLINE_LINUX"),
            variables.get("GRUB_CMDLINE_LINUX_DEFAULT")
        );
        Fact::Known(Self { files, words: CommandLine::parse(&line), uncertain: variables.uncertain })
    }
}

/// The assignments of a shell file. Nothing is executed.
#[derive(Debug, Default)]
struct ShellVariables {
    values: BTreeMap<String, String>,
    uncertain: bool,
}

impl ShellVariables {
    fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn read(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                // Conditions and loops decide whether an assignment counts.
                self.uncertain = true;
                continue;
            };
            let (name, append) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_name) {
                self.uncertain = true;
                continue;
            }
            let mut value = self.expand(value);
            if append {
                value.insert_str(0, self.get(name));
            }
            if value.len() > MAX_VALUE || self.values.len() >= MAX_DROP_INS {
                self.uncertain = true;
                continue;
            }
            self.values.insert(name.to_owned(), value);
        }
    }

    /// The value of the right side of an assignment: quotes, backslashes, `$NAME`, `${NAME}` and `${NAME:-word}`.
    fn expand(&mut self, text: &str) -> String {
        let mut value = String::new();
        let mut quote = None;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if value.len() > MAX_VALUE {
                self.uncertain = true;
                break;
            }
            match (character, quote) {
                ('\'' | '"', None) => quote = Some(character),
                (mark, Some(open)) if mark == open => quote = None,
                (_, Some('\'')) => value.push(character),
                ('\\', _) => value.extend(characters.next()),
                ('`', _) => self.uncertain = true,
                ('$', _) => {
                    let braced = characters.next_if_eq(&'{').is_some();
                    let mut name = String::new();
                    while let Some(part) = characters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                        name.push(part);
                    }
                    if braced {
                        let rest: String = characters.by_ref().take_while(|c| *c != '}').collect();
                        self.uncertain |= !matches!(rest.as_str(), "" | ":-" | "-");
                    }
                    self.uncertain |= name.is_empty();
                    value.push_str(self.values.get(&name).map_or("", String::as_str));
                }
                // Unquoted, a blank ends the value.
                (blank, None) if blank.is_whitespace() => break,
                (other, _) => value.push(other),
            }
        }
        self.uncertain |= quote.is_some();
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Readings;

    fn configured(host: &Readings) -> ConfiguredCommandLine {
        ConfiguredCommandLine::collect(host).known().unwrap().clone()
    }

    #[test]
    fn drop_ins_extend_what_was_set_before() {
        let host = Readings::empty_host()
            .file(
                "/etc/default/grub",
                "# comment\nGRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\" # why\nGRUB_CMDLINE_LINUX=''\n",
            )
            .file(
                "/etc/default/grub.d/99-tdx.cfg",
                "GRUB_CMDLINE_LINUX_DEFAULT=\"${GRUB_CMDLINE_LINUX_DEFAULT} nohibernate\"\nGRUB_CMDLINE_LINUX+=\" kvm_intel.tdx=1\"\n",
            )
            .file("/etc/default/grub.d/README", "GRUB_CMDLINE_LINUX=nomodeset\n");
        let line = configured(&host);
        assert_eq!(line.words.words(), ["kvm_intel.tdx=1", "quiet", "splash", "nohibernate"]);
        assert_eq!(line.files, ["/etc/default/grub", "/etc/default/grub.d/99-tdx.cfg"]);
        assert!(!line.uncertain);
    }

    #[test]
    fn code_makes_it_uncertain_and_is_not_run() {
        let host = Readings::empty_host().file(
            "/etc/default/grub",
            "GRUB_DISTRIBUTOR=`lsb_release -i -s`\nif [ -f /x ]; then\nGRUB_CMDLINE_LINUX=a\nfi\n",
        );
        let line = configured(&host);
        assert!(line.uncertain);
        assert_eq!(line.words.words(), ["a"]);
    }

    #[test]
    fn the_file_of_systemd_boot_goes_first() {
        let host = Readings::empty_host()
            .file("/etc/kernel/cmdline", "root=/dev/vda2 nohibernate\n")
            .file("/etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n");
        assert_eq!(configured(&host).words.words(), ["root=/dev/vda2", "nohibernate"]);
        assert!(ConfiguredCommandLine::collect(&Readings::empty_host()).is_absent());
    }

    #[test]
    fn doubling_does_not_fill_the_memory() {
        let text = format!("A=\"0123456789\"\n{}GRUB_CMDLINE_LINUX=$A\n", "A=\"$A$A\"\n".repeat(200));
        let host = Readings::empty_host().file("/etc/default/grub", text);
        assert!(configured(&host).uncertain);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let host = Readings::empty_host().file("/etc/default/grub", text);
            let _ = ConfiguredCommandLine::collect(&host);
        }
    }
}
