//! Secrets from files, the environment or stdin; never from arguments, which every user of a machine can read.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dstack_check::{Hint, Hinted};
use zeroize::{Zeroize, Zeroizing};

/// The longest secret that is read, in bytes.
pub(crate) const MAX_SECRET: usize = 64 * 1024;

/// A secret in memory. It is wiped when dropped and never shown by `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A secret that came from elsewhere.
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself, for handing it to whoever needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where to read a secret.
///
/// On a command line it is written as `-` for stdin, `env:NAME` for an environment variable, and anything else is the
/// path of a file.
///
/// ```
/// use cli_support::SecretSource;
///
/// assert_eq!("-".parse(), Ok(SecretSource::Stdin));
/// assert_eq!("env:TOKEN".parse(), Ok(SecretSource::Env("TOKEN".to_owned())));
/// assert_eq!("/etc/token".parse(), Ok(SecretSource::File("/etc/token".into())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that only its owner can read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// Standard input, up to its end.
    Stdin,
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("env:") {
            _ if text == "-" => Ok(Self::Stdin),
            _ if text.is_empty() => Err("the path is empty".to_owned()),
            Some(name) if name.is_empty() || name.contains(['=', '\0']) => {
                Err(format!("`{name}` cannot be the name of an environment variable"))
            }
            Some(name) => Ok(Self::Env(name.to_owned())),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Stdin => f.write_str("stdin"),
        }
    }
}

/// Why a secret could not be read. No variant holds any part of the secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be opened or read, or stdin cannot.
    #[error("cannot read the secret from {from}")]
    Io {
        /// Where it was to be read.
        from: SecretSource,
        /// What the system said.
        source: io::Error,
    },
    /// The path leads to a directory, a socket or a disk.
    #[error("{} is a {kind}, not a file with a secret", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Others than the owner have rights on the file.
    #[error("{} is open to others than its owner: its mode is {mode:04o}", .path.display())]
    TooOpen {
        /// The path.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
    /// There is more than 64 KiB.
    #[error("{from} holds more than 64 KiB, which is too long for a secret")]
    TooLong {
        /// Where it was read.
        from: SecretSource,
    },
    /// There is nothing, or nothing but a line break.
    #[error("the secret in {from} is empty")]
    Empty {
        /// Where it was read.
        from: SecretSource,
    },
    /// The bytes are not text.
    #[error("the secret in {from} is not UTF-8 text (byte {at})")]
    NotUtf8 {
        /// Where it was read.
        from: SecretSource,
        /// How many bytes before the first that is wrong.
        at: usize,
    },
    /// The environment variable does not exist.
    #[error("the environment variable {name} is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// Stdin is a keyboard, on which a secret would be seen while it is typed.
    #[error("stdin is a terminal, so the secret would be shown while it is typed")]
    Terminal,
}

impl Hinted for SecretError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::TooOpen { path, .. } => {
                Some(Hint::from(format!("give it to its owner alone: `chmod 600 {}`", quoted(path))))
            }
            Self::Terminal => Some(Hint::from("send it through a pipe or name a file")),
            Self::NotSet { name } => {
                Some(Hint::from(format!("is it exported? `export {name}` passes a shell variable on")))
            }
            _ => None,
        }
    }
}

/// The path for a shell: quoted where it holds anything but the plain characters of paths.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

impl SecretSource {
    /// Reads the secret. One line break at the end is not part of it.
    ///
    /// # Errors
    /// [`SecretError`]; a file on which group or others have any right is refused.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => self.read_file(path),
            Self::Env(name) => self.read_variable(name, std::env::var_os(name)),
            Self::Stdin => {
                let stdin = io::stdin();
                if stdin.is_terminal() {
                    return Err(SecretError::Terminal);
                }
                self.read_from(stdin.lock())
            }
        }
    }

    fn read_file(&self, path: &Path) -> Result<Secret, SecretError> {
        let failed = |source| SecretError::Io { from: self.clone(), source };
        // Metadata before opening: opening a device can do things. Afterwards again on what was opened, since the
        // path may lead elsewhere by then.
        check_file(path, &path.metadata().map_err(failed)?)?;
        let file = File::open(path).map_err(failed)?;
        check_file(path, &file.metadata().map_err(failed)?)?;
        self.read_from(file)
    }

    fn read_variable(&self, name: &str, value: Option<std::ffi::OsString>) -> Result<Secret, SecretError> {
        let value = value.ok_or_else(|| SecretError::NotSet { name: name.to_owned() })?;
        self.accept(&Zeroizing::new(value.into_encoded_bytes()))
    }

    fn read_from(&self, mut reader: impl Read) -> Result<Secret, SecretError> {
        // The buffer has its full size from the start: growing would leave copies of the secret behind.
        let mut buffer = Zeroizing::new(vec![0; MAX_SECRET + 1]);
        let mut filled = 0;
        while filled < buffer.len() {
            match reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(SecretError::Io { from: self.clone(), source }),
            }
        }
        buffer.truncate(filled);
        self.accept(&buffer)
    }

    fn accept(&self, bytes: &[u8]) -> Result<Secret, SecretError> {
        if bytes.len() > MAX_SECRET {
            return Err(SecretError::TooLong { from: self.clone() });
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Err(SecretError::NotUtf8 { from: self.clone(), at: error.valid_up_to() }),
        };
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            return Err(SecretError::Empty { from: self.clone() });
        }
        Ok(Secret(Zeroizing::new(text.to_owned())))
    }
}

/// Refuses what is no file (a pipe, as of process substitution, is fine) and files others have rights on.
fn check_file(path: &Path, metadata: &std::fs::Metadata) -> Result<(), SecretError> {
    let kind = metadata.file_type();
    let not_a_file = |kind| Err(SecretError::NotAFile { path: path.to_owned(), kind });
    if kind.is_dir() {
        return not_a_file("directory");
    }
    if kind.is_socket() {
        return not_a_file("socket");
    }
    if kind.is_block_device() || kind.is_char_device() {
        return not_a_file("device");
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if kind.is_file() && mode & 0o077 != 0 {
        return Err(SecretError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(())
}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::ffi::OsStringExt;

    use insta::assert_snapshot;

    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, SecretSource) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("the token");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (directory, SecretSource::File(path))
    }

    fn read(content: &[u8]) -> Result<String, String> {
        let (_directory, source) = file(content, 0o600);
        source.read().map(|secret| secret.expose().to_owned()).map_err(|error| {
            let SecretSource::File(path) = &source else { unreachable!() };
            error.to_string().replace(&path.display().to_string(), "[FILE]")
        })
    }

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_it() {
        for (content, secret) in [
            ("token", "token"),
            ("token\n", "token"),
            ("token\r\n", "token"),
            ("token\n\n", "token\n"),
            (" to ken ", " to ken "),
            ("token\r", "token\r"),
        ] {
            assert_eq!(read(content.as_bytes()).as_deref(), Ok(secret), "{content:?}");
        }
    }

    #[test]
    fn contents_that_are_no_secret() {
        let messages: Vec<String> = [&b""[..], b"\n", b"\r\n", b"abc\xff", &[b'x'; MAX_SECRET + 1]]
            .map(|content| read(content).unwrap_err())
            .into();
        assert_snapshot!(messages.join("\n"), @r"
        the secret in [FILE] is empty
        the secret in [FILE] is empty
        the secret in [FILE] is empty
        the secret in [FILE] is not UTF-8 text (byte 3)
        [FILE] holds more than 64 KiB, which is too long for a secret
        ");
        assert_eq!(read(&[b'x'; MAX_SECRET]).unwrap().len(), MAX_SECRET);
    }

    #[test]
    fn any_right_of_others_is_refused_with_the_way_out() {
        for mode in [0o640, 0o604, 0o644, 0o620, 0o601, 0o777] {
            let (directory, source) = file(b"token", mode);
            let error = source.read().unwrap_err();
            let hint = error.hint().unwrap().to_string();
            let path = directory.path().join("the token");
            assert_eq!(
                error.to_string(),
                format!("{} is open to others than its owner: its mode is {mode:04o}", path.display())
            );
            assert_eq!(hint, format!("give it to its owner alone: `chmod 600 '{}'`", path.display()));
        }
        for mode in [0o600, 0o400, 0o700] {
            assert!(file(b"token", mode).1.read().is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_file_is_said_to_be_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let message = |path: &Path| SecretSource::File(path.to_owned()).read().unwrap_err().to_string();
        assert!(message(directory.path()).ends_with(" is a directory, not a file with a secret"));
        assert!(message(&socket).ends_with(" is a socket, not a file with a secret"));
        assert_eq!(message(Path::new("/dev/null")), "/dev/null is a device, not a file with a secret");
        let missing = SecretSource::File(directory.path().join("none")).read().unwrap_err();
        let source = std::error::Error::source(&missing).unwrap().to_string();
        assert_eq!(source, "No such file or directory (os error 2)");
    }

    #[test]
    fn variables_are_read_like_files() {
        let source = SecretSource::Env("TOKEN".to_owned());
        let variable = |value: Option<&[u8]>| {
            let value = value.map(|value| std::ffi::OsString::from_vec(value.to_vec()));
            source
                .read_variable("TOKEN", value)
                .map(|secret| secret.expose().to_owned())
                .map_err(|e| e.to_string())
        };
        assert_eq!(variable(Some(b"token\n")).as_deref(), Ok("token"));
        assert_eq!(variable(None).unwrap_err(), "the environment variable TOKEN is not set");
        assert_eq!(variable(Some(b"")).unwrap_err(), "the secret in environment variable TOKEN is empty");
        assert_eq!(
            variable(Some(b"\xff")).unwrap_err(),
            "the secret in environment variable TOKEN is not UTF-8 text (byte 0)"
        );
    }

    #[test]
    fn a_reader_may_be_slow_or_fail() {
        struct Slow(Vec<io::Result<u8>>);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match self.0.pop() {
                    None => Ok(0),
                    Some(Ok(byte)) => {
                        buffer[0] = byte;
                        Ok(1)
                    }
                    Some(Err(error)) => Err(error),
                }
            }
        }
        let slow = Slow(vec![Ok(b'b'), Err(io::ErrorKind::Interrupted.into()), Ok(b'a')]);
        assert_eq!(SecretSource::Stdin.read_from(slow).unwrap().expose(), "ab");
        let failing = Slow(vec![Err(io::ErrorKind::ConnectionReset.into()), Ok(b'a')]);
        let error = SecretSource::Stdin.read_from(failing).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the secret from stdin");
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "Secret(..)");
    }
}
