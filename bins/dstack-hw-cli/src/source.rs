//! Where readings come from: this host, a capture, a tree of files, or pasted texts.

use std::path::{Path, PathBuf};

use cli_support::CliError;
use dstack_hw::source::Pasted;
use dstack_hw::{CollectOptions, HostSource};

use crate::files;

/// The options that name a source. Without one it is this host.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What is looked at")]
pub(crate) struct SourceArgs {
    /// A capture made by `dstack-hw capture`, or - for standard input
    #[arg(long, value_name = "CAPTURE", conflicts_with_all = ["dmesg", "cpuinfo", "paste", "root"])]
    pub(crate) from: Option<PathBuf>,
    /// The output of `dmesg` or `journalctl -k`, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub(crate) dmesg: Option<PathBuf>,
    /// The content of /proc/cpuinfo, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub(crate) cpuinfo: Option<PathBuf>,
    /// What somebody pasted: dmesg, lscpu, /proc/cpuinfo, files shown with `cat`, with the commands left in; or -
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dmesg", "cpuinfo", "root"])]
    pub(crate) paste: Option<PathBuf>,
    /// A tree of files of a host, such as a mounted disk
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

/// The option that names a tree of files, for commands that know no other source than that and this host.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What is looked at")]
pub(crate) struct TreeArgs {
    /// A tree of files of a host, such as a mounted disk
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

/// What is asked beside reading.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What is looked at")]
pub(crate) struct AskArgs {
    /// Do not ask the collateral service over the network
    #[arg(long)]
    offline: bool,
    /// Do not start QEMU to ask what it can do
    #[arg(long)]
    skip_qemu: bool,
}

impl AskArgs {
    pub(crate) fn options(&self) -> CollectOptions {
        CollectOptions::default().network(!self.offline).qemu(!self.skip_qemu)
    }
}

/// What kind of source was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Live,
    Capture,
    Tree,
    Pasted,
}

impl Kind {
    /// For the beginning of a page.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Live => "this machine, live",
            Self::Capture => "a capture",
            Self::Tree => "a tree of files",
            Self::Pasted => "pasted text",
        }
    }
}

/// A source and what it is called.
pub(crate) struct Opened {
    pub(crate) source: Box<dyn HostSource>,
    pub(crate) kind: Kind,
    /// What a report is about when nobody gives it a name.
    pub(crate) subject: String,
}

impl SourceArgs {
    /// Opens the source that the options name.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be.
    pub(crate) fn open(&self) -> Result<Opened, CliError> {
        if let Some(path) = &self.from {
            return capture(path);
        }
        if let Some(path) = &self.root {
            return tree(path);
        }
        if let Some(path) = &self.paste {
            return detected(path);
        }
        if self.dmesg.is_some() || self.cpuinfo.is_some() {
            return pasted(self.dmesg.as_deref(), self.cpuinfo.as_deref());
        }
        live()
    }
}

/// This host.
///
/// # Errors
/// This is not Linux.
#[cfg(target_os = "linux")]
pub(crate) fn live() -> Result<Opened, CliError> {
    let source = dstack_hw::source::LiveHost::new();
    Ok(Opened { source: Box::new(source), kind: Kind::Live, subject: "this host".to_owned() })
}

/// This host.
///
/// # Errors
/// This is not Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn live() -> Result<Opened, CliError> {
    Err(CliError::usage("this machine does not run Linux, which is what hosts of confidential VMs run")
        .hint("`--from CAPTURE`, `--dmesg FILE` and `--cpuinfo FILE` look at another one"))
}

fn capture(path: &Path) -> Result<Opened, CliError> {
    let text = files::read_text(path)?;
    let capture = dstack_hw::capture::Capture::from_json(&text)
        .map_err(|error| crate::failure::from_hw(error).context(files::named(path)))?;
    Ok(Opened { source: Box::new(capture.into_readings()), kind: Kind::Capture, subject: stem(path) })
}

/// A folder with `root/` in it and perhaps `readings.json` beside it, or the root of a file system itself.
#[cfg(target_os = "linux")]
fn tree(path: &Path) -> Result<Opened, CliError> {
    use dstack_hw::source::{LiveHost, TreeHost};
    let subject = stem(path);
    if path.join("root").is_dir() && !path.join("etc").is_dir() {
        let source = TreeHost::open(path)
            .map_err(|error| crate::failure::from_hw(error).context(files::named(path)))?;
        return Ok(Opened { source: Box::new(source), kind: Kind::Tree, subject });
    }
    let source = LiveHost::at(path).map_err(|error| {
        CliError::usage(error).context(format_args!("cannot read {}", files::named(path)))
    })?;
    Ok(Opened { source: Box::new(source), kind: Kind::Tree, subject })
}

/// Looking at a tree needs calls that only Linux has.
#[cfg(not(target_os = "linux"))]
fn tree(_path: &Path) -> Result<Opened, CliError> {
    Err(CliError::usage("`--root` needs Linux").hint("`--from CAPTURE` works everywhere"))
}

/// A text of which the kind is found out.
fn detected(path: &Path) -> Result<Opened, CliError> {
    let pasted = Pasted::detect(&files::read_text(path)?);
    if pasted.found().is_empty() {
        let name = files::named(path);
        return Err(CliError::usage(format!("nothing in {name} was recognised"))
            .hint("`--dmesg FILE` takes every line for a message of the kernel"));
    }
    Ok(Opened { source: Box::new(pasted.into_readings()), kind: Kind::Pasted, subject: stem(path) })
}

fn pasted(dmesg: Option<&Path>, cpuinfo: Option<&Path>) -> Result<Opened, CliError> {
    let dash = Path::new("-");
    if dmesg == Some(dash) && cpuinfo == Some(dash) {
        return Err(CliError::usage("`--dmesg -` and `--cpuinfo -` cannot both be standard input"));
    }
    let mut pasted = Pasted::new();
    let mut subject = String::new();
    if let Some(path) = dmesg {
        pasted = pasted.kernel_log(files::read_text(path)?);
        subject = stem(path);
    }
    if let Some(path) = cpuinfo {
        pasted = pasted.cpuinfo(files::read_text(path)?);
        if subject.is_empty() {
            subject = stem(path);
        }
    }
    Ok(Opened { source: Box::new(pasted.into_readings()), kind: Kind::Pasted, subject })
}

/// The name of a file without folder and extension.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    match stem {
        Some(stem) if stem != "-" => stem,
        _ => "standard input".to_owned(),
    }
}
