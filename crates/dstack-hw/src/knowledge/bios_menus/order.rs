//! The order in which settings come into force. Each stage needs a reboot before the next one shows.

use super::Setting;

/// Settings that can be set together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// The settings.
    pub settings: &'static [Setting],
}

const fn stage(settings: &'static [Setting]) -> Stage {
    Stage { settings }
}

/// The stages of Intel's way to TDX. Within a stage the order does not matter.
pub const STAGES: &[Stage] = &[
    stage(&[Setting::PhysicalAddressLimit]),
    stage(&[Setting::Tme]),
    stage(&[Setting::TmeMt]),
    stage(&[Setting::Tdx, Setting::SeamLoader]),
    stage(&[Setting::KeySplit, Setting::Sgx, Setting::SgxPackageInfo]),
    stage(&[Setting::SgxFactoryReset]),
];

/// What comes before a setting. SGX needs memory encryption and not TDX, and what registers SGX needs SGX.
pub(super) fn before(setting: Setting) -> impl Iterator<Item = Setting> {
    let needs: &'static [Setting] = match setting {
        Setting::Sgx | Setting::SgxLaunchControl => &[Setting::PhysicalAddressLimit, Setting::Tme],
        Setting::SgxPackageInfo
        | Setting::SgxAutoRegistration
        | Setting::SgxFactoryReset
        | Setting::SgxDebug => &[Setting::Sgx],
        Setting::SevSnp | Setting::SnpMemoryCoverage | Setting::SevEsAsidLimit => &[Setting::Smee],
        Setting::TmeBypass | Setting::MemoryIntegrity => &[Setting::TmeMt],
        Setting::CmrBelow1Mb => &[Setting::Tdx],
        staged => return staged_before(staged),
    };
    Before::Listed(needs.iter())
}

/// One type for both ways.
enum Before {
    Listed(std::slice::Iter<'static, Setting>),
    Staged(std::slice::Iter<'static, Stage>, std::slice::Iter<'static, Setting>),
}

fn staged_before(setting: Setting) -> Before {
    let position = STAGES.iter().position(|stage| stage.settings.contains(&setting)).unwrap_or(0);
    let earlier = STAGES.get(..position).unwrap_or_default();
    Before::Staged(earlier.iter(), [].iter())
}

impl Iterator for Before {
    type Item = Setting;

    fn next(&mut self) -> Option<Setting> {
        match self {
            Self::Listed(settings) => settings.next().copied(),
            Self::Staged(stages, settings) => loop {
                if let Some(setting) = settings.next() {
                    return Some(*setting);
                }
                *settings = stages.next()?.settings.iter();
            },
        }
    }
}
