//! Evidence about a CVM out of files: what each file is shows in its content.

use std::path::{Path, PathBuf};

use cli_support::CliError;
use dstack_attestation::event_log::EventLog;
use dstack_attestation::{CvmEvidence, DocumentError, agent::TcbInfo};
use dstack_check::Hinted;

use crate::files;
use crate::kind::{self, Kind};

/// The files that are looked for in a directory of evidence, in the order in which they are read.
const NAMES: [&str; 7] = [
    "info.json",
    "quote.json",
    "attestation.json",
    "attestation.bin",
    "tcb_info.json",
    "event_log.json",
    "app-compose.json",
];

/// Adds what is in files, and in the known files of directories.
///
/// # Errors
/// A file cannot be read or is nothing that says something about a CVM; a directory has no known file; there are two
/// quotes.
pub(crate) fn with_files(mut evidence: CvmEvidence, paths: &[PathBuf]) -> Result<CvmEvidence, CliError> {
    for path in paths {
        if !path.is_dir() {
            evidence = with_file(evidence, path)?;
            continue;
        }
        let there: Vec<PathBuf> =
            NAMES.iter().map(|name| path.join(name)).filter(|file| file.is_file()).collect();
        if there.is_empty() {
            return Err(CliError::usage(format!("there is no evidence in {}", path.display()))
                .hint(format!("the files looked for are {}", NAMES.join(", "))));
        }
        for file in there {
            evidence = with_file(evidence, &file)?;
        }
    }
    Ok(evidence)
}

fn with_file(evidence: CvmEvidence, path: &Path) -> Result<CvmEvidence, CliError> {
    with_bytes(evidence, &files::read(path)?).map_err(|error| error.context(files::named(path)))
}

/// Adds what is in a document. The library reads what is evidence by itself; what only completes evidence is read here.
fn with_bytes(mut evidence: CvmEvidence, bytes: &[u8]) -> Result<CvmEvidence, CliError> {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    match Kind::of(bytes) {
        Some(Kind::EventLog) => evidence.event_log = Some(text()),
        Some(Kind::AppCompose) => evidence.app_compose = Some(text()),
        Some(Kind::TcbInfo) => evidence.tcb_info = Some(text()),
        kind => {
            return match evidence.read_document(bytes) {
                Ok((evidence, _)) => Ok(evidence),
                Err(error) => Err(unusable(error, kind)),
            };
        }
    }
    Ok(evidence)
}

/// That a document is no evidence. Where it is known to be something else, that is the hint.
fn unusable(error: DocumentError, kind: Option<Kind>) -> CliError {
    let of_library = error.hints();
    let taken = matches!(
        error,
        DocumentError::Evidence(_) | DocumentError::Attestation(_) | DocumentError::SecondQuote
    );
    let cli = CliError::usage(error);
    match kind.filter(|_| !taken) {
        Some(kind) => cli.hint(kind.hint()),
        None => of_library.into_iter().fold(cli, CliError::hint),
    }
}

/// The quote in a document.
///
/// # Errors
/// There is none in it.
pub(crate) fn quote_of_bytes(bytes: &[u8]) -> Result<Vec<u8>, CliError> {
    let found = with_bytes(CvmEvidence::new(), bytes)?;
    found.quote.ok_or_else(|| kind::without("there is no quote in it", bytes))
}

/// The event log in a document, and the quote beside it.
///
/// # Errors
/// The document has no event log, or one that cannot be read.
pub(crate) fn log_of_file(path: &Path) -> Result<(EventLog, CvmEvidence), CliError> {
    let bytes = files::read(path)?;
    let named = files::named(path);
    let evidence = with_bytes(CvmEvidence::new(), &bytes).map_err(|error| error.context(&named))?;
    if let Some(text) = evidence.event_log.as_deref().filter(|text| !text.is_empty()) {
        let log = EventLog::parse(text).map_err(|error| CliError::usage(error).context(&named))?;
        return Ok((log, evidence));
    }
    if let Some(text) = evidence.tcb_info.as_deref() {
        let tcb: TcbInfo = serde_json::from_str(text).map_err(|error| {
            CliError::usage(error).context(format_args!("{named}: tcb_info cannot be read"))
        })?;
        if !tcb.event_log.entries().is_empty() {
            return Ok((tcb.event_log, evidence));
        }
    }
    Err(kind::without("there is no event log in it", &bytes).context(&named))
}
