//! Just enough of X.509 to check certificates without the library that made them.

use base64::Engine as _;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// One value of DER: tag, whole encoding, content.
#[derive(Clone, Copy, Debug)]
struct Value<'a> {
    tag: u8,
    whole: &'a [u8],
    content: &'a [u8],
}

fn values(mut der: &[u8]) -> Vec<Value<'_>> {
    let mut values = Vec::new();
    while let [tag, first, rest @ ..] = der {
        let (length, header) = if *first < 0x80 {
            (usize::from(*first), 2)
        } else {
            let bytes = usize::from(*first & 0x7f);
            let length = rest[..bytes].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, 2 + bytes)
        };
        let (whole, after) = der.split_at(header + length);
        values.push(Value { tag: *tag, whole, content: &whole[header..] });
        der = after;
    }
    values
}

/// What tests look at in a certificate.
#[derive(Debug)]
pub(crate) struct Certificate {
    signed: Vec<u8>,
    signature: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    /// Start and end of validity as the certificate writes them.
    pub(crate) validity: Vec<String>,
    pub(crate) subject: Vec<u8>,
    /// SubjectPublicKeyInfo in DER.
    pub(crate) public_key_info: Vec<u8>,
    /// Object identifier (as DER content) and value of each extension, in order.
    pub(crate) extensions: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Certificate {
    pub(crate) fn from_pem(pem: &str) -> Self {
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
        let parts = values(values(&der)[0].content);
        let fields = values(parts[0].content);
        // [0] version, serial, algorithm, issuer, validity, subject, key, [3] extensions
        let extensions = fields.iter().find(|field| field.tag == 0xa3).map_or_else(Vec::new, |field| {
            values(values(field.content)[0].content)
                .into_iter()
                .map(|extension| {
                    let members = values(extension.content);
                    (members[0].content.to_vec(), members[members.len() - 1].content.to_vec())
                })
                .collect()
        });
        let validity = values(fields[4].content);
        Self {
            signed: parts[0].whole.to_vec(),
            signature: parts[2].content[1..].to_vec(),
            issuer: fields[3].whole.to_vec(),
            validity: validity.iter().map(|time| String::from_utf8(time.content.to_vec()).unwrap()).collect(),
            subject: fields[5].whole.to_vec(),
            public_key_info: fields[6].whole.to_vec(),
            extensions,
        }
    }

    /// Panics unless the key with this SubjectPublicKeyInfo signed the certificate (ECDSA, P-256, SHA-256).
    pub(crate) fn verify(&self, public_key_info: &[u8]) {
        // The point is the last 65 bytes of the info.
        let point = &public_key_info[public_key_info.len() - 65..];
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&self.signed, &self.signature).unwrap();
    }

    /// The content of dstack's extension `1.3.6.1.4.1.62397.1.x`.
    pub(crate) fn dstack_extension(&self, number: u8) -> Option<Vec<u8>> {
        let oid = [0x2b, 6, 1, 4, 1, 0x83, 0xe7, 0x3d, 1, number];
        let (_, value) = self.extensions.iter().find(|(found, _)| *found == oid)?;
        let octets = values(value);
        assert_eq!((octets.len(), octets[0].tag), (1, 4));
        Some(octets[0].content.to_vec())
    }
}
