//! An app-compose with its bytes.

use std::fmt;

use dstack_check::{Hint, Hinted};

use super::fields::AppCompose;
use super::hash::ComposeHash;
use super::schema::{UnknownField, unknown_fields};
use super::syntax::{self, Node};
use crate::DstackVersion;
use crate::ids::AppId;

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// Not UTF-8.
    #[error("the app-compose is not UTF-8 at line {line} column {column}")]
    NotUtf8 {
        /// Line of the first byte that does not fit, from 1.
        line: usize,
        /// Column, from 1, in characters.
        column: usize,
    },
    /// The server would refuse it. The reason is in the server's words, with line and column.
    #[error("dstack {version} does not accept the app-compose")]
    Rejected {
        /// The version whose rules were asked.
        version: DstackVersion,
        /// The server's words.
        #[source]
        source: serde_json::Error,
    },
}

impl Hinted for ComposeError {
    fn hint(&self) -> Option<Hint> {
        Some(Hint::from(match self {
            Self::NotUtf8 { .. } => "save the document as UTF-8",
            Self::Rejected { .. } => {
                "the server names the first mistake only; a lint of the document names all of them"
            }
        }))
    }
}

/// An app-compose as it was submitted or will be: the bytes, and what they say.
///
/// The bytes are the truth. Nothing here writes them anew, so [`hash`](Self::hash) is what the server, the guest and the
/// policies see. Changes go through [`set`](Self::set) and [`remove`](Self::remove), which make another document.
#[derive(Clone, PartialEq)]
pub struct AppComposeDocument {
    text: String,
    fields: AppCompose,
    read_as: DstackVersion,
}

impl AppComposeDocument {
    /// A document that some known version of dstack accepts; the newest that does says what the fields are.
    ///
    /// # Errors
    ///
    /// If no version accepts it. The reason is the newest version's.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, ComposeError> {
        let text = utf8(bytes.into())?;
        let mut newest = None;
        for version in DstackVersion::ALL.into_iter().rev() {
            match AppCompose::parse_as_server(&text, version) {
                Ok(fields) => return Ok(Self { text, fields, read_as: version }),
                Err(source) => newest = newest.or(Some(ComposeError::Rejected { version, source })),
            }
        }
        // There is at least one version, so there is an error by now; without any this says that nothing was accepted.
        Err(newest.unwrap_or(ComposeError::NotUtf8 { line: 1, column: 1 }))
    }

    /// A document that the given version accepts.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn from_bytes_as(bytes: impl Into<Vec<u8>>, version: DstackVersion) -> Result<Self, ComposeError> {
        let text = utf8(bytes.into())?;
        match AppCompose::parse_as_server(&text, version) {
            Ok(fields) => Ok(Self { text, fields, read_as: version }),
            Err(source) => Err(ComposeError::Rejected { version, source }),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The bytes as text, as `CreateVm` carries them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text, taken out.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The compose hash.
    pub fn hash(&self) -> ComposeHash {
        ComposeHash::of(self.bytes())
    }

    /// The app id of an app whose first document this is.
    pub fn default_app_id(&self) -> AppId {
        AppId::from_compose_hash(&self.hash())
    }

    /// What the document says, as the version in [`read_as`](Self::read_as) reads it.
    pub fn fields(&self) -> &AppCompose {
        &self.fields
    }

    /// The version of dstack by whose rules the fields were read.
    pub fn read_as(&self) -> DstackVersion {
        self.read_as
    }

    /// Whether the given version accepts the document.
    ///
    /// # Errors
    ///
    /// The server's reason.
    pub fn accepted_by(&self, version: DstackVersion) -> Result<(), serde_json::Error> {
        AppCompose::parse_as_server(&self.text, version).map(drop)
    }

    /// Fields that no version of dstack reads, in the order of the document. They are hashed like the rest; often they are
    /// typing mistakes.
    pub fn unknown_fields(&self) -> Vec<UnknownField> {
        self.syntax().map(|root| unknown_fields(&self.text, &root)).unwrap_or_default()
    }

    pub(super) fn syntax(&self) -> Option<Node> {
        syntax::parse(&self.text)
    }
}

impl fmt::Debug for AppComposeDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppComposeDocument")
            .field("name", &self.fields.name)
            .field("hash", &self.hash())
            .field("bytes", &self.text.len())
            .field("read_as", &self.read_as)
            .finish()
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, ComposeError> {
    String::from_utf8(bytes).map_err(|error| {
        let fine = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..fine]);
        let (line, column) = syntax::Places::new(&text).of(text.len());
        ComposeError::NotUtf8 { line, column }
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn the_newest_version_that_accepts_it_reads_it() {
        let with = |manifest: &str, rest: &str| {
            let text = format!(r#"{{"manifest_version": {manifest}, "name": "n", "runner": "bash"{rest}}}"#);
            AppComposeDocument::from_bytes(text).unwrap()
        };
        assert_eq!(with("2", "").read_as(), DstackVersion::Next);
        assert_eq!(with("\"3\"", "").read_as(), DstackVersion::Next);
        assert_eq!(with("3", "").read_as(), DstackVersion::V0_5);
        assert_eq!(with("2", r#", "event_log_version": 9"#).read_as(), DstackVersion::V0_5);
        assert!(with("2", "").accepted_by(DstackVersion::V0_5).is_ok());
        assert!(with("3", "").accepted_by(DstackVersion::Next).is_err());
    }

    #[test]
    fn refusals() {
        let error = AppComposeDocument::from_bytes(b"{}").unwrap_err();
        assert_eq!(error.to_string(), "dstack next does not accept the app-compose");
        assert_eq!(
            error.source().unwrap().to_string(),
            "missing field `manifest_version` at line 1 column 2"
        );
        let error = AppComposeDocument::from_bytes_as(b"[", DstackVersion::V0_5).unwrap_err();
        assert_eq!(error.to_string(), "dstack 0.5 does not accept the app-compose");
        let error = AppComposeDocument::from_bytes(b"{\n\"\xc3\xa4\xff").unwrap_err();
        assert_eq!(error.to_string(), "the app-compose is not UTF-8 at line 2 column 3");
    }

    #[test]
    fn debug_is_short() {
        let document =
            AppComposeDocument::from_bytes(br#"{"manifest_version": 2, "name": "n", "runner": "bash"}"#)
                .unwrap();
        let shown = format!("{document:?}");
        assert!(shown.contains("bytes: 54") && !shown.contains("manifest_version"), "{shown}");
    }
}
