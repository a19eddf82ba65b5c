//! Model-specific registers through the `msr` driver. The driver is never loaded: that would change the host.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::source::files::{unread, unread_io};
use crate::{Reading, Unread};

/// Reads a register: 8 bytes at the register's address in `/dev/cpu/N/msr` (Linux `arch/x86/kernel/msr.c`).
///
/// No such device is [`Unread::Absent`]: the driver is not loaded, or there is no such CPU. A register that the CPU does
/// not have faults, which the driver answers with EIO: [`Unread::Failed`]. It cannot be told from one that a hypervisor
/// keeps to itself.
pub(super) fn read(cpu: u32, address: u32) -> Reading<u64> {
    let device = File::options()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
        .open(format!("/dev/cpu/{cpu}/msr"))
        .map_err(|error| meaning(&error))?;
    let mut value = [0; 8];
    device.read_exact_at(&mut value, u64::from(address)).map_err(|error| meaning(&error))?;
    Ok(u64::from_le_bytes(value))
}

fn meaning(error: &std::io::Error) -> Unread {
    match Errno::from_io_error(error) {
        Some(Errno::NXIO | Errno::NODEV) => Unread::Absent,
        Some(Errno::IO) => {
            Unread::Failed("reading the register faults: this CPU does not show it".to_owned())
        }
        Some(errno) => unread(errno),
        None => unread_io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_not_an_absence_and_a_missing_device_is() {
        let of = |errno: Errno| meaning(&errno.into());
        assert_eq!(of(Errno::NOENT), Unread::Absent);
        assert_eq!(of(Errno::NXIO), Unread::Absent);
        assert!(matches!(of(Errno::IO), Unread::Failed(_)));
        assert!(matches!(of(Errno::PERM), Unread::NotPermitted | Unread::Failed(_)));
    }

    #[test]
    fn a_cpu_that_no_machine_has_is_absent() {
        assert_eq!(read(u32::MAX, 0xfe), Err(Unread::Absent));
    }
}
