//! `GET /logs`: the last lines of a log, and what follows them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use dstack_vmm_client::DstackVersion;
use futures_util::stream;
use http::StatusCode;
use tokio::io::AsyncReadExt;

use super::node::Node;
use super::pages;
use crate::clock::Clock;
use crate::rpc::{bytes_reply, percent_decode};
use crate::store::CHANNELS;

const PLAIN: &str = "text/plain; charset=utf-8";
/// Lines without another wish.
const DEFAULT_LINES: usize = 10_000;
/// What is sent while nothing happens, and how often.
const HEARTBEAT: &str = "[vmm heartbeat]\n";
const HEARTBEAT_MS: u64 = 60_000;
/// How often a followed file is looked at. Others write to it, so there is nothing to wait for but time.
const POLL: Duration = Duration::from_millis(40);
const BLOCK: usize = 64 * 1024;

/// The query of a request for logs.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    id: String,
    follow: bool,
    ansi: bool,
    lines: usize,
    channel: String,
}

impl Query {
    /// `None` where the id is missing or a value cannot be read.
    fn read(query: &str) -> Option<Self> {
        let mut id = None;
        let mut out = Self {
            id: String::new(),
            follow: false,
            ansi: false,
            lines: DEFAULT_LINES,
            channel: "serial".to_owned(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(&value.replace('+', " "));
            match key {
                "id" => id = Some(value),
                "follow" => out.follow = switch(&value)?,
                "ansi" => out.ansi = switch(&value)?,
                "lines" => out.lines = value.parse().ok()?,
                "ch" => out.channel = value,
                _ => {}
            }
        }
        out.id = id?;
        Some(out)
    }
}

/// A switch of a query; one without a value is on.
fn switch(value: &str) -> Option<bool> {
    match value {
        "" | "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    }
}

impl Node {
    pub(crate) async fn logs(self: &Arc<Self>, query: &str) -> Response {
        let Some(query) = Query::read(query) else { return pages::unprocessable() };
        let next = self.version != DstackVersion::V0_5;
        if next && self.settled().vm(&query.id).is_none() {
            return bytes_reply(StatusCode::NOT_FOUND, PLAIN, "VM not found");
        }
        if !CHANNELS.contains(&query.channel.as_str()) {
            let status = if next { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            return bytes_reply(status, PLAIN, format!("Unknown channel {}", query.channel));
        }
        // v0.5 does not ask whether there is such a VM, but an id that is none leads to no file here.
        if !crate::store::Store::is_vm_id(&query.id) {
            return bytes_reply(StatusCode::OK, PLAIN, "");
        }
        let path = self.store.log_path(&query.id, &query.channel);
        let tail = Tail {
            path,
            file: None,
            lines: Some(query.lines),
            follow: query.follow,
            strip: (!query.ansi).then(Escapes::default),
            held: Vec::new(),
            sent_ms: self.clock.now_ms(),
            clock: self.clock.clone(),
        };
        let body = Body::from_stream(stream::unfold(Some(tail), |tail| async move {
            let mut tail = tail?;
            match tail.next().await {
                Ok(Some(bytes)) => Some((Ok::<_, io::Error>(bytes), Some(tail))),
                Ok(None) => None,
                Err(error) => {
                    let words = format!("<failed to read line: {error}>");
                    Some((Ok(Bytes::from(words)), None))
                }
            }
        }));
        bytes_reply(StatusCode::OK, PLAIN, body)
    }
}

/// A file that is being read.
struct Open {
    file: tokio::fs::File,
    inode: u64,
    offset: u64,
}

/// A log from its last lines on.
struct Tail {
    path: PathBuf,
    file: Option<Open>,
    /// Lines to begin with; taken when the file is opened first. After a rotation the new file is read whole.
    lines: Option<usize>,
    follow: bool,
    strip: Option<Escapes>,
    /// A line whose end is not written yet.
    held: Vec<u8>,
    sent_ms: u64,
    clock: Clock,
}

impl Tail {
    /// The next piece, whole lines as far as there are any. `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.read().await? {
                if let Some(piece) = self.complete() {
                    return Ok(Some(self.sent(piece)));
                }
                continue;
            }
            if !self.follow {
                let rest = std::mem::take(&mut self.held);
                return Ok((!rest.is_empty()).then(|| self.sent(rest)));
            }
            if self.rotated() {
                self.file = None;
                continue;
            }
            let beat = self.sent_ms.saturating_add(HEARTBEAT_MS);
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = self.clock.sleep_until(beat) => {
                    self.sent_ms = self.clock.now_ms();
                    return Ok(Some(Bytes::from_static(HEARTBEAT.as_bytes())));
                }
            }
        }
    }

    /// Reads a block behind what is held; whether there was one.
    async fn read(&mut self) -> io::Result<bool> {
        if self.file.is_none() {
            let (path, lines) = (self.path.clone(), self.lines.take());
            let opened = tokio::task::spawn_blocking(move || open_at(&path, lines)).await;
            match opened.map_err(io::Error::other)? {
                Ok((file, inode, offset)) => {
                    self.file = Some(Open { file: tokio::fs::File::from_std(file), inode, offset });
                }
                // A log that nothing was written to yet is an empty log.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let Some(open) = &mut self.file else { return Ok(false) };
        let start = self.held.len();
        self.held.resize(start + BLOCK, 0);
        let read = open.file.read(&mut self.held[start..]).await;
        let count = *read.as_ref().unwrap_or(&0);
        self.held.truncate(start + count);
        open.offset += count as u64;
        read.map(|count| count > 0)
    }

    /// Takes what is complete: up to the last line end, or all of it where a line is longer than a block.
    fn complete(&mut self) -> Option<Vec<u8>> {
        let end = match self.held.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if self.held.len() >= BLOCK => self.held.len(),
            None => return None,
        };
        let rest = self.held.split_off(end);
        Some(std::mem::replace(&mut self.held, rest))
    }

    fn sent(&mut self, piece: Vec<u8>) -> Bytes {
        self.sent_ms = self.clock.now_ms();
        let piece = match &mut self.strip {
            // Most logs hold no escapes, and some are very long.
            Some(strip) if strip.concerns(&piece) => strip.strip(&piece),
            _ => piece,
        };
        match String::from_utf8(piece) {
            Ok(text) => Bytes::from(text),
            Err(error) => Bytes::from(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        }
    }

    /// Whether the path names another file by now, or the file was cut.
    fn rotated(&self) -> bool {
        let Some(open) = &self.file else { return false };
        std::fs::metadata(&self.path).is_ok_and(|meta| meta.ino() != open.inode || meta.len() < open.offset)
    }
}

/// Opens a file before its last `lines` lines, or at its start.
fn open_at(path: &Path, lines: Option<usize>) -> io::Result<(File, u64, u64)> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    let offset = match lines {
        Some(lines) => tail_offset(&mut file, meta.len(), lines)?,
        None => 0,
    };
    file.seek(SeekFrom::Start(offset))?;
    Ok((file, meta.ino(), offset))
}

/// Where the last `lines` lines of a file begin, found from its end: neither time nor memory depend on its size.
fn tail_offset(file: &mut (impl Read + Seek), length: u64, lines: usize) -> io::Result<u64> {
    if lines == 0 {
        return Ok(length);
    }
    let mut block = vec![0; BLOCK];
    let mut end = length;
    let mut ends_seen = 0_usize;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let size = usize::try_from(end - start).unwrap_or(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block[..size])?;
        for at in (0..size).rev().filter(|at| block[*at] == b'\n') {
            let after = start + at as u64 + 1;
            // The end of the last line begins no line.
            if after == length {
                continue;
            }
            ends_seen += 1;
            if ends_seen == lines {
                return Ok(after);
            }
        }
        end = start;
    }
    Ok(0)
}

/// Takes terminal escapes out of a text that arrives in pieces.
#[derive(Debug, Default)]
struct Escapes {
    state: Escape,
}

#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    Text,
    Begun,
    /// Until a letter.
    Sequence,
    /// Until a bell or `ESC \`.
    Command,
    CommandEnd,
}

impl Escapes {
    /// Whether a piece is changed by it: it begins in an escape or contains one.
    fn concerns(&self, bytes: &[u8]) -> bool {
        !matches!(self.state, Escape::Text) || bytes.contains(&0x1b)
    }

    fn strip(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (Escape::Text, 0x1b) => Escape::Begun,
                (Escape::Text, _) => {
                    out.push(byte);
                    Escape::Text
                }
                (Escape::Begun, b'[') => Escape::Sequence,
                (Escape::Begun, b']' | b'P' | b'_' | b'^') => Escape::Command,
                (Escape::Begun, b' '..=b'/') => Escape::Begun,
                (Escape::Begun, _) => Escape::Text,
                (Escape::Sequence, 0x40..=0x7e) => Escape::Text,
                (Escape::Sequence, _) => Escape::Sequence,
                (Escape::Command, 0x07) => Escape::Text,
                (Escape::Command, 0x1b) => Escape::CommandEnd,
                (Escape::Command, _) => Escape::Command,
                (Escape::CommandEnd, b'\\') => Escape::Text,
                (Escape::CommandEnd, _) => Escape::Command,
            };
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn tail(text: &str, lines: usize) -> &str {
        let at = tail_offset(&mut Cursor::new(text.as_bytes()), text.len() as u64, lines).unwrap();
        &text[usize::try_from(at).unwrap()..]
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a\nb\n", 9), "a\nb\n");
        assert_eq!(tail("a\nb\n", 0), "");
        assert_eq!(tail("", 1), "");
        assert_eq!(tail("\n\n\n", 2), "\n\n");
    }

    proptest::proptest! {
        #[test]
        fn a_tail_is_what_counting_lines_gives(text in "[ab\n]{0,40}", lines in 0_usize..12) {
            let all: Vec<&str> = text.split_inclusive('\n').collect();
            proptest::prop_assert_eq!(tail(&text, lines), all[all.len().saturating_sub(lines)..].concat());
        }
    }

    #[test]
    fn blocks_do_not_matter() {
        let text: String = (0..40_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(tail(&text, 3), "line 39997\nline 39998\nline 39999\n");
        assert_eq!(tail(&text, 40_000), text);
        assert!(tail(&text, 20_000).starts_with("line 20000\n"));
    }

    #[test]
    fn escapes_go_wherever_the_pieces_end() {
        let colored = b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain\x1b(B \x1b]8;;x\x1b\\link\n";
        for split in 0..colored.len() {
            let mut strip = Escapes::default();
            let mut out = strip.strip(&colored[..split]);
            out.extend(strip.strip(&colored[split..]));
            assert_eq!(out, b"red plain link\n", "{split}");
        }
    }

    #[test]
    fn queries_are_read_as_rocket_does() {
        let query = Query::read("id=a&follow&ansi=on&lines=5&ch=std%6fut&x=1").unwrap();
        assert_eq!(
            query,
            Query { id: "a".to_owned(), follow: true, ansi: true, lines: 5, channel: "stdout".to_owned() }
        );
        assert_eq!(Query::read("id=").unwrap().lines, DEFAULT_LINES);
        for bad in ["", "follow=true", "id=a&follow=maybe", "id=a&lines=-1"] {
            assert_eq!(Query::read(bad), None, "{bad}");
        }
    }
}
