//! The checks of the layer `registration`: does Intel know this platform, so that there are certificates for its quotes?

mod agent;
mod state;
#[cfg(test)]
mod tests;

use dstack_check::CheckDef;

use super::{Barrier, HwCheck};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.registration.variables", "the firmware offers the registration variables")
            .layer("registration")
            .parents(&["hw.firmware.uefi", "hw.sgx.firmware"])
            .why("the state of the registration and the manifest for it are in UEFI variables"),
        Barrier::Setting,
        state::variables,
    ),
    HwCheck::new(
        CheckDef::new("hw.registration.status", "the platform is registered with Intel")
            .layer("registration")
            .parents(&["hw.registration.variables"])
            .why("without it there is no certificate for the platform, and no quote that anybody accepts"),
        Barrier::Setting,
        state::status,
    ),
    HwCheck::new(
        CheckDef::new("hw.registration.direct", "the firmware allows direct registration")
            .layer("registration")
            .parents(&["hw.registration.variables"])
            .why("where the server may not keep the keys, the agent sends nothing and looks fine"),
        Barrier::Setting,
        state::direct,
    ),
    HwCheck::new(
        CheckDef::new("hw.registration.agent", "the registration agent is installed and has run")
            .layer("registration")
            .parents(&["hw.registration.variables"])
            .why(
                "the agent sends what the firmware prepared, after the first boot and after firmware updates",
            ),
        Barrier::Setting,
        agent::agent,
    ),
    HwCheck::new(
        CheckDef::new("hw.registration.log", "the registration agent reports success")
            .layer("registration")
            .parents(&["hw.registration.agent"])
            .why("the agent's unit ends well whether or not anything was sent; its log tells"),
        Barrier::Setting,
        agent::log,
    ),
];
