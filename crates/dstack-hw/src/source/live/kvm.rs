//! What `/dev/kvm` says of itself. Opening it and asking creates no VM.

use kvm_ioctls::Kvm;
use rustix::io::Errno;

use crate::Reading;
use crate::source::KvmCapabilities;
use crate::source::files::unread;

/// `KVM_CAP_VM_TYPES` (Linux `include/uapi/linux/kvm.h`).
const VM_TYPES: std::ffi::c_ulong = 235;

pub(super) fn capabilities() -> Reading<KvmCapabilities> {
    let kvm = Kvm::new().map_err(|error| unread(Errno::from_raw_os_error(error.errno())))?;
    // Negative is an error, which kernels that know no such extension do not give: they answer 0.
    let vm_types = u64::try_from(kvm.check_extension_raw(VM_TYPES)).unwrap_or(0);
    Ok(KvmCapabilities { api_version: kvm.get_api_version(), vm_types })
}
