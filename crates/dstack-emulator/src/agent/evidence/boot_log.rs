//! The part of an event log that precedes dstack: what firmware and kernel measure into RTMR0 to RTMR2.
//!
//! The kinds of events and their order are those of a recorded boot. Their digests are made up, and say so: they follow
//! from the word EMULATED, a label, and what the event would depend on.

use dstack_attestation::Digest48;
use dstack_attestation::event_log::{EntryError, EventLogBuilder, Rtmr};
use ring::digest;

use super::super::{GuestSpec, Traits};

/// What the digest of a boot event depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DependsOn {
    /// The firmware, the kernel or the initrd: the image.
    Image,
    /// The virtual hardware.
    Shape,
}

/// One event of the boot: register, type, what it depends on, label, and the payload that a log shows.
type BootEvent = (Rtmr, u32, DependsOn, &'static str, &'static str);

/// Types of the TCG event log (TCG PC Client Platform Firmware Profile, section 10.4.1).
const SEPARATOR: u32 = 4;
const EVENT_TAG: u32 = 6;
const PLATFORM_CONFIG_FLAGS: u32 = 10;
const EFI_VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
const EFI_VARIABLE_BOOT: u32 = 0x8000_0002;
const EFI_BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
const EFI_ACTION: u32 = 0x8000_0007;
const EFI_PLATFORM_FIRMWARE_BLOB2: u32 = 0x8000_000a;
const EFI_HANDOFF_TABLES2: u32 = 0x8000_000b;

/// What the payload of an event about ACPI tables says.
const ACPI_DATA: &str = "ACPI DATA";

const BOOT: &[BootEvent] = &[
    (Rtmr::Rtmr0, EFI_HANDOFF_TABLES2, DependsOn::Shape, "td-hob", "\tTdxTable"),
    (Rtmr::Rtmr0, EFI_PLATFORM_FIRMWARE_BLOB2, DependsOn::Image, "cfv", ")Fv(EMULATED)"),
    (Rtmr::Rtmr0, EFI_VARIABLE_DRIVER_CONFIG, DependsOn::Image, "secure-boot", "SecureBoot"),
    (Rtmr::Rtmr0, EFI_VARIABLE_DRIVER_CONFIG, DependsOn::Image, "pk", "PK"),
    (Rtmr::Rtmr0, EFI_VARIABLE_DRIVER_CONFIG, DependsOn::Image, "kek", "KEK"),
    (Rtmr::Rtmr0, EFI_VARIABLE_DRIVER_CONFIG, DependsOn::Image, "db", "db"),
    (Rtmr::Rtmr0, EFI_VARIABLE_DRIVER_CONFIG, DependsOn::Image, "dbx", "dbx"),
    (Rtmr::Rtmr0, SEPARATOR, DependsOn::Image, "separator", "\0\0\0\0"),
    (Rtmr::Rtmr0, PLATFORM_CONFIG_FLAGS, DependsOn::Shape, "acpi-loader", ACPI_DATA),
    (Rtmr::Rtmr0, PLATFORM_CONFIG_FLAGS, DependsOn::Shape, "acpi-rsdp", ACPI_DATA),
    (Rtmr::Rtmr0, PLATFORM_CONFIG_FLAGS, DependsOn::Shape, "acpi-tables", ACPI_DATA),
    (Rtmr::Rtmr1, EFI_BOOT_SERVICES_APPLICATION, DependsOn::Image, "kernel", "kernel"),
    (Rtmr::Rtmr0, EFI_VARIABLE_BOOT, DependsOn::Image, "boot-order", "BootOrder"),
    (Rtmr::Rtmr0, EFI_VARIABLE_BOOT, DependsOn::Image, "boot-0000", "Boot0000"),
    (Rtmr::Rtmr1, EFI_ACTION, DependsOn::Image, "boot-option", "Calling EFI Application from Boot Option"),
    (Rtmr::Rtmr1, SEPARATOR, DependsOn::Image, "separator", "\0\0\0\0"),
    (Rtmr::Rtmr2, EVENT_TAG, DependsOn::Image, "cmdline", "LOADED_IMAGE::LoadOptions"),
    (Rtmr::Rtmr2, EVENT_TAG, DependsOn::Image, "initrd", "Linux initrd"),
    (Rtmr::Rtmr1, EFI_ACTION, DependsOn::Image, "exit-invoked", "Exit Boot Services Invocation"),
    (Rtmr::Rtmr1, EFI_ACTION, DependsOn::Image, "exit-done", "Exit Boot Services Returned with Success"),
];

/// Appends the events of the boot.
pub(super) fn boot_log(
    mut log: EventLogBuilder,
    spec: &GuestSpec,
    traits: &Traits,
) -> Result<EventLogBuilder, EntryError> {
    for (rtmr, event_type, depends_on, label, payload) in BOOT {
        let digest = made_up(label, spec, *depends_on == DependsOn::Shape);
        let named = traits.acpi_events_named && *payload == ACPI_DATA;
        let name = if named { *label } else { "" };
        log = log.measured(*rtmr, *event_type, digest, name, payload.as_bytes())?;
    }
    Ok(log)
}

/// MRTD: the measurement of the firmware, made up.
pub(super) fn mrtd(spec: &GuestSpec) -> Digest48 {
    made_up("mrtd", spec, false)
}

fn made_up(label: &str, spec: &GuestSpec, of_shape: bool) -> Digest48 {
    let mut context = digest::Context::new(&digest::SHA384);
    context.update(b"EMULATED:");
    context.update(label.as_bytes());
    context.update(b":");
    if of_shape {
        context.update(&spec.vcpu.to_le_bytes());
        context.update(&spec.memory_mib.to_le_bytes());
    } else {
        context.update(spec.os_image_hash.as_ref());
    }
    let mut bytes = [0; 48];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest48::new(bytes)
}
