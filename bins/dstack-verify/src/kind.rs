//! What a file seems to be, for hints when it is not what was asked for. Nothing is judged by it.

use cli_support::CliError;
use serde_json::Value;

/// Kinds of files that somebody who verifies has at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    GetQuote,
    Info,
    TcbInfo,
    EventLog,
    AppCompose,
    DockerCompose,
    Bootstrap,
    Meta,
    AcmeInfo,
    Collateral,
    Certificate,
    PrivateKey,
    Quote,
    Attestation,
    Policy,
    Report,
}

impl Kind {
    /// What it is, with its article, and what takes it.
    const fn words(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::GetQuote => ("the guest agent's answer to GetQuote", Some("app --evidence FILE")),
            Self::Info => ("the guest agent's answer to Info", Some("app --evidence FILE")),
            Self::TcbInfo => ("the guest agent's tcb_info", Some("app --evidence FILE")),
            Self::EventLog => ("an event log", Some("log explain FILE")),
            Self::AppCompose => ("an app-compose", Some("compose FILE")),
            Self::DockerCompose => ("a Compose file, not the app-compose made of it", None),
            Self::Bootstrap => ("the bootstrap information of a KMS", Some("kms --bootstrap FILE")),
            Self::Meta => ("a KMS's answer to GetMeta", Some("kms --meta FILE")),
            Self::AcmeInfo => ("a gateway's ACME information", Some("gateway --acme-info FILE")),
            Self::Collateral => ("collateral", Some("collateral show FILE")),
            Self::Certificate => ("a certificate", Some("cert FILE")),
            Self::PrivateKey => ("a private key, which nobody needs for verifying", None),
            Self::Quote => ("a bare quote", Some("quote FILE")),
            Self::Attestation => ("an attestation", Some("app --evidence FILE")),
            Self::Policy => ("a policy", Some("policy check FILE")),
            Self::Report => ("a report of this toolkit", None),
        }
    }

    /// What it is and what takes it, as a hint.
    pub(crate) fn hint(self) -> String {
        let (is, taken_by) = self.words();
        match taken_by {
            Some(command) => format!("this is {is}: `dstack-verify {command}` takes it"),
            None => format!("this is {is}"),
        }
    }

    /// What the bytes seem to be.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let Ok(text) = std::str::from_utf8(bytes) else { return of_binary(bytes) };
        let text = text.trim();
        if text.starts_with('{') || text.starts_with('[') {
            return serde_json::from_str(text).ok().and_then(|value| of_json(&value));
        }
        if text.contains("-----BEGIN ") {
            let key = !text.contains("BEGIN CERTIFICATE") && text.contains("PRIVATE KEY-----");
            return Some(if key { Self::PrivateKey } else { Self::Certificate });
        }
        let hex = text.strip_prefix("0x").unwrap_or(text);
        // Where the bytes are binary but all of them happen to be ASCII, hex does not decode and nothing is said.
        if let (true, Ok(bytes)) = (hex.len() > 64, hex::decode(hex)) {
            return of_binary(&bytes);
        }
        let begins = |word: &str| text.lines().any(|line| line.starts_with(word));
        if begins("services:") {
            return Some(Self::DockerCompose);
        }
        ["[code]", "[hardware]", "[os]", "[freshness]", "require ="]
            .iter()
            .any(|word| begins(word))
            .then_some(Self::Policy)
    }
}

fn of_binary(bytes: &[u8]) -> Option<Kind> {
    match bytes {
        // The version and the attestation key type of a quote, both little endian.
        [3..=5, 0, 2 | 3, 0, ..] if bytes.len() > 600 => Some(Kind::Quote),
        // DER: a SEQUENCE with a length of two bytes.
        [0x30, 0x82, ..] => Some(Kind::Certificate),
        // SCALE with version 0 and platform 0, or a MessagePack map of few members.
        [0, 0, ..] | [0x81..=0x8f, ..] if bytes.len() > 600 => Some(Kind::Attestation),
        _ => None,
    }
}

fn of_json(value: &Value) -> Option<Kind> {
    if let Value::Array(entries) = value {
        return entries.first()?.get("imr").map(|_| Kind::EventLog);
    }
    let has = |names: &[&str]| names.iter().all(|name| value.get(name).is_some());
    let schema = value.get("schema").and_then(Value::as_str).unwrap_or("");
    let known: [(bool, Kind); 9] = [
        (schema.starts_with("dstack-check/"), Kind::Report),
        (has(&["tcb_info", "qe_identity"]), Kind::Collateral),
        (has(&["ca_pubkey", "k256_pubkey"]), Kind::Bootstrap),
        (has(&["ca_cert", "k256_pubkey"]), Kind::Meta),
        (has(&["account_uri"]), Kind::AcmeInfo),
        (has(&["manifest_version"]) || has(&["docker_compose_file"]), Kind::AppCompose),
        (has(&["quote"]), Kind::GetQuote),
        (has(&["mrtd", "rtmr3"]), Kind::TcbInfo),
        (has(&["tcb_info"]) || has(&["app_id", "instance_id"]), Kind::Info),
    ];
    known
        .into_iter()
        .find(|(fits, _)| *fits)
        .map(|(_, kind)| kind)
        .or_else(|| has(&["attestation"]).then_some(Kind::Attestation))
}

/// Adds to an error about a file what the file seems to be, unless that is what was wanted.
pub(crate) fn wrong(error: CliError, bytes: &[u8], wanted: Kind) -> CliError {
    if bytes.is_empty() {
        return error.hint("the file is empty");
    }
    match Kind::of(bytes).filter(|kind| *kind != wanted) {
        Some(kind) => error.hint(kind.hint()),
        None => error,
    }
}

/// That a file does not have what was wanted, with what it seems to be.
pub(crate) fn without(message: &'static str, bytes: &[u8]) -> CliError {
    let error = CliError::usage(message);
    match Kind::of(bytes) {
        Some(kind) => error.hint(kind.hint()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart() {
        let quote = [&[4, 0, 2, 0][..], &[0x81; 700]].concat();
        for (bytes, kind) in [
            (br#"{"quote":"00","event_log":"[]"}"#.to_vec(), Some(Kind::GetQuote)),
            (br#"{"app_id":"00","instance_id":"","tcb_info":"{}"}"#.to_vec(), Some(Kind::Info)),
            (br#"{"mrtd":"","rtmr0":"","rtmr3":""}"#.to_vec(), Some(Kind::TcbInfo)),
            (br#"[{"imr":0,"digest":""}]"#.to_vec(), Some(Kind::EventLog)),
            (br#"{"manifest_version":2,"name":"x"}"#.to_vec(), Some(Kind::AppCompose)),
            (b"services:\n  web:\n    image: nginx\n".to_vec(), Some(Kind::DockerCompose)),
            (br#"{"ca_pubkey":"","k256_pubkey":"","attestation":""}"#.to_vec(), Some(Kind::Bootstrap)),
            (br#"{"ca_cert":"","k256_pubkey":""}"#.to_vec(), Some(Kind::Meta)),
            (br#"{"account_uri":"https://acme.example.com/1"}"#.to_vec(), Some(Kind::AcmeInfo)),
            (br#"{"tcb_info":"{}","qe_identity":"{}"}"#.to_vec(), Some(Kind::Collateral)),
            (br#"{"attestation":"00"}"#.to_vec(), Some(Kind::Attestation)),
            (br#"{"schema":"dstack-check/report/v1"}"#.to_vec(), Some(Kind::Report)),
            (b"-----BEGIN CERTIFICATE-----\n".to_vec(), Some(Kind::Certificate)),
            (b"-----BEGIN PRIVATE KEY-----\n".to_vec(), Some(Kind::PrivateKey)),
            (b"version = 1\nrequire = [\"os\"]\n".to_vec(), Some(Kind::Policy)),
            (hex::encode(&quote).into_bytes(), Some(Kind::Quote)),
            (quote, Some(Kind::Quote)),
            (vec![0x30, 0x82, 1, 0xff], Some(Kind::Certificate)),
            (b"good morning\n".to_vec(), None),
            (b"{".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(Kind::of(&bytes), kind, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
