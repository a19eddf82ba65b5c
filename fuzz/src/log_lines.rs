//! Lines of a log: where the chunks are cut does not matter, and what is held is bounded.

use dstack_vmm_client::client::LineSplitter;

/// Takes the first byte for the limit of a line, the second for the length of the chunks, and the rest for a log.
pub fn run(data: &[u8]) {
    let [limit, chunk, log @ ..] = data else { return };
    let limit = usize::from(*limit);
    let whole = split(limit, log, log.len().max(1));
    let chunked = split(limit, log, usize::from(*chunk).max(1));
    assert_eq!(whole, chunked);
    let feeds = log.iter().filter(|&&byte| byte == b'\n').count();
    let rest = !log.is_empty() && !log.ends_with(b"\n");
    assert_eq!(whole.len(), feeds + usize::from(rest), "a line for each line feed and one for what is left");
    for (bytes, _) in &whole {
        assert!(bytes.len() <= limit && !bytes.contains(&b'\n'));
    }
}

fn split(limit: usize, log: &[u8], chunk: usize) -> Vec<(Vec<u8>, bool)> {
    let mut splitter = LineSplitter::new(limit);
    let mut lines = Vec::new();
    for part in log.chunks(chunk) {
        splitter.push(part, |line| {
            // Reading a line as text takes any bytes.
            let text = line.text();
            assert!(line.cut || line.bytes.is_empty() || !text.is_empty());
            lines.push((line.bytes.to_vec(), line.cut));
        });
        // The limit, and the carriage returns that may turn out to end the line.
        assert!(splitter.partial().len() <= limit + 2);
    }
    splitter.finish(|line| lines.push((line.bytes.to_vec(), line.cut)));
    assert!(splitter.partial().is_empty());
    lines
}
