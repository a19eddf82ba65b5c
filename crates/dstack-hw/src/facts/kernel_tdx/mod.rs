//! How far the kernel got with TDX: what its log says of the platform and of the TDX module, and what sysfs shows.

mod boot;
mod identity;
mod proof;

use serde::Serialize;

pub use boot::{Failure, KeyIds, MemoryRange, Outcome, Seamcall, TdxBoot};
pub use identity::{ModuleIdentity, ModuleVersion};
pub use proof::{TdxProof, TdxStage};

use super::HostSource;
use super::kernel_log::KernelLog;
use crate::Fact;

/// How far the kernel got with TDX.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct KernelTdx {
    /// What the log says.
    pub boot: Fact<TdxBoot>,
    /// `/sys/firmware/tdx/tdx_module`: only kernels of Intel's from before TDX was in mainline have it.
    pub legacy_module: Fact<LegacyModule>,
    /// `/sys/devices/faux/tdx_host/version`: mainline from about 7.2 on.
    pub module_version: Fact<ModuleVersion>,
}

/// What kernels of Intel's from before TDX was in mainline show of the module in `/sys/firmware/tdx/tdx_module`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct LegacyModule {
    /// `initialized`, `error`, `unknown`...
    pub status: Option<String>,
    /// Version and build.
    pub identity: ModuleIdentity,
}

impl KernelTdx {
    pub(crate) fn collect(source: &dyn HostSource, log: &Fact<KernelLog>) -> Self {
        Self {
            boot: log.as_ref().map(TdxBoot::read),
            legacy_module: legacy_module(source),
            module_version: Fact::from(source.text("/sys/devices/faux/tdx_host/version")).and_then(|text| {
                ModuleVersion::parse(text.trim()).map_or_else(
                    || {
                        Fact::Unread(crate::Unread::Failed(format!(
                            "`{}` is no version",
                            text.trim().escape_default()
                        )))
                    },
                    Fact::Known,
                )
            }),
        }
    }

    /// What is known of the TDX module, and where it was read.
    pub fn module(&self) -> Option<(&'static str, ModuleIdentity)> {
        if let Some(version) = self.module_version.known() {
            let logged = self.boot.known().and_then(|boot| boot.module.as_ref());
            let mut identity = ModuleIdentity { version: Some(*version), ..ModuleIdentity::default() };
            // The module can be replaced at run time: the log's build counts only where the versions agree.
            if let Some(module) = logged.filter(|module| module.release() == Some(*version)) {
                identity.build_number = module.build_number;
                identity.build_date = module.build_date;
            }
            return Some(("/sys/devices/faux/tdx_host/version", identity));
        }
        if let Some(module) = self.boot.known().and_then(|boot| boot.module.clone()) {
            return Some(("kernel log", module));
        }
        self.legacy_module.known().map(|module| ("/sys/firmware/tdx/tdx_module", module.identity.clone()))
    }
}

fn legacy_module(source: &dyn HostSource) -> Fact<LegacyModule> {
    let folder = "/sys/firmware/tdx/tdx_module";
    let field =
        |name: &str| Fact::from(source.text(&format!("{folder}/{name}"))).map(|text| text.trim().to_owned());
    let status = field("status");
    let build = field("build_num");
    match (&status, &build) {
        (Fact::Known(_), _) | (_, Fact::Known(_)) => {}
        (Fact::Absent, _) => return Fact::Absent,
        (Fact::Unread(why), _) => return Fact::Unread(why.clone()),
    }
    let get = |name: &str| field(name).known().cloned();
    Fact::Known(LegacyModule { status: status.known().cloned(), identity: ModuleIdentity::from_fields(&get) })
}
