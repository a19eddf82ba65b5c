//! The strongest evidence of how far TDX came up: what is further up proves what is below.

use serde::Serialize;

use crate::HostFacts;

/// How far TDX came up. Each stage proves all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TdxStage {
    /// The firmware gave TDX private key ids, and the kernel has taken them (`tdx_host_platform`).
    PlatformAccepted,
    /// The TDX module answered a call.
    ModuleLoaded,
    /// The TDX module is initialised.
    ModuleInitialized,
    /// KVM can run TDs.
    KvmReady,
}

/// Evidence that TDX came up to a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TdxProof {
    /// The stage that is proven.
    pub stage: TdxStage,
    /// Where it was read.
    pub source: &'static str,
    /// What was read.
    pub excerpt: String,
}

impl HostFacts {
    /// The strongest evidence that TDX came up, or `None` where there is none. It holds for the host only: inside a TD
    /// nothing of it is there.
    pub fn tdx_proof(&self) -> Option<TdxProof> {
        let proof = |stage, source, excerpt: String| Some(TdxProof { stage, source, excerpt });
        let parameter = &self.kvm.intel.tdx;
        if parameter.known() == Some(&true) {
            return proof(TdxStage::KvmReady, "/sys/module/kvm_intel/parameters/tdx", "Y".to_owned());
        }
        if let Some(misc) = self.kvm.misc.known()
            && let Some(keys) = misc.capacity("tdx").filter(|keys| *keys > 0)
        {
            return proof(TdxStage::KvmReady, misc.source(), format!("tdx {keys}"));
        }
        let boot = self.tdx.boot.known();
        if let Some(line) = boot.and_then(|boot| boot.initialized_line()) {
            return proof(TdxStage::ModuleInitialized, "kernel log", line.to_owned());
        }
        if let Some(module) = self.tdx.legacy_module.known()
            && module.status.as_deref() == Some("initialized")
        {
            let source = "/sys/firmware/tdx/tdx_module/status";
            return proof(TdxStage::ModuleInitialized, source, "initialized".to_owned());
        }
        if let Some(version) = self.tdx.module_version.known() {
            let source = "/sys/devices/faux/tdx_host/version";
            return proof(TdxStage::ModuleLoaded, source, version.to_string());
        }
        let failure = boot.and_then(|boot| boot.failure());
        if let Some(line) = boot.and_then(|boot| boot.module_line.as_ref())
            && failure.is_none_or(|failure| failure.cause.module_answered())
        {
            return proof(TdxStage::ModuleLoaded, "kernel log", line.clone());
        }
        if let Some(failure) = failure.filter(|failure| failure.cause.module_answered())
            && let Some(line) = failure.lines.first()
        {
            return proof(TdxStage::ModuleLoaded, "kernel log", line.clone());
        }
        if self.cpu.flag("tdx_host_platform").known() == Some(&true) {
            return proof(
                TdxStage::PlatformAccepted,
                "/proc/cpuinfo",
                "flags: ... tdx_host_platform ...".to_owned(),
            );
        }
        let accepted = failure.is_none_or(|failure| failure.cause.platform_was_accepted());
        let keys = boot.filter(|boot| boot.key_ids.is_some_and(|keys| keys.count() >= 2) && accepted)?;
        proof(TdxStage::PlatformAccepted, "kernel log", keys.key_ids_line.clone()?)
    }

    /// [`HostFacts::tdx_proof`], where it reaches at least this stage.
    pub fn tdx_proven(&self, stage: TdxStage) -> Option<TdxProof> {
        self.tdx_proof().filter(|proof| proof.stage >= stage)
    }
}
