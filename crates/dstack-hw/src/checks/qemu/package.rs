//! The package of a TDX build.

use dstack_check::{CheckDef, Finding, Fix};

use crate::{Fact, HostFacts};

pub(super) fn pinned(check: &CheckDef, facts: &HostFacts) -> Finding {
    let version = match &facts.qemu.version {
        Fact::Known(version) => version,
        Fact::Absent => return check.unknown("QEMU was not there to be asked"),
        Fact::Unread(why) => return check.unknown(format!("qemu-system-x86_64 --version: {}", why.why())),
    };
    let Some(build) = version.tdx_build() else {
        return check
            .not_applicable()
            .observed(format!("{version} is no build with patches that an upgrade could replace"));
    };
    let status = "/var/lib/dpkg/status";
    let package = match &facts.qemu.package {
        Fact::Known(package) => package,
        Fact::Absent => return check.not_applicable().observed("it does not come from a package of dpkg"),
        Fact::Unread(why) => return check.unknown(format!("{status}: {}", why.why())),
    };
    if package.held {
        return check
            .pass()
            .observed(format!("{} {} is held", package.name, package.version))
            .evidence(status, "Status: hold ok installed");
    }
    let pin = facts.qemu.pins.known().and_then(|pins| pins.iter().find(|pin| pin.keeps_tdx_build()));
    if let Some(pin) = pin {
        return check
            .pass()
            .observed(format!("pinned with priority {}", pin.priority))
            .evidence(pin.file.clone(), format!("Package: {}\nPin: {}", pin.packages, pin.pin));
    }
    // Debian and Ubuntu give QEMU epoch 1. A higher one wins whatever follows it.
    if package.epoch() > 1 {
        return check
            .pass()
            .observed(format!("{} has epoch {}, above the archive's 1", package.version, package.epoch()))
            .evidence(status, format!("Version: {}", package.version));
    }
    if let Fact::Unread(why) = &facts.qemu.pins {
        return check.unknown(format!("/etc/apt/preferences.d: {}", why.why()));
    }
    check
        .warn()
        .observed(format!("{} {} ({build}) is neither held nor pinned", package.name, package.version))
        .expected("a hold, or a pin above 500 for the archive it came from")
        .evidence(status, format!("Version: {}", package.version))
        .fix(
            Fix::new("hold the packages of the TDX build")
                .command(format!("sudo apt-mark hold {}", package.name)),
        )
}
