//! The evidence directory of an ingress: a custom domain's own proof.

use std::collections::BTreeMap;

use super::gateway::check_host;
use super::transport::{Place, Request};
use super::{Endpoint, FetchError, Transport};
use crate::IngressEvidence;

/// Where the evidence stands below the host.
const DIRECTORY: &str = "/evidences/";
/// The list of the files with their hashes; its own hash is in the quote.
const LIST: &str = "sha256sum.txt";
/// The quote with its event log.
const QUOTE: &str = "quote.json";
/// How many files are fetched. An ingress has two or three, and a certificate a domain.
const FILES_MAX: usize = 64;
/// How many bytes all files together may have.
const TOTAL_MAX: usize = 32 << 20;

/// What was fetched from an ingress, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedIngress {
    /// The evidence. Nothing in it has been checked.
    pub evidence: IngressEvidence,
    /// Which files were not fetched and why, a sentence each, without a full stop.
    pub missing: Vec<String>,
}

/// Fetches the evidence of an ingress (upstream's `dstack-ingress`) for a host: `https://<host>/evidences/` with
/// `quote.json`, `sha256sum.txt` and each file named in it, and the certificates shown meanwhile.
///
/// # Errors
///
/// [`FetchError`] when `sha256sum.txt` or `quote.json` cannot be had; [`FetchError::InvalidRequest`] when the host is
/// no host name.
pub async fn fetch_ingress(host: &str, transport: &Transport) -> Result<FetchedIngress, FetchError> {
    check_host(host)?;
    fetch_ingress_at(&format!("https://{host}").parse()?, transport).await
}

/// As [`fetch_ingress`], below another endpoint: with a port, or without TLS, where no certificates are shown.
///
/// The time limit of the transport is for all files together.
///
/// # Errors
///
/// [`FetchError`].
pub async fn fetch_ingress_at(
    endpoint: &Endpoint,
    transport: &Transport,
) -> Result<FetchedIngress, FetchError> {
    let after = transport.limits_in_force().total;
    match tokio::time::timeout(after, fetch_files(endpoint, transport)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(Place { endpoint: endpoint.as_str(), what: DIRECTORY }.timeout(after)),
    }
}

async fn fetch_files(endpoint: &Endpoint, transport: &Transport) -> Result<FetchedIngress, FetchError> {
    let mut evidence = IngressEvidence::new();
    evidence.domain = endpoint.host_name();
    let path = format!("{DIRECTORY}{LIST}");
    let list = transport.exchange(Request::get(endpoint, &path)).await?;
    evidence.tls_chain = list.peer.map(|peer| peer.chain).unwrap_or_default();
    let mut files = BTreeMap::new();
    let mut missing = Vec::new();
    let mut total = list.body.len();
    let named = named_files(&list.body, &mut missing);
    files.insert(LIST.to_owned(), list.body);
    for name in std::iter::once(QUOTE).chain(named.iter().map(String::as_str)) {
        if files.contains_key(name) {
            continue;
        }
        let path = format!("{DIRECTORY}{name}");
        let answer = match transport.exchange(Request::get(endpoint, &path)).await {
            Ok(answer) => answer,
            // What the list names and the server does not have is for the checks to judge.
            Err(error) if name != QUOTE => {
                missing.push(format!("{name}: {error}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        // All files come from one server, or the certificate of one says nothing about the others.
        if answer.peer.as_ref().map(|peer| peer.chain.as_slice()).unwrap_or_default() != evidence.tls_chain {
            missing.push(format!("{name}: the server showed another certificate than before"));
            continue;
        }
        total = total.saturating_add(answer.body.len());
        if total > TOTAL_MAX {
            let place = Place { endpoint: endpoint.as_str(), what: DIRECTORY };
            return Err(place.too_large(TOTAL_MAX));
        }
        files.insert(name.to_owned(), answer.body);
    }
    evidence.files = files;
    Ok(FetchedIngress { evidence, missing })
}

/// The plain file names in a list as `sha256sum` writes it. What is no plain name is never asked for.
fn named_files(list: &[u8], missing: &mut Vec<String>) -> Vec<String> {
    let text = String::from_utf8_lossy(list);
    let mut names = Vec::new();
    let mut refused = 0_usize;
    for line in text.lines() {
        // A hash, a space, and a space or `*` before the name.
        let Some((_, name)) = line.split_once([' ', '\t']) else { continue };
        let name = name.trim_start_matches([' ', '\t', '*']).trim_end();
        let name = name.strip_prefix("./").unwrap_or(name);
        if !is_plain(name) || names.len() == FILES_MAX {
            refused += 1;
            continue;
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if refused > 0 {
        missing.push(format!(
            "{refused} of the files in {LIST}: their names are no plain file names, or there are more than {FILES_MAX}"
        ));
    }
    names
}

/// Whether a name is one file in one directory, and stands in a URL as it is.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=255).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_taken() {
        let list = "00  acme-account.json\n11 *cert-a.example.com.pem\n22  ./cert-a.example.com.pem\n\
                    33  ../../etc/passwd\n44  /etc/passwd\n55  a/b\n66  .hidden\n77  a?b=c\n88  a%2fb\nnonsense\n\n";
        let mut missing = Vec::new();
        let names = named_files(list.as_bytes(), &mut missing);
        assert_eq!(names, ["acme-account.json", "cert-a.example.com.pem"]);
        assert!(missing[0].starts_with("6 of the files"), "{missing:?}");
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_list_says_only_plain_names_are_asked_for(list in "([0-9a-f]{0,4}[ \\t*]{0,3}[a-z./\\\\%?#@: -]{0,12}\n?){0,20}") {
            let names = named_files(list.as_bytes(), &mut Vec::new());
            for name in names {
                let url = reqwest::Url::parse(&format!("https://example.com{DIRECTORY}{name}")).unwrap();
                proptest::prop_assert_eq!(url.path(), format!("{DIRECTORY}{name}"));
                proptest::prop_assert_eq!(url.path_segments().unwrap().count(), 2);
            }
        }
    }

    #[test]
    fn the_list_is_bounded() {
        let list: String = (0..1000).map(|n| format!("00  file-{n}\n")).collect();
        let mut missing = Vec::new();
        assert_eq!(named_files(list.as_bytes(), &mut missing).len(), FILES_MAX);
        assert_eq!(missing.len(), 1);
    }
}
