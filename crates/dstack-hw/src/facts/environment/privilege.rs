//! The rights of the process that read the facts.

use serde::Serialize;

/// Who reads, and what the kernel lets it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Privilege {
    /// The effective user id: 0 is root.
    pub uid: u32,
    /// The effective capabilities as the bit mask of `CapEff`.
    pub capabilities: u64,
}

/// The capabilities that reading a host takes (`include/uapi/linux/capability.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Capability {
    /// `CAP_DAC_OVERRIDE`: files of others.
    DacOverride = 1,
    /// `CAP_SYS_RAWIO`: model-specific registers.
    SysRawio = 17,
    /// `CAP_SYS_ADMIN`: many ioctls, and the kernel log on old kernels.
    SysAdmin = 21,
    /// `CAP_SYSLOG`: the kernel log where `kernel.dmesg_restrict` is 1.
    Syslog = 34,
}

impl Capability {
    /// The name as in the manual page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DacOverride => "CAP_DAC_OVERRIDE",
            Self::SysRawio => "CAP_SYS_RAWIO",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Syslog => "CAP_SYSLOG",
        }
    }
}

impl Privilege {
    /// Reads `/proc/self/status`: the second number of `Uid` and the mask of `CapEff`.
    pub fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            status
                .lines()
                .take(256)
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let uid = field("Uid")?.split_whitespace().nth(1)?.parse().ok()?;
        let capabilities = u64::from_str_radix(field("CapEff")?, 16).ok()?;
        Some(Self { uid, capabilities })
    }

    /// Is this capability in effect?
    pub const fn has(self, capability: Capability) -> bool {
        self.capabilities & (1 << capability as u64) != 0
    }

    /// Is the user root?
    pub const fn is_root(self) -> bool {
        self.uid == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_effective_ones_count() {
        let status = "Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t0000000400020000\n";
        let rights = Privilege::parse(status).unwrap();
        assert!(rights.is_root());
        assert!(rights.has(Capability::SysRawio) && rights.has(Capability::Syslog));
        assert!(!rights.has(Capability::SysAdmin) && !rights.has(Capability::DacOverride));
        assert_eq!(Privilege::parse("Uid:\t0\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC*") {
            let _ = Privilege::parse(&text);
        }
    }
}
