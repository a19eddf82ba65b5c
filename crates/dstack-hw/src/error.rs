//! What can go wrong outside of a finding: input that cannot be used.

/// Input that cannot be used. What could not be *read on the host* is never an error: it is an
/// [`Unread`](crate::Unread) inside the facts, and an unknown finding.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A capture, snapshot or profile that is not what it should be.
    #[error("{what} is not readable: {why}")]
    Malformed {
        /// What was being read, such as `the capture`.
        what: &'static str,
        /// The parser's words, with line and column where it has them.
        why: String,
    },
    /// A document of a schema this version does not know.
    #[error("{what} has schema `{found}`, this version reads `{supported}`")]
    Schema {
        /// What was being read, such as `the capture`.
        what: &'static str,
        /// The schema named in the document.
        found: String,
        /// The schema that can be read.
        supported: &'static str,
    },
    /// A document beyond the size that is read.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What was being read.
        what: &'static str,
        /// The bound, in bytes.
        limit: usize,
    },
    /// A check id that is not in the catalogue.
    #[error("there is no check `{id}`")]
    NoSuchCheck {
        /// The id as given.
        id: String,
        /// Ids that look like it, best first, at most three.
        similar: Vec<&'static str>,
    },
    /// A profile that is not built in.
    #[error("there is no profile `{name}`")]
    NoSuchProfile {
        /// The name as given.
        name: String,
    },
}
