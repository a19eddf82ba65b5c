//! The checks of the layer `build`.

use dstack_check::{CheckDef, Finding, Fix};

use super::{Barrier, HwCheck};
use crate::facts::build::{Purpose, Tool};
use crate::source::DiskSpace;
use crate::{Fact, HostFacts};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.build.tools", "the programs for building dstack are there")
            .layer("build")
            .why("The VMM, its supervisor and the images of KMS and gateway are built from source."),
        Barrier::Setting,
        tools,
    ),
    HwCheck::new(
        CheckDef::new("hw.build.resources", "there is memory and disk for a build").layer("build").why(
            "A release build of dstack's programs links for minutes; without memory the linker is killed.",
        ),
        Barrier::Setting,
        resources,
    ),
];

fn tools(check: &CheckDef, facts: &HostFacts) -> Finding {
    let build = &facts.build;
    let names = |purpose| build.missing(purpose).map(|tool| tool.name).collect::<Vec<_>>().join(", ");
    let expected = "git, curl, a C compiler, make, pkg-config, the headers of OpenSSL, and Rust";
    let programs: Vec<&Tool> = build.missing(Purpose::Programs).collect();
    let rust: Vec<&Tool> = build.missing(Purpose::Rust).collect();
    let found = build
        .tools
        .iter()
        .filter_map(|(tool, found)| Some(format!("{}: {}", tool.name, found.known()?)))
        .collect::<Vec<_>>()
        .join("\n");
    if !programs.is_empty() {
        let mut fix = install(&programs);
        if !rust.is_empty() {
            fix = with_rustup(fix);
        }
        return check
            .fail()
            .observed(format!("not there: {}", names(Purpose::Programs)))
            .expected(expected)
            .evidence("the folders of the system", found)
            .fix(fix);
    }
    if let Some(why) = build.unread() {
        return check.unknown(why.why());
    }
    if !rust.is_empty() {
        // rustup's place is a home folder, and those are nobody else's business.
        return check.unknown(format!(
            "{} not found in the folders of the system; rustup puts them into a home folder, which is not looked at: `cargo --version` tells",
            names(Purpose::Rust)
        ));
    }
    let images: Vec<&Tool> = build.missing(Purpose::Images).collect();
    let further: Vec<&Tool> = build.missing(Purpose::Further).collect();
    if !images.is_empty() || !further.is_empty() {
        let mut observed = Vec::new();
        if !images.is_empty() {
            observed.push(format!(
                "the images of KMS and gateway cannot be built without {}",
                names(Purpose::Images)
            ));
        }
        if !further.is_empty() {
            observed.push(format!("further steps need {}", names(Purpose::Further)));
        }
        let all: Vec<&Tool> = images.into_iter().chain(further).collect();
        return check
            .warn()
            .observed(format!("the VMM can be built; {}", observed.join("; ")))
            .expected(expected)
            .evidence("the folders of the system", found)
            .fix(install(&all));
    }
    check.pass().observed("all there").evidence("the folders of the system", found)
}

/// How Debian and Ubuntu bring these.
fn install(tools: &[&Tool]) -> Fix {
    let mut packages: Vec<&str> = tools.iter().map(|tool| tool.package).collect();
    packages.dedup();
    let docker = packages.iter().any(|package| package.starts_with("docker"));
    let fix = if docker {
        Fix::new(
            "install what is missing; the packages of Docker are in Docker's own archive, which has to be added first",
        )
    } else {
        Fix::new("install what is missing")
    };
    fix.command(format!("sudo apt install {}", packages.join(" ")))
}

fn with_rustup(fix: Fix) -> Fix {
    fix.command("curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y")
}

/// In KiB: what a parallel build needs, and what one job needs. A little below the round number, since firmware and
/// kernel take a part.
const MEMORY_ADVISED: u64 = 7 << 20;
const MEMORY_MINIMUM: u64 = 2 << 20;

/// In bytes: the sources, the build tree and the images; and the build of the VMM alone.
const DISK_ADVISED: u64 = 20_000_000_000;
const DISK_MINIMUM: u64 = 2_000_000_000;

fn resources(check: &CheckDef, facts: &HostFacts) -> Finding {
    let info = match &facts.memory.info {
        Fact::Known(info) => info,
        Fact::Absent => return check.unknown("there is no /proc/meminfo"),
        Fact::Unread(why) => return check.unknown(format!("/proc/meminfo: {}", why.why())),
    };
    let swap = info.swap.unwrap_or(0);
    let memory = info.total.saturating_add(swap);
    let gib = |kib: u64| format!("{:.1} GiB", kib as f64 / f64::from(1u32 << 20));
    let mut observed = format!("{} of memory and {} of swap", gib(info.total), gib(swap));
    let disk = facts.io.roomiest();
    if let Some((path, DiskSpace { available, .. })) = disk {
        observed.push_str(&format!(", {:.1} GB free at {path}", available as f64 / 1e9));
    }
    let expected = "8 GB of memory with swap and 20 GB of disk; 2 GB each is the least";
    let evidence = format!("MemTotal: {} kB, SwapTotal: {swap} kB", info.total);
    let with =
        |finding: Finding| finding.observed(observed.clone()).evidence("/proc/meminfo", evidence.clone());
    let below =
        |minimum: u64, least: u64| (memory < minimum, disk.is_some_and(|(_, space)| space.available < least));
    let fix = |(memory, disk): (bool, bool)| match (memory, disk) {
        (true, true) => Fix::new("add memory or swap, and make room on the disk"),
        (true, false) => {
            Fix::new("build with fewer jobs, or add memory or swap").command("cargo build --release -j 2")
        }
        _ => Fix::new("make room on the disk, or build on a larger one").command("df -h"),
    };
    match (below(MEMORY_MINIMUM, DISK_MINIMUM), below(MEMORY_ADVISED, DISK_ADVISED)) {
        (short @ ((true, _) | (_, true)), _) => with(check.fail().expected(expected).fix(fix(short))),
        (_, short @ ((true, _) | (_, true))) => with(check.warn().expected(expected).fix(fix(short))),
        _ if disk.is_none() => {
            let why = facts.io.disks.iter().find_map(|disk| disk.space.unread());
            check.unknown(format!(
                "the disk: {}",
                why.map_or_else(|| "no file system was found".to_owned(), crate::Unread::why)
            ))
        }
        _ => with(check.pass()),
    }
}

#[cfg(test)]
mod tests {
    use dstack_check::Status;

    use crate::source::{DiskSpace, Readings};
    use crate::{CollectOptions, HostFacts, checks};

    fn host() -> Readings {
        let programs = [
            "git",
            "curl",
            "cc",
            "make",
            "pkg-config",
            "docker",
            "chrpath",
            "diffstat",
            "lz4",
            "xorriso",
            "wg",
            "jq",
        ];
        let mut host = Readings::empty_host()
            .file("/usr/include/openssl/ssl.h", "")
            .file("/usr/local/cargo/bin/cargo", "")
            .file("/usr/local/cargo/bin/rustc", "")
            .file("/usr/libexec/docker/cli-plugins/docker-buildx", "")
            .file("/usr/libexec/docker/cli-plugins/docker-compose", "")
            .file("/proc/meminfo", "MemTotal: 16000000 kB\nSwapTotal: 0 kB\n")
            .disk_space("/", DiskSpace { total: 100_000_000_000, available: 60_000_000_000 });
        for program in programs {
            host = host.file(format!("/usr/bin/{program}"), "");
        }
        host
    }

    fn status(host: &Readings, id: &str) -> Status {
        let facts = HostFacts::collect(host, CollectOptions::default());
        let finding = checks::get(id).unwrap().run(&facts);
        assert!(
            finding.fix.is_some() || !matches!(finding.status, Status::Fail | Status::Warn),
            "{finding:?}"
        );
        finding.status
    }

    #[test]
    fn a_build_host() {
        assert_eq!(status(&host(), "hw.build.tools"), Status::Pass);
        assert_eq!(status(&host(), "hw.build.resources"), Status::Pass);
    }

    #[test]
    fn what_is_missing_decides() {
        let without = |path: &str| {
            let host = host().file_reading(path, Err(crate::Unread::Absent));
            status(&host, "hw.build.tools")
        };
        assert_eq!(without("/usr/bin/make"), Status::Fail);
        assert_eq!(without("/usr/bin/docker"), Status::Warn);
        assert_eq!(without("/usr/bin/xorriso"), Status::Warn);
        assert!(
            matches!(without("/usr/local/cargo/bin/rustc"), Status::Unknown { .. }),
            "it may be in a home folder"
        );
        assert!(matches!(status(&Readings::nothing_known(), "hw.build.tools"), Status::Unknown { .. }));
    }

    #[test]
    fn memory_with_swap_and_disk() {
        let with = |memory: &str, available| {
            let disk = DiskSpace { total: available, available };
            status(&host().file("/proc/meminfo", memory).disk_space("/", disk), "hw.build.resources")
        };
        assert_eq!(with("MemTotal: 4000000 kB\nSwapTotal: 8000000 kB\n", 60_000_000_000), Status::Pass);
        assert_eq!(with("MemTotal: 4000000 kB\n", 60_000_000_000), Status::Warn);
        assert_eq!(with("MemTotal: 1000000 kB\n", 60_000_000_000), Status::Fail);
        assert_eq!(with("MemTotal: 16000000 kB\n", 5_000_000_000), Status::Warn);
        assert_eq!(with("MemTotal: 16000000 kB\n", 1_000_000_000), Status::Fail);
    }
}
