//! Reading a log, and going on after the connection was lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Client;
use super::api_trait::VmmApi;
use super::builder::RetryPolicy;
use super::call::worth_repeating;
use super::follow_options::FollowOptions;
use super::history::{History, Place};
use super::line_splitter::LineSplitter;
use super::logs::{LOGS, LogEvent, LogRequest, LogStream};
use super::search::{Ask, Decision, Search};
use crate::error::{Error, Result};

/// What the server sends once a minute into a log that is silent.
const HEARTBEAT: &str = "[vmm heartbeat]";

/// How much of a chunk is split at once, which bounds the lines that wait.
const BITE: usize = 16 * 1024;

/// Silence after which what is found counts as all of the tail, and after which nothing found does.
const QUIET_FOUND: Duration = Duration::from_millis(250);
const QUIET_NOT_FOUND: Duration = Duration::from_secs(2);

/// How long a connection must last to count as one that worked although it gave no line.
const STEADY: Duration = Duration::from_secs(5);

/// The log of a VM as a stream.
pub(super) fn stream(client: Client, request: LogRequest) -> LogStream {
    let reader = Reader::new(client, request);
    Box::pin(stream::unfold(reader, |mut reader| async move {
        let item = reader.next().await?;
        Some((item, reader))
    }))
}

/// How the lines of a connection are taken.
enum Mode {
    /// Each is given on.
    Give,
    /// They are compared with what was read before.
    Find(Box<Search>),
}

struct Reader {
    client: Client,
    request: LogRequest,
    options: FollowOptions,
    splitter: LineSplitter,
    history: History,
    mode: Mode,
    body: Option<Incoming>,
    chunk: Bytes,
    ready: VecDeque<LogEvent>,
    /// The beginning of a line that a heartbeat was written into.
    torn: Option<String>,
    connected_once: bool,
    connected_at: Option<Instant>,
    /// Whether this connection gave a line.
    gave_line: bool,
    /// What to ask for at the next connection, if not the tail that comes first.
    next_ask: Option<Ask>,
    start_over: bool,
    failing_since: Option<Instant>,
    attempts: u32,
    finished: bool,
}

impl Reader {
    fn new(client: Client, request: LogRequest) -> Self {
        let options = client.inner.follow;
        Self {
            history: History::new(request.tail.is_none()),
            splitter: LineSplitter::new(options.max_line_bytes),
            client,
            request,
            options,
            mode: Mode::Give,
            body: None,
            chunk: Bytes::new(),
            ready: VecDeque::new(),
            torn: None,
            connected_once: false,
            connected_at: None,
            gave_line: false,
            next_ask: None,
            start_over: false,
            failing_since: None,
            attempts: 0,
            finished: false,
        }
    }

    async fn next(&mut self) -> Option<Result<LogEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.finished {
                return None;
            }
            if let Err(error) = self.step().await {
                self.finished = true;
                return Some(Err(error));
            }
        }
    }

    /// Connects, or takes the next bytes.
    async fn step(&mut self) -> Result<()> {
        if !self.chunk.is_empty() {
            let bite = self.chunk.len().min(BITE);
            self.take(bite);
            return Ok(());
        }
        let Some(body) = &mut self.body else {
            return if self.connected_once { self.reconnect().await } else { self.connect_first().await };
        };
        let patience = match &self.mode {
            Mode::Give => self.options.idle_timeout,
            Mode::Find(search) if search.best == Place::Elsewhere => QUIET_NOT_FOUND,
            Mode::Find(_) => QUIET_FOUND,
        };
        match tokio::time::timeout(patience, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    self.chunk = data;
                }
                Ok(())
            }
            Ok(Some(Err(error))) => {
                let error = self.client.interrupted(error, LOGS);
                self.lost(error)
            }
            Ok(None) => self.ended().await,
            Err(_) if matches!(self.mode, Mode::Find(_)) => {
                self.decide(true);
                Ok(())
            }
            Err(_) if self.request.follow => {
                let words = format!("nothing came for {patience:?}, not even a sign of life");
                let error = self.client.interrupted(words, LOGS);
                self.lost(error)
            }
            Err(_) => {
                let endpoint = self.client.inner.endpoint.to_string();
                Err(Error::Timeout { endpoint, method: LOGS, after: patience })
            }
        }
    }

    async fn connect_first(&mut self) -> Result<()> {
        let retry = self.client.inner.retry;
        let mut attempt = 0;
        loop {
            match self.client.open_log(&self.request, self.request.tail).await {
                Ok(body) => {
                    self.body = Some(body);
                    self.connected_once = true;
                    self.connected_at = Some(Instant::now());
                    return Ok(());
                }
                Err(error) if attempt < retry.retries && worth_repeating(&error) => {
                    tokio::time::sleep(retry.pause(attempt)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn reconnect(&mut self) -> Result<()> {
        if self.attempts > 0 {
            let pauses = RetryPolicy {
                first_pause: self.options.first_pause,
                longest_pause: self.options.longest_pause,
                ..RetryPolicy::default()
            };
            tokio::time::sleep(pauses.pause(self.attempts - 1)).await;
        }
        self.attempts += 1;
        let ask = self.next_ask.unwrap_or(Ask::FIRST);
        let tail = if self.start_over {
            None
        } else if self.history.is_empty() {
            self.request.tail
        } else {
            ask.tail()
        };
        let body = match self.client.open_log(&self.request, tail).await {
            Ok(body) => body,
            Err(error) => return self.failed_again(error),
        };
        tracing::debug!(id = %self.request.id, ?tail, attempt = self.attempts, "log reconnected");
        self.body = Some(body);
        self.connected_at = Some(Instant::now());
        self.gave_line = false;
        if self.start_over {
            self.history.restart();
            self.start_over = false;
            self.next_ask = None;
            self.ready.push_back(LogEvent::Reconnected { exact: false });
        } else if self.history.is_empty() {
            // Nothing was read, so nothing was doubled. What came while nobody read is lost only to who wanted no past.
            if tail == Some(0) {
                self.ready.push_back(LogEvent::Reconnected { exact: false });
            }
        } else {
            self.mode = Mode::Find(Box::new(Search::new(&self.history, ask)));
        }
        Ok(())
    }

    /// The connection is gone. Followers connect again, others give up.
    fn lost(&mut self, error: Error) -> Result<()> {
        self.body = None;
        self.chunk.clear();
        self.splitter.discard_partial();
        self.torn = None;
        if !self.request.follow {
            return Err(error);
        }
        tracing::debug!(id = %self.request.id, %error, "log lost");
        let worked = self.gave_line || self.connected_at.is_some_and(|since| since.elapsed() > STEADY);
        if worked {
            self.failing_since = None;
            self.attempts = 0;
        }
        // A search that was cut short begins again with what it had asked for.
        self.mode = Mode::Give;
        self.give_up(error)
    }

    fn failed_again(&mut self, error: Error) -> Result<()> {
        let for_good = match &error {
            Error::NoSuchVm { .. } | Error::Unauthorized { .. } | Error::Api { .. } => true,
            // A proxy says so while the VMM behind it restarts.
            Error::UnexpectedStatus { status, .. } => !matches!(status, 500..=504),
            _ => false,
        };
        if for_good { Err(error) } else { self.give_up(error) }
    }

    fn give_up(&mut self, error: Error) -> Result<()> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.options.give_up_after { Err(error) } else { Ok(()) }
    }

    /// The server ended the log in good order.
    async fn ended(&mut self) -> Result<()> {
        if matches!(self.mode, Mode::Find(_)) {
            self.decide(true);
            if self.body.is_none() {
                return Ok(());
            }
        }
        let last = String::from_utf8_lossy(self.splitter.partial()).into_owned();
        if let Some(error) = self.error_in(&last) {
            return Err(error);
        }
        if last.starts_with("<failed to read line:") {
            let error = self.client.interrupted(last, LOGS);
            return self.lost(error);
        }
        if !self.request.follow {
            let mut rest = None;
            self.splitter.finish(|line| rest = Some(line.text()));
            let torn = self.torn.take();
            if rest.is_some() || torn.is_some() {
                let line = torn.unwrap_or_default() + &rest.unwrap_or_default();
                self.ready.push_back(LogEvent::Line(line));
            } else if !self.gave_line && self.is_gone().await {
                return Err(Error::NoSuchVm { id: self.request.id.clone() });
            }
            self.finished = true;
            return Ok(());
        }
        if self.is_gone().await {
            return Err(Error::NoSuchVm { id: self.request.id.clone() });
        }
        let error = self.client.interrupted("the server ended the log", LOGS);
        self.lost(error)?;
        // Even one that gave lines is not asked again at once: a server that follows no logs ends each.
        self.attempts = self.attempts.max(1);
        Ok(())
    }

    /// v0.5 writes why it cannot open a log where the log would stand, with status 200 and without a line's end.
    fn error_in(&self, body: &str) -> Option<Error> {
        if self.gave_line || !self.history.is_empty() {
            return None;
        }
        let channel = self.request.channel.as_str();
        let is_error = body == format!("Unknown channel {channel}")
            || (body.starts_with("Os {") && body.contains("code:") && body.ends_with('}'));
        is_error.then(|| Error::Api {
            endpoint: self.client.inner.endpoint.to_string(),
            method: LOGS,
            status: 200,
            message: body.to_owned(),
        })
    }

    /// v0.5 gives an empty log for a VM that does not exist.
    async fn is_gone(&self) -> bool {
        matches!(self.client.info(&self.request.id).await, Ok(None))
    }

    /// Splits the first bytes of the chunk.
    fn take(&mut self, length: usize) {
        let bytes = self.chunk.split_to(length);
        let mut splitter = std::mem::replace(&mut self.splitter, LineSplitter::new(0));
        splitter.push(bytes.chunk(), |line| {
            if let Mode::Find(search) = &mut self.mode
                && search.best == Place::Elsewhere
                && !line.bytes.ends_with(HEARTBEAT.as_bytes())
                && self.torn.is_none()
            {
                // Most lines of a search are only counted or compared; they need no text of their own.
                if search.finder.only_counts() {
                    search.finder.count();
                } else {
                    search.look(self.history.hash(line.bytes), String::new);
                }
                return;
            }
            let text = line.text();
            let torn = self.torn.take();
            // A torn line is known by its text: read again it comes in one piece.
            let (text, hash) = match torn {
                Some(beginning) => {
                    let text = beginning + &text;
                    let hash = self.history.hash(text.as_bytes());
                    (text, hash)
                }
                None => (text, self.history.hash(line.bytes)),
            };
            match text.strip_suffix(HEARTBEAT) {
                Some("") => {}
                // The server had sent the beginning of a line, and wrote its sign of life behind it.
                Some(beginning) => self.torn = Some(beginning.to_owned()),
                None => match &mut self.mode {
                    Mode::Give => {
                        self.history.push(hash);
                        self.gave_line = true;
                        self.ready.push_back(LogEvent::Line(text));
                    }
                    Mode::Find(search) => search.look(hash, || text),
                },
            }
        });
        self.splitter = splitter;
        if matches!(&self.mode, Mode::Find(search) if search.is_over()) {
            self.decide(false);
        }
    }

    /// Ends the search, one way or the other.
    fn decide(&mut self, saw_all: bool) {
        let Mode::Find(search) = std::mem::replace(&mut self.mode, Mode::Give) else { return };
        match search.decide(saw_all, self.history.knows_start()) {
            Decision::Resume { exact } => {
                if !exact {
                    self.history.lose_start();
                }
                self.ready.push_back(LogEvent::Reconnected { exact });
                // A server that only repeats the old and ends is no better than one that is away.
                self.gave_line = !search.waiting.is_empty();
                for (hash, line) in search.waiting {
                    self.history.push(hash);
                    self.ready.push_back(LogEvent::Line(line));
                }
                self.next_ask = None;
            }
            decision => {
                if search.ask == Ask::ByCount {
                    // The file is not the one whose lines were counted.
                    self.history.lose_start();
                }
                self.body = None;
                self.chunk.clear();
                self.splitter.discard_partial();
                self.torn = None;
                self.attempts = 0;
                match decision {
                    Decision::Ask(ask) => self.next_ask = Some(ask),
                    _ => self.start_over = true,
                }
            }
        }
    }
}
