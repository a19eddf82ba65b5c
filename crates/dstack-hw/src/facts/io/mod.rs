//! vsock, the IOMMU, VFIO, disks, the clock, sleep.

use serde::Serialize;

use super::HostSource;
use crate::Fact;
use crate::source::{DiskSpace, FileMeta};

/// The folders whose disk space is looked at: where this project puts images and VMs, where services keep data, and the
/// root. What the VMM's configuration names may be elsewhere.
pub const DISK_PATHS: [&str; 3] = ["/var/lib/dstack", "/var/lib", "/"];

/// vsock, the IOMMU, VFIO, disks, the clock, sleep.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Io {
    /// `/dev/vhost-vsock`: the host's end of vsock.
    pub vhost_vsock: Fact<FileMeta>,
    /// Is its module loaded or built in (`/sys/module/vhost_vsock`)? Opening the device loads it.
    pub vhost_vsock_module: Fact<bool>,
    /// The IOMMUs that drive devices (`/sys/class/iommu`): `dmar0` with Intel, `ivhd0` with AMD. Empty or absent where
    /// the kernel uses none.
    pub iommus: Fact<Vec<String>>,
    /// How many IOMMU groups there are (`/sys/kernel/iommu_groups`).
    pub iommu_groups: Fact<usize>,
    /// `/dev/iommu`: iommufd.
    pub iommufd: Fact<FileMeta>,
    /// `/dev/vfio/vfio`: VFIO.
    pub vfio: Fact<FileMeta>,
    /// Is the driver `vfio-pci` there (`/sys/bus/pci/drivers/vfio-pci`)?
    pub vfio_pci: Fact<bool>,
    /// The space at [`DISK_PATHS`].
    pub disks: Vec<Disk>,
    /// Has systemd-timesyncd set the clock since boot (`/run/systemd/timesync/synchronized`)?
    pub timesync: Fact<bool>,
    /// The words of `/sys/power/state`: the kinds of sleep the kernel offers.
    pub sleep_states: Fact<Vec<String>>,
    /// `/sys/power/disk`, which reads `[disabled]` where hibernation is off. Absent on a kernel that cannot hibernate.
    pub hibernation: Fact<String>,
}

/// The space at a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Disk {
    /// The folder.
    pub path: &'static str,
    /// The space of its file system.
    pub space: Fact<DiskSpace>,
}

impl Io {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let line = |path: &str| Fact::from(source.text(path)).map(|text| text.trim().to_owned());
        Self {
            vhost_vsock: Fact::from(source.stat("/dev/vhost-vsock")),
            vhost_vsock_module: Fact::from(source.exists("/sys/module/vhost_vsock")),
            iommus: Fact::from(source.list("/sys/class/iommu")).map(|mut names| {
                names.truncate(256);
                names
            }),
            iommu_groups: Fact::from(source.list("/sys/kernel/iommu_groups")).map(|names| names.len()),
            iommufd: Fact::from(source.stat("/dev/iommu")),
            vfio: Fact::from(source.stat("/dev/vfio/vfio")),
            vfio_pci: Fact::from(source.exists("/sys/bus/pci/drivers/vfio-pci")),
            disks: DISK_PATHS
                .into_iter()
                .map(|path| Disk { path, space: Fact::from(source.disk(path)) })
                .collect(),
            timesync: Fact::from(source.exists("/run/systemd/timesync/synchronized")),
            sleep_states: line("/sys/power/state")
                .map(|text| text.split_whitespace().take(16).map(str::to_owned).collect()),
            hibernation: line("/sys/power/disk"),
        }
    }

    /// The folder with most space among those that are there.
    pub fn roomiest(&self) -> Option<(&'static str, DiskSpace)> {
        self.disks
            .iter()
            .filter_map(|disk| Some((disk.path, *disk.space.known()?)))
            // The first of equals: two folders of one file system are named by the one that is more to the point.
            .reduce(|best, other| if other.1.available > best.1.available { other } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unread;
    use crate::source::Readings;

    #[test]
    fn a_host_with_everything() {
        let host = Readings::empty_host()
            .device("/dev/vhost-vsock", 0o660, "kvm")
            .device("/dev/iommu", 0o660, "kvm")
            .folder("/sys/class/iommu", ["dmar0", "dmar1"])
            .file("/sys/power/state", "freeze\n")
            .file("/sys/power/disk", "[disabled]\n");
        let io = Io::collect(&host);
        assert!(io.vhost_vsock.known().is_some() && io.iommufd.known().is_some());
        assert_eq!(io.iommus.known().map(Vec::len), Some(2));
        assert_eq!(io.hibernation, Fact::Known("[disabled]".to_owned()));
        assert_eq!(io.sleep_states, Fact::Known(vec!["freeze".to_owned()]));
        assert_eq!((io.vfio, io.timesync), (Fact::Absent, Fact::Known(false)));
    }

    #[test]
    fn the_roomiest_disk() {
        let space = |available| DiskSpace { total: 100, available };
        let host = Readings::empty_host().disk_space("/", space(50)).disk_space("/var/lib", space(50));
        assert_eq!(Io::collect(&host).roomiest().unwrap().0, "/var/lib");
        assert_eq!(Io::collect(&Readings::empty_host()).roomiest(), None);
        let unread = Io::collect(&Readings::nothing_known());
        assert_eq!(unread.disks[0].space, Fact::Unread(Unread::NotRecorded));
    }
}
