//! A text below an endpoint, line by line: what stands beside the RPC, such as the pages of a guest agent.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use http::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Client;
use super::call::{beginning, excerpt, text};
use super::line_splitter::LineSplitter;
use crate::error::{Error, Result};

/// Lines of a text, in order, as they come.
pub type LineStream = Pin<Box<dyn Stream<Item = Result<String>> + Send>>;

impl Client {
    /// Asks for a text with `GET` and gives its lines as they come, for as long as the server goes on.
    ///
    /// `path_and_query` stands below the endpoint and begins with a slash; `what` names the call in errors. The client's
    /// time limit holds for the head of the answer; lines may take as long as they take. Nothing is repeated.
    ///
    /// # Errors
    /// As for every call; an answer that is no success is [`Error::UnexpectedStatus`]. Later ones are items of the
    /// stream, which ends with them.
    pub async fn get_lines(&self, path_and_query: &str, what: &'static str) -> Result<LineStream> {
        let request = self.request(http::Method::GET, path_and_query, Bytes::new())?;
        let limit = self.inner.timeout;
        let endpoint = || self.inner.endpoint.to_string();
        let response = tokio::time::timeout(limit, self.send(request, false, what))
            .await
            .map_err(|_| Error::Timeout { endpoint: endpoint(), method: what, after: limit })??;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        match status {
            200..=299 => {}
            300..=399 => {
                let location = text(&head.headers, LOCATION);
                return Err(Error::Redirected { endpoint: endpoint(), method: what, status, location });
            }
            401 => return Err(self.unauthorized(what, text(&head.headers, WWW_AUTHENTICATE))),
            _ => {
                let body = tokio::time::timeout(limit, beginning(body)).await.unwrap_or_default();
                return Err(Error::UnexpectedStatus {
                    endpoint: endpoint(),
                    method: what,
                    status,
                    content_type: text(&head.headers, CONTENT_TYPE),
                    excerpt: excerpt(&body),
                });
            }
        }
        let reader = Reader {
            client: self.clone(),
            what,
            body: Some(body),
            splitter: LineSplitter::new(self.inner.follow.max_line_bytes),
            ready: VecDeque::new(),
        };
        Ok(Box::pin(stream::unfold(reader, |mut reader| async move {
            let item = reader.next().await?;
            Some((item, reader))
        })))
    }
}

struct Reader {
    client: Client,
    what: &'static str,
    /// `None` once it has ended.
    body: Option<Incoming>,
    splitter: LineSplitter,
    ready: VecDeque<String>,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<String>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            let ready = &mut self.ready;
            match self.body.as_mut()?.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.splitter.push(&data, |line| ready.push_back(line.text()));
                    }
                }
                Some(Err(error)) => {
                    self.body = None;
                    return Some(Err(self.client.interrupted(error, self.what)));
                }
                None => {
                    self.body = None;
                    self.splitter.finish(|line| ready.push_back(line.text()));
                    return self.ready.pop_front().map(Ok);
                }
            }
        }
    }
}
