//! Containers: how they give themselves away.

use serde::Serialize;

use crate::source::FileMeta;
use crate::{Fact, HostSource, Unread};

/// Files that container managers leave inside a container.
const MARKS: &[(&str, &str)] = &[
    ("/.dockerenv", "Docker"),
    ("/run/.containerenv", "Podman"),
    ("/run/secrets/kubernetes.io", "Kubernetes"),
];

/// Files in which a container manager or systemd writes its own name.
const NAMES: &[&str] = &["/run/systemd/container", "/run/host/container-manager"];

/// Words in the control group of process 1 that only containers have there.
const GROUPS: &[(&str, &str)] = &[
    ("kubepods", "Kubernetes"),
    ("docker", "Docker"),
    ("libpod", "Podman"),
    ("containerd", "containerd"),
    ("/lxc", "LXC"),
    ("machine.slice/", "systemd-nspawn or libvirt-lxc"),
];

/// The namespaces of the host itself have fixed numbers (`include/linux/proc_ns.h`).
const HOST_PID_NAMESPACE: &str = "pid:[4026531836]";
const HOST_CGROUP_NAMESPACE: &str = "cgroup:[4026531835]";

/// What was read that tells of a container.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ContainerSigns {
    /// Files that are there: their path and the manager that puts them there.
    pub marks: Vec<(String, String)>,
    /// Names that were written down: the path and what is in it.
    pub names: Vec<(String, String)>,
    /// The control group of process 1 that belongs to a container: the line and the manager.
    pub group: Option<(String, String)>,
    /// Is the process in the PID namespace of the host?
    pub host_pid_namespace: Fact<bool>,
    /// Is the process in the control group namespace of the host?
    pub host_cgroup_namespace: Fact<bool>,
    /// Why the marks could not be looked for, where they could not.
    pub unread: Option<Unread>,
}

/// What the signs amount to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Container {
    /// Not a container.
    No,
    /// Not a container, though a file says so: it came with a root file system that was made from an image.
    Leftover {
        /// The file.
        path: String,
    },
    /// Processes are in a namespace of their own, and nothing says why: a sandbox, or a container that hides.
    OwnProcesses,
    /// A container.
    Yes {
        /// Its manager, such as `Docker`.
        manager: String,
        /// What says so: a path or `namespace`.
        source: String,
        /// The words there.
        excerpt: String,
    },
}

impl ContainerSigns {
    pub(super) fn collect(source: &dyn HostSource) -> Self {
        let mut unread = None;
        let mut note = |why: Unread| {
            if why != Unread::Absent {
                unread.get_or_insert(why);
            }
        };
        let mut marks = Vec::new();
        for (path, manager) in MARKS {
            match source.stat(path) {
                Ok(_) => marks.push(((*path).to_owned(), (*manager).to_owned())),
                Err(why) => note(why),
            }
        }
        let mut names = Vec::new();
        for path in NAMES {
            match source.text(path) {
                Ok(text) => {
                    let name: String = text.trim().chars().take(64).collect();
                    names.push(((*path).to_owned(), name));
                }
                Err(why) => note(why),
            }
        }
        let group = source.text("/proc/1/cgroup").ok().and_then(|text| container_group(&text));
        let namespace = |path: &str, host: &str| {
            Fact::from(source.stat(path)).and_then(|meta: FileMeta| {
                meta.target.map_or(Fact::Absent, |target| Fact::Known(target == host))
            })
        };
        Self {
            marks,
            names,
            group,
            host_pid_namespace: namespace("/proc/self/ns/pid", HOST_PID_NAMESPACE),
            host_cgroup_namespace: namespace("/proc/self/ns/cgroup", HOST_CGROUP_NAMESPACE),
            unread,
        }
    }

    /// What the signs amount to; `Err` says why it is not known.
    pub fn judge(&self) -> Result<Container, Unread> {
        let found = |manager: &str, source: &str, excerpt: &str| {
            Ok(Container::Yes {
                manager: manager.to_owned(),
                source: source.to_owned(),
                excerpt: excerpt.to_owned(),
            })
        };
        if let Some((path, name)) = self.names.first() {
            return found(if name.is_empty() { "a container manager" } else { name }, path, name);
        }
        if let Some((line, manager)) = &self.group {
            return found(manager, "/proc/1/cgroup", line);
        }
        let host_namespaces =
            self.host_pid_namespace == Fact::Known(true) && self.host_cgroup_namespace != Fact::Known(false);
        if let Some((path, manager)) = self.marks.first() {
            if host_namespaces {
                return Ok(Container::Leftover { path: path.clone() });
            }
            return found(manager, path, "the file is there");
        }
        if self.host_pid_namespace == Fact::Known(false) {
            return Ok(Container::OwnProcesses);
        }
        match &self.unread {
            Some(why) if !host_namespaces => Err(why.clone()),
            _ => Ok(Container::No),
        }
    }
}

/// The first line of `/proc/1/cgroup` that names a container, with its manager.
fn container_group(text: &str) -> Option<(String, String)> {
    text.lines().take(64).find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        // The daemon's own group is no container's; process 1 is never in it, but a look-alike must not match.
        let path = path.replace("docker.service", "").replace("containerd.service", "");
        let (_, manager) = GROUPS.iter().find(|(word, _)| path.contains(word))?;
        Some((line.to_owned(), (*manager).to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Readings;

    fn judge(host: &Readings) -> Result<Container, Unread> {
        ContainerSigns::collect(host).judge()
    }

    fn manager(host: &Readings) -> String {
        match judge(host) {
            Ok(Container::Yes { manager, .. }) => manager,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn managers_are_named() {
        let empty = Readings::empty_host;
        assert_eq!(manager(&empty().file("/.dockerenv", "")), "Docker");
        assert_eq!(manager(&empty().file("/run/.containerenv", "engine=\"podman\"\n")), "Podman");
        assert_eq!(manager(&empty().file("/run/systemd/container", "lxc\n")), "lxc");
        assert_eq!(
            manager(&empty().file("/run/host/container-manager", "systemd-nspawn\n")),
            "systemd-nspawn"
        );
        let group = "12:pids:/docker/0123456789abcdef\n0::/system.slice\n";
        assert_eq!(manager(&empty().file("/proc/1/cgroup", group)), "Docker");
        let group = "0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-0123.scope\n";
        assert_eq!(manager(&empty().file("/proc/1/cgroup", group)), "Kubernetes");
    }

    #[test]
    fn a_host_is_none() {
        let host = Readings::empty_host().file("/proc/1/cgroup", "0::/init.scope\n");
        assert_eq!(judge(&host), Ok(Container::No));
        let docker_host = Readings::empty_host().file("/proc/1/cgroup", "0::/system.slice/docker.service\n");
        assert_eq!(judge(&docker_host), Ok(Container::No));
    }

    #[test]
    fn a_mark_in_the_namespaces_of_the_host_is_left_over() {
        let marked = Readings::empty_host().file("/.dockerenv", "");
        let host = marked.clone().link("/proc/self/ns/pid", HOST_PID_NAMESPACE);
        assert_eq!(judge(&host), Ok(Container::Leftover { path: "/.dockerenv".to_owned() }));
        // `docker run --pid=host` keeps its own control groups.
        let host = host.link("/proc/self/ns/cgroup", "cgroup:[4026532281]");
        assert_eq!(manager(&host), "Docker");
        let contained = marked.link("/proc/self/ns/pid", "pid:[4026532279]");
        assert_eq!(manager(&contained), "Docker");
    }

    #[test]
    fn own_processes_alone_are_no_proof() {
        let host = Readings::empty_host().link("/proc/self/ns/pid", "pid:[4026532279]");
        assert_eq!(judge(&host), Ok(Container::OwnProcesses));
    }

    #[test]
    fn nothing_known_is_not_no() {
        assert_eq!(judge(&Readings::nothing_known()), Err(Unread::NotRecorded));
    }
}
