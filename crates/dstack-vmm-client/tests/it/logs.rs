//! Following logs over connections that break.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dstack_vmm_client::Error;
use dstack_vmm_client::client::{Client, FollowOptions, LogEvent, LogRequest, LogStream, RetryPolicy};
use futures_util::StreamExt;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::rig::{Conn, Server, json, quick, read_request, reply};

/// A log file and the server that gives it out, as the VMM does.
struct LogFile {
    data: watch::Sender<Vec<u8>>,
    /// For each connection to come: after how many bytes of the log it breaks.
    cuts: Mutex<VecDeque<usize>>,
    /// Breaks the connections that are open.
    broken: watch::Sender<()>,
    /// Whether connections are closed at once.
    down: AtomicBool,
    /// Whether the VM exists.
    gone: AtomicBool,
    /// What was asked of `/logs`.
    asked: Mutex<Vec<String>>,
}

impl LogFile {
    fn new(text: &str) -> Arc<Self> {
        Arc::new(Self {
            data: watch::Sender::new(text.as_bytes().to_vec()),
            cuts: Mutex::default(),
            broken: watch::Sender::new(()),
            down: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            asked: Mutex::default(),
        })
    }

    fn append(&self, text: &str) {
        self.data.send_modify(|data| data.extend_from_slice(text.as_bytes()));
    }

    /// The live file begins anew.
    fn rotate(&self, text: &str) {
        self.data.send_replace(text.as_bytes().to_vec());
    }

    fn break_connections(&self) {
        self.broken.send_replace(());
    }

    fn cut_after(&self, bytes: usize) {
        self.cuts.lock().unwrap().push_back(bytes);
    }

    /// The `lines` of each request.
    fn tails(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|path| path.split("lines=").nth(1).unwrap().split('&').next().unwrap().to_owned())
            .collect()
    }

    async fn serve(self: Arc<Self>, mut conn: Conn) {
        while let Some(request) = read_request(&mut conn).await {
            if self.down.load(Ordering::SeqCst) {
                return;
            }
            let gone = self.gone.load(Ordering::SeqCst);
            if !request.line().starts_with("GET /logs") {
                let answer = format!(r#"{{"found":{},"info":{}}}"#, !gone, if gone { "null" } else { "{}" });
                conn.write_all(&json(200, answer)).await.unwrap();
                continue;
            }
            if gone {
                conn.write_all(&reply(404, &[("content-type", "text/plain")], "VM not found")).await.unwrap();
                continue;
            }
            self.asked.lock().unwrap().push(request.line().to_owned());
            let parameter = |name: &str| {
                let at = request.line().find(&format!("{name}=")).unwrap() + name.len() + 1;
                request.line()[at..].split('&').next().unwrap().to_owned()
            };
            let tail: usize = parameter("lines").parse().unwrap();
            let follow = parameter("follow") == "true";
            let mut left = self.cuts.lock().unwrap().pop_front().unwrap_or(usize::MAX);
            if self.stream(&mut conn, tail, follow, &mut left).await.is_err() {
                return;
            }
        }
    }

    /// Sends the log; an error is the end of the connection.
    async fn stream(&self, conn: &mut Conn, tail: usize, follow: bool, left: &mut usize) -> Result<(), ()> {
        conn.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n")
            .await
            .map_err(drop)?;
        let mut data = self.data.subscribe();
        let mut broken = self.broken.subscribe();
        let mut sent = {
            let data = data.borrow_and_update();
            let ends: Vec<usize> =
                data.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
            let lines = ends.len() + usize::from(data.last().is_some_and(|byte| *byte != b'\n'));
            if lines > tail { if lines == tail { 0 } else { ends[lines - tail - 1] } } else { 0 }
        };
        loop {
            let new = {
                let data = data.borrow_and_update();
                // A rotated file is read from its beginning, as a tail that follows the name does.
                if data.len() < sent {
                    sent = 0;
                }
                data[sent..].to_vec()
            };
            sent += new.len();
            for piece in new.chunks(if new.len() > 1 << 20 { 60_000 } else { 700 }) {
                let piece = &piece[..piece.len().min(*left)];
                *left -= piece.len();
                let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
                chunk.extend_from_slice(piece);
                chunk.extend_from_slice(b"\r\n");
                if piece.is_empty() {
                    return Err(());
                }
                conn.write_all(&chunk).await.map_err(drop)?;
                if *left == 0 {
                    return Err(());
                }
            }
            if !follow {
                return conn.write_all(b"0\r\n\r\n").await.map_err(drop);
            }
            // Also notices that the client has gone.
            let mut probe = [0];
            tokio::select! {
                biased;
                _ = broken.changed() => return Err(()),
                changed = data.changed() => changed.map_err(drop)?,
                _ = tokio::io::AsyncReadExt::read(conn, &mut probe) => return Err(()),
            }
        }
    }
}

async fn serve(log: &Arc<LogFile>) -> Server {
    let log = Arc::clone(log);
    Server::unix(move |_, conn| Arc::clone(&log).serve(conn)).await
}

async fn serve_at(log: &Arc<LogFile>, path: PathBuf) -> Server {
    let log = Arc::clone(log);
    Server::unix_at(path, move |_, conn| Arc::clone(&log).serve(conn)).await
}

fn fast() -> FollowOptions {
    let mut options = FollowOptions::default();
    options.first_pause = Duration::from_millis(5);
    options.longest_pause = Duration::from_millis(50);
    options.give_up_after = Duration::from_secs(5);
    options
}

fn follower(server: &Server, options: FollowOptions) -> Client {
    quick(server.endpoint.clone()).follow(options).build().unwrap()
}

fn following() -> LogRequest {
    LogRequest::new("vm").follow(true)
}

/// Reads until this many lines are there, and gives them with the events between.
async fn read(stream: &mut LogStream, lines: usize) -> (Vec<String>, Vec<bool>) {
    let (mut read, mut reconnects) = (Vec::new(), Vec::new());
    while read.len() < lines {
        let event =
            tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("the log went silent");
        match event.expect("the log ended").unwrap() {
            LogEvent::Line(line) => read.push(line),
            LogEvent::Reconnected { exact } => reconnects.push(exact),
            other => panic!("{other:?}"),
        }
    }
    (read, reconnects)
}

/// Bytes of a numbered line.
const LINE: usize = 16;

fn numbered(range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("[{number:6}.0] line\n")).collect()
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_whole_log_and_its_tail() {
    let log = LogFile::new("one\r\ntwo\n\nlast without an end");
    let server = serve(&log).await;
    let client = server.client();
    let all: Vec<_> = client.logs_of("vm").collect().await;
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    let line = |text: &str| LogEvent::Line(text.to_owned());
    assert_eq!(all, [line("one"), line("two"), line(""), line("last without an end")]);
    let mut tail = dstack_vmm_client::client::VmmApi::logs(&client, LogRequest::new("vm").tail(1));
    assert_eq!(tail.next().await.unwrap().unwrap(), line("last without an end"));
    assert!(tail.next().await.is_none());
    assert_eq!(server.connections(), 1, "a log that ends leaves its connection to the next call");
}

/// Shorter to write.
trait Logs {
    fn logs_of(&self, id: &str) -> LogStream;
}

impl Logs for Client {
    fn logs_of(&self, id: &str) -> LogStream {
        dstack_vmm_client::client::VmmApi::logs(self, LogRequest::new(id))
    }
}

fn open(client: &Client, request: LogRequest) -> LogStream {
    dstack_vmm_client::client::VmmApi::logs(client, request)
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_line_loses_and_doubles_nothing() {
    let text = numbered(0..3000);
    for cut in [1, 17, 700, 20_000, 40_011] {
        let log = LogFile::new(&text);
        log.cut_after(cut);
        let server = serve(&log).await;
        let mut stream = open(&follower(&server, fast()), following());
        let (read, reconnects) = read(&mut stream, 3000).await;
        assert_eq!(read, lines_of(&text), "cut after {cut}");
        // Cut within the first line nothing was read, so that there is nothing to say.
        assert_eq!(reconnects, if cut < LINE { vec![] } else { vec![true] }, "cut after {cut}");
    }
}

#[tokio::test]
async fn the_search_grows_only_as_far_as_it_must() {
    let whole = "1000000000000";
    for (lines, asked) in [
        (1_000, &[whole, "1024"][..]),
        (7_000, &[whole, "1024", "8192"]),
        (20_000, &[whole, "1024", "8192", "65536"]),
        (600_000, &[whole, "1024", "8192", "65536", "524288", whole]),
    ] {
        let text = numbered(0..lines);
        let log = LogFile::new(&text);
        log.cut_after(100 * LINE);
        let server = serve(&log).await;
        let mut stream = open(&follower(&server, fast()), following());
        let (read, reconnects) = read(&mut stream, lines).await;
        assert!(read == lines_of(&text) && reconnects == [true], "{lines} lines, {reconnects:?}");
        assert_eq!(log.tails(), asked);
    }
}

#[tokio::test]
async fn lines_written_while_nobody_read_come_after_the_reconnect() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vmm.sock");
    let log = LogFile::new(&numbered(0..100));
    let server = serve_at(&log, path.clone()).await;
    let mut stream = open(&follower(&server, fast()), following().tail(10));
    assert_eq!(read(&mut stream, 10).await.0, lines_of(&numbered(90..100)));
    drop(server);
    std::fs::remove_file(&path).unwrap();
    log.break_connections();
    log.append(&numbered(100..600));
    let _again = serve_at(&log, path).await;
    log.append(&numbered(600..610));
    let (lines, reconnects) = read(&mut stream, 510).await;
    assert_eq!((lines, reconnects), (lines_of(&numbered(100..610)), vec![true]));
}

#[tokio::test]
async fn equal_lines_are_counted_where_the_log_was_read_from_its_start() {
    let text = "tick\n".repeat(500);
    let log = LogFile::new(&text);
    log.cut_after(5 * 200);
    let server = serve(&log).await;
    let mut stream = open(&follower(&server, fast()), following());
    let (lines, reconnects) = read(&mut stream, 500).await;
    assert_eq!((lines.len(), reconnects), (500, vec![true]));
    log.append("end\n");
    assert_eq!(read(&mut stream, 1).await.0, ["end"]);
}

#[tokio::test]
async fn equal_lines_without_a_start_are_admitted_to_be_uncertain() {
    let log = LogFile::new(&"tick\n".repeat(500));
    log.cut_after(5 * 50);
    let server = serve(&log).await;
    let mut stream = open(&follower(&server, fast()), following().tail(100));
    read(&mut stream, 50).await;
    log.append("end\n");
    let (lines, reconnects) = read(&mut stream, 1).await;
    // What was dropped are repetitions of what was shown.
    assert_eq!((lines, reconnects), (vec!["end".to_owned()], vec![false]));
}

#[tokio::test]
async fn a_log_that_began_anew_is_read_again_and_said_to_be_inexact() {
    let log = LogFile::new(&numbered(0..1000));
    log.cut_after(LINE * 990);
    let server = serve(&log).await;
    log.cut_after(0);
    let mut stream = open(&follower(&server, fast()), following());
    read(&mut stream, 990).await;
    log.rotate(&numbered(5000..5100));
    let (lines, reconnects) = read(&mut stream, 100).await;
    assert_eq!((lines, reconnects), (lines_of(&numbered(5000..5100)), vec![false]));
    // From here on the place is known again.
    log.append(&numbered(5100..5110));
    assert_eq!(read(&mut stream, 10).await.0, lines_of(&numbered(5100..5110)));
}

#[tokio::test]
async fn signs_of_life_are_no_lines() {
    let log =
        LogFile::new("one\n[vmm heartbeat]\ntwo\nhalf a [vmm heartbeat]\nline\n[vmm heartbeat] not alone\n");
    let server = serve(&log).await;
    let mut stream = open(&follower(&server, fast()), following());
    let (lines, _) = read(&mut stream, 4).await;
    assert_eq!(lines, ["one", "two", "half a line", "[vmm heartbeat] not alone"]);
}

#[tokio::test]
async fn a_silent_connection_is_dead() {
    let log = LogFile::new(&numbered(0..50));
    let server = serve(&log).await;
    let mut options = fast();
    options.idle_timeout = Duration::from_millis(60);
    let mut stream = open(&follower(&server, options), following());
    read(&mut stream, 50).await;
    let event = stream.next().await.unwrap().unwrap();
    assert_eq!(event, LogEvent::Reconnected { exact: true });
    log.append(&numbered(50..51));
    assert_eq!(read(&mut stream, 1).await.0, lines_of(&numbered(50..51)));
}

#[tokio::test]
async fn a_server_that_stays_away_is_given_up() {
    let log = LogFile::new(&numbered(0..50));
    let server = serve(&log).await;
    let mut options = fast();
    options.give_up_after = Duration::from_millis(200);
    let mut stream = open(&follower(&server, options), following());
    read(&mut stream, 50).await;
    log.down.store(true, Ordering::SeqCst);
    log.break_connections();
    let started = Instant::now();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    let waited = started.elapsed();
    assert!((Duration::from_millis(200)..Duration::from_secs(4)).contains(&waited), "{waited:?}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_vm_that_is_removed_ends_its_log() {
    let log = LogFile::new(&numbered(0..50));
    let server = serve(&log).await;
    let mut stream = open(&follower(&server, fast()), following());
    read(&mut stream, 50).await;
    log.gone.store(true, Ordering::SeqCst);
    log.break_connections();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NoSuchVm { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_ends_each_log_is_not_asked_without_pause() {
    let server = Server::unix(|_, mut conn| async move {
        while let Some(request) = read_request(&mut conn).await {
            let answer = if request.line().starts_with("GET /logs") {
                reply(200, &[("content-type", "text/plain")], "one\ntwo\n")
            } else {
                json(200, r#"{"found":true,"info":{}}"#)
            };
            if conn.write_all(&answer).await.is_err() {
                return;
            }
        }
    })
    .await;
    let mut options = fast();
    options.give_up_after = Duration::from_millis(300);
    options.first_pause = Duration::from_millis(50);
    let mut stream = open(&follower(&server, options), following());
    let (mut lines, mut error) = (0, None);
    while let Some(event) = stream.next().await {
        match event {
            Ok(LogEvent::Line(_)) => lines += 1,
            Ok(_) => {}
            Err(last) => error = Some(last),
        }
    }
    assert_eq!(lines, 2);
    assert!(matches!(error, Some(Error::Interrupted { .. })));
    assert!(server.connections() < 20, "{}", server.connections());
}

#[tokio::test]
async fn back_within_two_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vmm.sock");
    let log = LogFile::new(&numbered(0..50));
    let server = serve_at(&log, path.clone()).await;
    // The usual options, not those of the other tests.
    let client = Client::builder(server.endpoint.clone()).retry(RetryPolicy::never()).build().unwrap();
    let mut stream = open(&client, following());
    read(&mut stream, 50).await;
    drop(server);
    std::fs::remove_file(&path).unwrap();
    log.break_connections();
    // Away long enough for the pauses to have grown to their longest.
    let waiting = tokio::time::timeout(Duration::from_millis(2000), stream.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    log.append(&numbered(50..60));
    let _again = serve_at(&log, path).await;
    let back = Instant::now();
    let (lines, reconnects) = read(&mut stream, 10).await;
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    assert_eq!((lines, reconnects), (lines_of(&numbered(50..60)), vec![true]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the lines and wherever the cuts, a log that is read from its start comes complete and in order.
    #[test]
    fn any_cuts_lose_and_double_nothing(
        alphabet in 1u32..400,
        count in 50usize..1500,
        cuts in proptest::collection::vec(1usize..4000, 1..5),
        seed in any::<u32>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut state = seed | 1;
        let text: String = (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                format!("{}\n", state % alphabet)
            })
            .collect();
        runtime.block_on(async {
            let log = LogFile::new(&text);
            for cut in &cuts {
                log.cut_after(*cut);
            }
            let server = serve(&log).await;
            let mut stream = open(&follower(&server, fast()), following());
            let (lines, reconnects) = read(&mut stream, count).await;
            assert_eq!(lines, lines_of(&text));
            assert!(reconnects.iter().all(|exact| *exact), "{reconnects:?}");
            log.append("end\n");
            assert_eq!(read(&mut stream, 1).await.0, ["end"]);
        });
    }
}
