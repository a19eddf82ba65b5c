//! Programs and files for building dstack from source.
//!
//! The list is what the chapters on dependencies and on building the VMM of dstack's own tutorials install. Programs are
//! looked for in the folders of the system. rustup puts cargo into the home folder of a user, which is not looked at,
//! root's excepted.

use serde::Serialize;

use super::HostSource;
use crate::{Fact, Unread};

/// The folders of the system that programs are in.
const FOLDERS: [&str; 6] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Where an installation of Rust for all users is, and root's own.
const CARGO_FOLDERS: [&str; 3] = ["/usr/local/cargo/bin", "/opt/cargo/bin", "/root/.cargo/bin"];

/// Where the plugins of Docker are.
const PLUGIN_FOLDERS: [&str; 4] = [
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
];

/// What something is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Purpose {
    /// Building the VMM and its supervisor.
    Programs,
    /// Rust, which may be in a home folder.
    Rust,
    /// Building the container images of KMS and gateway.
    Images,
    /// Further steps of the tutorials: guest images, WireGuard, reading answers.
    Further,
}

/// Something that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// The Debian package that brings it.
    pub package: &'static str,
    /// What it is needed for.
    pub purpose: Purpose,
    #[serde(skip)]
    looked_for: LookedFor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookedFor {
    /// A program by one of these names.
    Program(&'static [&'static str]),
    /// The same, also where Rust may be.
    Cargo(&'static str),
    /// A plugin of Docker.
    Plugin(&'static str),
    /// A file.
    File(&'static str),
}

const fn tool(name: &'static str, package: &'static str, purpose: Purpose, looked_for: LookedFor) -> Tool {
    Tool { name, package, purpose, looked_for }
}

/// Everything that is looked for.
pub const TOOLS: &[Tool] = &[
    tool("git", "git", Purpose::Programs, LookedFor::Program(&["git"])),
    tool("curl", "curl", Purpose::Programs, LookedFor::Program(&["curl"])),
    tool("a C compiler", "build-essential", Purpose::Programs, LookedFor::Program(&["cc", "gcc", "clang"])),
    tool("make", "build-essential", Purpose::Programs, LookedFor::Program(&["make"])),
    tool("pkg-config", "pkg-config", Purpose::Programs, LookedFor::Program(&["pkg-config", "pkgconf"])),
    tool(
        "the headers of OpenSSL",
        "libssl-dev",
        Purpose::Programs,
        LookedFor::File("/usr/include/openssl/ssl.h"),
    ),
    tool("cargo", "rustup", Purpose::Rust, LookedFor::Cargo("cargo")),
    tool("rustc", "rustup", Purpose::Rust, LookedFor::Cargo("rustc")),
    tool("docker", "docker-ce", Purpose::Images, LookedFor::Program(&["docker"])),
    tool("docker buildx", "docker-buildx-plugin", Purpose::Images, LookedFor::Plugin("docker-buildx")),
    tool("docker compose", "docker-compose-plugin", Purpose::Images, LookedFor::Plugin("docker-compose")),
    tool("chrpath", "chrpath", Purpose::Further, LookedFor::Program(&["chrpath"])),
    tool("diffstat", "diffstat", Purpose::Further, LookedFor::Program(&["diffstat"])),
    tool("lz4", "lz4", Purpose::Further, LookedFor::Program(&["lz4"])),
    tool("xorriso", "xorriso", Purpose::Further, LookedFor::Program(&["xorriso"])),
    tool("wg", "wireguard-tools", Purpose::Further, LookedFor::Program(&["wg"])),
    tool("jq", "jq", Purpose::Further, LookedFor::Program(&["jq"])),
];

/// Programs and files for building dstack from source.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct BuildTools {
    /// [`TOOLS`], each with the path at which it was found.
    pub tools: Vec<(Tool, Fact<String>)>,
}

impl BuildTools {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        Self { tools: TOOLS.iter().map(|tool| (*tool, find(source, tool))).collect() }
    }

    /// The tools for a purpose that are known not to be there.
    pub fn missing(&self, purpose: Purpose) -> impl Iterator<Item = &Tool> {
        let missing =
            move |(tool, found): &&(Tool, Fact<String>)| tool.purpose == purpose && found.is_absent();
        self.tools.iter().filter(missing).map(|(tool, _)| tool)
    }

    /// Why one of them could not be looked for.
    pub fn unread(&self) -> Option<&Unread> {
        self.tools.iter().find_map(|(_, found)| found.unread())
    }
}

fn find(source: &dyn HostSource, tool: &Tool) -> Fact<String> {
    let in_folders = |folders: &[&str], name: &str| -> Vec<String> {
        folders.iter().map(|folder| format!("{folder}/{name}")).collect()
    };
    let candidates = match tool.looked_for {
        LookedFor::Program(names) => names.iter().flat_map(|name| in_folders(&FOLDERS, name)).collect(),
        LookedFor::Cargo(name) => [in_folders(&FOLDERS, name), in_folders(&CARGO_FOLDERS, name)].concat(),
        LookedFor::Plugin(name) => in_folders(&PLUGIN_FOLDERS, name),
        LookedFor::File(path) => vec![path.to_owned()],
    };
    let mut unread = None;
    for path in candidates {
        match source.exists(&path) {
            Ok(true) => return Fact::Known(path),
            Ok(false) => {}
            // Root's home is closed to others: what is not seen there is not there for them.
            Err(Unread::NotPermitted) if path.starts_with("/root/") => {}
            Err(why) => unread = Some(why),
        }
    }
    unread.map_or(Fact::Absent, Fact::Unread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Readings;

    #[test]
    fn what_is_there_and_what_is_not() {
        let host = Readings::empty_host()
            .file("/usr/bin/git", "")
            .file("/usr/bin/clang", "")
            .file("/root/.cargo/bin/cargo", "")
            .file("/usr/lib/docker/cli-plugins/docker-buildx", "");
        let build = BuildTools::collect(&host);
        let missing = |purpose| build.missing(purpose).map(|tool| tool.name).collect::<Vec<_>>();
        assert_eq!(missing(Purpose::Programs), ["curl", "make", "pkg-config", "the headers of OpenSSL"]);
        assert_eq!(missing(Purpose::Rust), ["rustc"]);
        assert_eq!(missing(Purpose::Images), ["docker", "docker compose"]);
        assert_eq!(build.unread(), None);
    }

    #[test]
    fn a_home_that_is_closed_holds_nothing_back() {
        let host = Readings::empty_host().file_reading("/root/.cargo/bin/cargo", Err(Unread::NotPermitted));
        // `Readings` says of a file that may not be read that it is there; a closed folder says less.
        assert!(BuildTools::collect(&host).unread().is_none());
        let unknown = BuildTools::collect(&Readings::nothing_known());
        assert_eq!(unknown.unread(), Some(&Unread::NotRecorded));
        assert_eq!(unknown.missing(Purpose::Programs).count(), 0);
    }
}
