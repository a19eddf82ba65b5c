//! Runs a command from the closed list: bounded in time and in what is kept of its output.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::catalogue::ProbeCommand;
use crate::source::ProbeOutput;
use crate::source::files::unread_io;
use crate::{Reading, Unread};

/// Where programs are looked for. The search path of whoever runs this is not asked: it may be root.
const FOLDERS: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin", "/usr/local/sbin"];

/// How long a program that has closed its output is waited for at a time.
const MOMENT: Duration = Duration::from_millis(1);

/// How long it is waited for output before looking whether the program is still there.
const GLANCE: Duration = Duration::from_millis(25);

/// How much of the output is kept, in bytes. The rest is read and dropped, so that the program does not hang.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) stdout: usize,
    pub(super) stderr: usize,
}

impl Limits {
    /// Those of [`ProbeOutput`].
    pub(super) const PROBE: Self = Self { stdout: 256 << 10, stderr: 16 << 10 };
}

/// Runs it with an empty environment, no input and a process group of its own, which is killed when the time is over
/// or the program has ended, whatever it left behind.
pub(super) fn run(command: &ProbeCommand, limits: Limits) -> Reading<ProbeOutput> {
    let program = command.programs.iter().find_map(|name| find(name)).ok_or(Unread::Absent)?;
    trustworthy(&program)?;
    let child = Command::new(&program)
        .args(&command.arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", FOLDERS.join(":"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| unread_io(&error))?;
    Running { child, ended: false }.output(command.patience, limits)
}

/// The first of the folders that has a program of this name, or the path itself.
fn find(name: &str) -> Option<PathBuf> {
    let is_program =
        |path: &PathBuf| std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0);
    if name.starts_with('/') {
        return Some(PathBuf::from(name)).filter(is_program);
    }
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(is_program)
}

/// A program that others may write is not run: this may be root.
fn trustworthy(program: &Path) -> Reading<()> {
    let meta = std::fs::metadata(program).map_err(|error| unread_io(&error))?;
    let me = rustix::process::geteuid().as_raw();
    if meta.mode() & 0o002 != 0 || (meta.uid() != 0 && meta.uid() != me) {
        return Err(Unread::Failed(format!(
            "{} is not run: somebody else than root may change it",
            program.display()
        )));
    }
    Ok(())
}

/// A program that runs. Dropping it kills its process group and reaps it.
struct Running {
    child: Child,
    ended: bool,
}

impl Running {
    fn output(mut self, patience: Duration, limits: Limits) -> Reading<ProbeOutput> {
        let deadline = Instant::now() + patience;
        let mut stdout = Stream::new(self.child.stdout.take(), limits.stdout)?;
        let mut stderr = Stream::new(self.child.stderr.take(), limits.stderr)?;
        while !self.has_ended()? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unread::TimedOut);
            }
            if stdout.is_open() || stderr.is_open() {
                wait_for_output(&stdout, &stderr, left.min(GLANCE))?;
                stdout.take_what_is_there()?;
                stderr.take_what_is_there()?;
            } else {
                std::thread::sleep(left.min(MOMENT));
            }
        }
        // What is still in the pipes. What a process that it left behind may yet write is not waited for.
        stdout.take_what_is_there()?;
        stderr.take_what_is_there()?;
        let status = self.reap().map_err(|error| unread_io(&error))?;
        Ok(ProbeOutput {
            status: status.code().or_else(|| status.signal().and(None)),
            stdout: stdout.into_text(),
            stderr: stderr.into_text(),
        })
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Has the program ended? It is left to be reaped, so that its number is not given to another one before its group
    /// is killed.
    fn has_ended(&self) -> Reading<bool> {
        let Some(pid) = self.pid() else { return Ok(true) };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), options) {
            Ok(status) => Ok(status.is_some()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(unread_io(&error.into())),
        }
    }

    fn reap(&mut self) -> std::io::Result<std::process::ExitStatus> {
        if let Some(pid) = self.pid()
            && !self.ended
        {
            // It fails where the group is gone already, which is what is wanted.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        self.ended = true;
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.reap();
        }
    }
}

/// One output of a program.
struct Stream<R> {
    pipe: Option<R>,
    kept: Vec<u8>,
    limit: usize,
}

impl<R: Read + std::os::fd::AsFd> Stream<R> {
    fn new(pipe: Option<R>, limit: usize) -> Reading<Self> {
        if let Some(pipe) = &pipe {
            let flags = rustix::fs::fcntl_getfl(pipe).map_err(|error| unread_io(&error.into()))?;
            rustix::fs::fcntl_setfl(pipe, flags | OFlags::NONBLOCK)
                .map_err(|error| unread_io(&error.into()))?;
        }
        Ok(Self { pipe, kept: Vec::new(), limit })
    }

    const fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Reads until it would wait or the other end is closed, a mebibyte at most: a program that writes faster than it is
    /// read must not keep us from looking at the clock.
    fn take_what_is_there(&mut self) -> Reading<()> {
        let mut chunk = [0; 16 << 10];
        for _ in 0..64 {
            let Some(pipe) = &mut self.pipe else { return Ok(()) };
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    let room = self.limit.saturating_sub(self.kept.len()).min(length);
                    self.kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(unread_io(&error)),
            }
        }
        Ok(())
    }

    fn into_text(self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}

/// Waits until one of the outputs has something, at most this long.
fn wait_for_output<A, B>(stdout: &Stream<A>, stderr: &Stream<B>, at_most: Duration) -> Reading<()>
where
    A: std::os::fd::AsFd,
    B: std::os::fd::AsFd,
{
    let mut waiting = Vec::with_capacity(2);
    waiting.extend(stdout.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    waiting.extend(stderr.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    let timeout = Timespec::try_from(at_most).map_err(|_| Unread::TimedOut)?;
    match poll(&mut waiting, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(unread_io(&error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ProbeCommand {
        ProbeCommand {
            programs: vec!["sh".to_owned()],
            arguments: vec!["-c".to_owned(), script.to_owned()],
            patience: Duration::from_secs(20),
        }
    }

    #[test]
    fn both_outputs_and_the_status_are_kept() {
        let output = run(&shell("echo out; echo err >&2; exit 3"), Limits::PROBE).unwrap();
        assert_eq!(
            output,
            ProbeOutput { status: Some(3), stdout: "out\n".to_owned(), stderr: "err\n".to_owned() }
        );
    }

    #[test]
    fn a_missing_program_is_absent() {
        let command = ProbeCommand { programs: vec!["no-such-program-here".to_owned()], ..shell("") };
        assert_eq!(run(&command, Limits::PROBE), Err(Unread::Absent));
    }

    #[test]
    fn the_environment_is_empty_and_the_input_closed() {
        let output = run(&shell("echo ${HOME-none} ${USER-none} $LC_ALL; cat; pwd"), Limits::PROBE).unwrap();
        assert_eq!(output.stdout, "none none C\n/\n");
    }

    #[test]
    fn output_beyond_the_limit_is_dropped_and_the_program_still_ends() {
        let script = "i=0; while [ $i -lt 2000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; exit 7";
        let output = run(&shell(script), Limits { stdout: 100, stderr: 10 }).unwrap();
        assert_eq!((output.status, output.stdout.len()), (Some(7), 100));
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_everything_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());
        let command = ProbeCommand { patience: Duration::from_millis(300), ..shell(&script) };
        let started = Instant::now();
        assert_eq!(run(&command, Limits::PROBE), Err(Unread::TimedOut));
        assert!(started.elapsed() < Duration::from_secs(10));
        if let Ok(pid) = std::fs::read_to_string(&pid_file) {
            // Killed is not gone at once: the process has still to be run to its end, and then a zombie is reaped.
            let is_there = || {
                let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
                !(stat.is_empty() || stat.contains(") Z ") || stat.contains(") X "))
            };
            while is_there() {
                assert!(started.elapsed() < Duration::from_secs(60), "{pid} lives on");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let started = Instant::now();
        let output = run(&shell("sleep 1000 & echo done"), Limits::PROBE).unwrap();
        assert_eq!(output.stdout, "done\n");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_others_may_write_is_not_run() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, "#!/bin/sh\necho ran\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o777)).unwrap();
        let command = ProbeCommand { programs: vec![program.display().to_string()], ..shell("") };
        assert!(
            matches!(run(&command, Limits::PROBE), Err(Unread::Failed(why)) if why.contains("is not run"))
        );
    }
}
