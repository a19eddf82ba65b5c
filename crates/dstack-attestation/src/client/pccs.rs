//! Collateral from a PCCS, or from Intel.

use std::borrow::Cow;
use std::str::FromStr as _;

use dcap_qvl::intel;
use futures_util::future::try_join4;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::KeptBody;
use super::transport::{Answer, Place, Request};
use super::{Endpoint, FetchError, Transport};
use crate::FixedBytes;
use crate::quote::{Collateral, CollateralParts, TdxQuote, verify};

/// Intel's own service.
pub const INTEL_PCS: &str = "https://api.trustedservices.intel.com";
/// The cache that Phala runs for everybody; upstream's default for guests.
pub const PHALA_PCCS: &str = "https://pccs.phala.network";

/// Where Intel publishes its root CA's revocation list, which Intel's own service does not hand out.
const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";
/// What stands in a URL between the server and the method.
const SGX: &str = "/sgx/certification/v4";
const TDX: &str = "/tdx/certification/v4";

/// The CA that certified a platform, which has a revocation list of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PckCa {
    /// For platforms that registered with Intel: all servers with TDX.
    Platform,
    /// For platforms with one processor that Intel knew beforehand.
    Processor,
}

impl PckCa {
    /// The name in the URLs of the service.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Processor => "processor",
        }
    }
}

/// For which platform a quote needs collateral, by its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotedPlatform {
    /// The platform type.
    pub fmspc: FixedBytes<6>,
    /// Who certified the platform.
    pub ca: PckCa,
}

impl QuotedPlatform {
    /// Reads it from the certificate chain in a quote. Nobody checked the chain.
    ///
    /// # Errors
    ///
    /// [`FetchError::InvalidRequest`] when the quote cannot be read, carries no PCK certificate (an emulated one, for
    /// instance), or its issuer is neither of Intel's two.
    pub fn of_quote(quote: &[u8]) -> Result<Self, FetchError> {
        let unusable = |error: &dyn std::fmt::Display| {
            FetchError::request(format!("there is no telling which collateral the quote needs: {error}"))
        };
        if TdxQuote::parse(quote).is_ok_and(|quote| quote.is_emulated()) {
            return Err(FetchError::request(
                "the quote is emulated: no platform stands behind it, and no collateral is for it",
            ));
        }
        let fmspc = verify::stated_fmspc(quote).map_err(|error| unusable(&error))?;
        let parsed = dcap_qvl::quote::Quote::parse(quote).map_err(|error| unusable(&format!("{error:#}")))?;
        let chain = intel::extract_cert_chain(&parsed).map_err(|error| unusable(&format!("{error:#}")))?;
        let leaf = chain.first().ok_or_else(|| unusable(&"its certificate chain is empty"))?;
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| unusable(&error))?;
        let mut names = leaf.issuer().iter_common_name().filter_map(|name| name.as_str().ok());
        let issuer = names.next().unwrap_or_default();
        let ca = if issuer.contains("Platform") {
            PckCa::Platform
        } else if issuer.contains("Processor") {
            PckCa::Processor
        } else {
            return Err(unusable(&format_args!("its PCK certificate is from {issuer:?}")));
        };
        Ok(Self { fmspc, ca })
    }
}

/// Fetches the collateral that a TDX quote is judged by.
///
/// `pccs` is the URL of a PCCS, or [`INTEL_PCS`] or [`PHALA_PCCS`], with or without `/sgx/certification/v4` behind it.
/// The root CA's revocation list comes from the PCCS too; only where Intel's own service is asked, it comes from the
/// place where Intel publishes it. Nobody else is contacted.
///
/// Collateral is signed by Intel and judged when it is used, so that whoever stands on the way can hold back what is
/// new, and cannot forge. For a PCCS with a certificate of its own making give its certificate
/// ([`TlsTrust::authorities_pem`](super::TlsTrust::authorities_pem)).
///
/// Source: Intel's PCS API version 4, and the PCCS of its DCAP repository.
///
/// # Errors
///
/// [`FetchError`]; [`FetchError::Undecodable`] for an answer that is no such collateral, or not for this platform.
pub async fn fetch_collateral(
    quote: &[u8],
    pccs: &str,
    transport: &Transport,
) -> Result<Collateral, FetchError> {
    fetch_collateral_for(QuotedPlatform::of_quote(quote)?, pccs, transport).await
}

/// As [`fetch_collateral`], for a platform that is known already.
///
/// # Errors
///
/// [`FetchError`].
pub async fn fetch_collateral_for(
    platform: QuotedPlatform,
    pccs: &str,
    transport: &Transport,
) -> Result<Collateral, FetchError> {
    let base = base(pccs)?;
    let tcb = format!("{TDX}/tcb?fmspc={}&update=standard", hex::encode_upper(platform.fmspc.as_bytes()));
    let qe = format!("{TDX}/qe/identity?update=standard");
    let pck_crl = format!("{SGX}/pckcrl?ca={}&encoding=der", platform.ca.as_str());
    let ask = |path| transport.exchange(Request::get(&base, path));
    let (tcb, qe, pck_crl, root_crl) =
        try_join4(ask(&tcb), ask(&qe), ask(&pck_crl), root_crl(&base, transport)).await?;

    let of = |what| Place { endpoint: base.as_str(), what };
    let tcb_of = of("TCB info");
    let tcb_chain = chain(&tcb_of, &tcb, &["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"])?;
    let tcb_info: TcbInfoAnswer<'_> = signed(&tcb_of, &tcb)?;
    let qe_of = of("QE identity");
    let qe_chain = chain(&qe_of, &qe, &["SGX-Enclave-Identity-Issuer-Chain"])?;
    let qe_identity: QeIdentityAnswer<'_> = signed(&qe_of, &qe)?;
    let crl_of = of("the PCK CRL");
    let parts = CollateralParts {
        pck_crl_issuer_chain: chain(&crl_of, &pck_crl, &["SGX-PCK-CRL-Issuer-Chain"])?,
        root_ca_crl: root_crl,
        pck_crl: crl(&crl_of, &pck_crl.body)?,
        tcb_info_issuer_chain: tcb_chain,
        tcb_info: tcb_info.tcb_info.get().to_owned(),
        tcb_info_signature: signature(&tcb_of, &tcb_info.signature)?,
        qe_identity_issuer_chain: qe_chain,
        qe_identity: qe_identity.enclave_identity.get().to_owned(),
        qe_identity_signature: signature(&qe_of, &qe_identity.signature)?,
        pck_certificate_chain: None,
    };
    let all = of("the collateral");
    let collateral = Collateral::from_parts(parts, base.as_str())
        .map_err(|error| all.undecodable(error.to_string(), KeptBody::default()))?;
    if collateral.fmspc() != platform.fmspc {
        let reason = format!("it is for FMSPC {}, not {}", collateral.fmspc(), platform.fmspc);
        return Err(tcb_of.undecodable(reason, KeptBody::of(&tcb.body)));
    }
    Ok(collateral)
}

/// The server in a PCCS's URL, whichever of the customary forms it has.
fn base(url: &str) -> Result<Endpoint, FetchError> {
    let url = url.trim().trim_end_matches('/');
    let bare = url.strip_suffix(SGX).or_else(|| url.strip_suffix(TDX)).unwrap_or(url);
    Endpoint::from_str(bare.trim_end_matches('/'))
}

async fn root_crl(base: &Endpoint, transport: &Transport) -> Result<Vec<u8>, FetchError> {
    const WHAT: &str = "the root CA's CRL";
    if base.as_str() == INTEL_PCS {
        let (server, path) = super::endpoint::split_url(INTEL_ROOT_CRL)?;
        let answer = transport.exchange(Request::get(&server, &path)).await?;
        return crl(&Place { endpoint: server.as_str(), what: WHAT }, &answer.body);
    }
    let path = format!("{SGX}/rootcacrl");
    let answer = transport.exchange(Request::get(base, &path)).await?;
    crl(&Place { endpoint: base.as_str(), what: WHAT }, &answer.body)
}

#[derive(Deserialize)]
struct TcbInfoAnswer<'a> {
    /// Signed as it stands, byte for byte.
    #[serde(borrow, rename = "tcbInfo")]
    tcb_info: &'a RawValue,
    #[serde(borrow)]
    signature: Cow<'a, str>,
}

#[derive(Deserialize)]
struct QeIdentityAnswer<'a> {
    /// Signed as it stands, byte for byte.
    #[serde(borrow, rename = "enclaveIdentity")]
    enclave_identity: &'a RawValue,
    #[serde(borrow)]
    signature: Cow<'a, str>,
}

fn signed<'a, T: Deserialize<'a>>(place: &Place<'_>, answer: &'a Answer) -> Result<T, FetchError> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| place.undecodable(error.to_string(), KeptBody::of(&answer.body)))
}

fn signature(place: &Place<'_>, text: &str) -> Result<Vec<u8>, FetchError> {
    hex::decode(text).map_err(|_| place.undecodable("its signature is not hex", KeptBody::default()))
}

/// The certificate chain in the first of these headers that is there, PEM in percent encoding.
fn chain(place: &Place<'_>, answer: &Answer, headers: &[&str]) -> Result<String, FetchError> {
    let value = headers.iter().find_map(|header| answer.headers.get(*header));
    let value = value.ok_or_else(|| {
        let reason = format!("there is no header {}", headers.join(" or "));
        place.undecodable(reason, KeptBody::of(&answer.body))
    })?;
    let text = percent_encoding::percent_decode(value.as_bytes()).decode_utf8();
    match text {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Ok(text.into_owned()),
        _ => Err(place.undecodable("its issuer chain is not PEM", KeptBody::default())),
    }
}

/// A revocation list in DER. A PCCS hands out DER, or DER in hex; Intel's service, asked otherwise, PEM.
fn crl(place: &Place<'_>, body: &[u8]) -> Result<Vec<u8>, FetchError> {
    // A DER sequence of this size begins with bytes that no text has.
    if matches!(body, [0x30, 0x80..=0xff, ..]) {
        return Ok(body.to_vec());
    }
    let text = body.trim_ascii();
    if text.starts_with(b"-----BEGIN") {
        let read = CertificateRevocationListDer::from_pem_slice(text);
        let read = read.map(|list| list.as_ref().to_vec());
        return read.map_err(|error| place.undecodable(error.to_string(), KeptBody::of(body)));
    }
    let decoded =
        hex::decode(text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text));
    decoded.map_err(|_| place.undecodable("the list is neither DER nor hex nor PEM", KeptBody::of(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_a_pccs_are_taken_as_people_write_them() {
        for url in [
            "https://pccs.example.com",
            "https://pccs.example.com/",
            "https://pccs.example.com/sgx/certification/v4",
            "https://pccs.example.com/sgx/certification/v4/",
            " https://pccs.example.com/tdx/certification/v4/\n",
        ] {
            assert_eq!(base(url).unwrap().as_str(), "https://pccs.example.com", "{url}");
        }
        let prefixed = base("https://example.com/pccs/sgx/certification/v4/").unwrap();
        assert_eq!(prefixed.as_str(), "https://example.com/pccs");
        assert_eq!(base(INTEL_PCS).unwrap().as_str(), INTEL_PCS);
        assert_eq!(base(PHALA_PCCS).unwrap().as_str(), PHALA_PCCS);
        assert!(base("pccs.example.com").is_err());
    }

    #[test]
    fn revocation_lists_come_in_three_clothes() {
        let der = [0x30, 0x82, 0x01, 0x02];
        let place = Place { endpoint: "", what: "" };
        assert_eq!(crl(&place, &der).unwrap(), der);
        assert_eq!(crl(&place, b"30820102\n").unwrap(), der);
        assert_eq!(crl(&place, b"\"30820102\"").unwrap(), der);
        let pem = b"-----BEGIN X509 CRL-----\nMIIBAg==\n-----END X509 CRL-----\n";
        assert_eq!(crl(&place, pem).unwrap(), der);
        assert!(crl(&place, b"<html>").is_err());
        assert!(crl(&place, b"").is_ok_and(|empty| empty.is_empty()));
    }

    #[test]
    fn what_is_no_quote_has_no_platform() {
        for bytes in [&b""[..], b"quote", &[4, 0, 2, 0], &[0xff; 5000]] {
            assert!(matches!(QuotedPlatform::of_quote(bytes), Err(FetchError::InvalidRequest { .. })));
        }
    }
}
