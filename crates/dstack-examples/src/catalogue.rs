//! The examples of this crate, embedded.

/// What an example's VM needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resources {
    /// Number of virtual CPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Size of the data disk in GiB.
    pub disk_gib: u32,
}

/// A port that an example serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Port on the host, a suggestion.
    pub host: u16,
    /// Port in the VM.
    pub vm: u16,
    /// What answers there.
    pub what: &'static str,
}

/// An example: what it is, its Compose file, and what its VM needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Example {
    /// Name in URLs and on the command line; also the folder under `examples/`.
    pub slug: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// What it shows, in one sentence without a full stop.
    pub summary: &'static str,
    /// The Compose file, byte for byte.
    pub compose: &'static str,
    /// The README.
    pub readme: &'static str,
    /// What its VM needs.
    pub resources: Resources,
    /// Ports it serves.
    pub ports: &'static [Port],
}

/// Every example, by slug.
pub const CATALOGUE: &[Example] = &[Example {
    slug: "hello-world",
    title: "Hello world",
    summary: "A web server whose one page is covered by the compose hash",
    compose: include_str!("../examples/hello-world/docker-compose.yaml"),
    readme: include_str!("../examples/hello-world/README.md"),
    resources: Resources { vcpu: 1, memory_mib: 1024, disk_gib: 10 },
    ports: &[Port { protocol: "tcp", host: 8080, vm: 80, what: "the page" }],
}];

/// The example with this slug.
pub fn find(slug: &str) -> Option<&'static Example> {
    CATALOGUE.iter().find(|example| example.slug == slug)
}
