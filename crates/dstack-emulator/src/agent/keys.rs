//! Keys that follow from the app key, and signing with them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dstack_attestation::agent::{
    GetKeyArgs, GetKeyResponse, SignRequest, SignResponse, VerifyRequest, VerifyResponse,
};
use dstack_attestation::report_data::{self, ReportData};
use ed25519_dalek::{Signer as _, Verifier as _};
use secp256k1::{Message, PublicKey, ecdsa};

use super::GuestAgent;
use crate::kms::{derive_key, k256_key, sha256, sign_keccak};
use crate::rpc::RpcError;

/// What the app's own signing key is derived from, and for.
const SIGNING_PATH: &str = "vms";
const SIGNING_PURPOSE: &str = "signing";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Ed25519,
    Secp256k1,
    Prehashed,
}

impl Algorithm {
    fn read(name: &str) -> Result<Self, RpcError> {
        match name {
            "ed25519" => Ok(Self::Ed25519),
            "secp256k1" | "k256" => Ok(Self::Secp256k1),
            "secp256k1_prehashed" => Ok(Self::Prehashed),
            _ => Err(unsupported()),
        }
    }

    fn message(self, data: &[u8]) -> Option<Message> {
        let digest = if self == Self::Prehashed { data.try_into().ok()? } else { sha256(data) };
        Some(Message::from_digest(digest))
    }
}

fn unsupported() -> RpcError {
    RpcError::text("Unsupported algorithm")
}

fn failed(error: &impl ToString) -> RpcError {
    RpcError::text(error.to_string())
}

/// The public key of a secret one, as it is signed and shown.
fn public_key(algorithm: Algorithm, secret: &[u8; 32]) -> Result<Vec<u8>, RpcError> {
    Ok(match algorithm {
        Algorithm::Ed25519 => {
            ed25519_dalek::SigningKey::from_bytes(secret).verifying_key().to_bytes().to_vec()
        }
        Algorithm::Secp256k1 | Algorithm::Prehashed => {
            k256_key(*secret).map_err(|error| failed(&error))?.public_key().serialize().to_vec()
        }
    })
}

impl GuestAgent {
    pub(super) fn get_key(&self, args: &GetKeyArgs) -> Result<GetKeyResponse, RpcError> {
        let algorithm = match args.algorithm.as_str() {
            "" => Algorithm::Secp256k1,
            name => Algorithm::read(name)?,
        };
        if algorithm == Algorithm::Prehashed {
            return Err(unsupported());
        }
        let secret = self.derived(&args.path)?;
        let public_key = public_key(algorithm, &secret)?;
        let mut reply = GetKeyResponse::default();
        reply.signature_chain = self.chain(&args.purpose, &public_key);
        reply.key = secret.to_vec();
        Ok(reply)
    }

    /// The 32 bytes that follow from the app key and a path, whatever they are then used as.
    pub(super) fn derived(&self, path: &str) -> Result<[u8; 32], RpcError> {
        let app_key = self.inner.secrets.k256.as_secret_bytes();
        derive_key(app_key, &[path.as_bytes()]).map_err(|error| failed(&error))
    }

    /// The app key's signature over purpose and public key, and the KMS's over the app key.
    fn chain(&self, purpose: &str, public_key: &[u8]) -> Vec<Vec<u8>> {
        let secrets = &self.inner.secrets;
        let hex = hex::encode(public_key);
        let signature = sign_keccak(&secrets.k256, &[purpose.as_bytes(), b":", hex.as_bytes()]);
        vec![signature.to_vec(), secrets.k256_signature.clone()]
    }

    pub(super) fn sign(&self, request: &SignRequest) -> Result<SignResponse, RpcError> {
        let algorithm = Algorithm::read(&request.algorithm)?;
        let secret = self.derived(SIGNING_PATH)?;
        let signature = match algorithm {
            Algorithm::Ed25519 => {
                ed25519_dalek::SigningKey::from_bytes(&secret).sign(&request.data).to_bytes().to_vec()
            }
            Algorithm::Secp256k1 | Algorithm::Prehashed => {
                let message = algorithm.message(&request.data).ok_or_else(|| {
                    RpcError::text(format!(
                        "Pre-hashed signing requires a 32-byte digest, but received {} bytes",
                        request.data.len()
                    ))
                })?;
                k256_key(secret)
                    .map_err(|error| failed(&error))?
                    .sign_ecdsa(message)
                    .serialize_compact()
                    .to_vec()
            }
        };
        let public_key = public_key(algorithm, &secret)?;
        let mut reply = SignResponse::default();
        reply.signature_chain = vec![signature.clone()];
        reply.signature_chain.extend(self.chain(SIGNING_PURPOSE, &public_key));
        reply.signature = signature;
        reply.public_key = public_key;
        Ok(reply)
    }

    /// The report data of a quote over the app's signing key.
    pub(super) fn signing_key_report_data(&self, algorithm: &str) -> Result<ReportData, RpcError> {
        let algorithm = Algorithm::read(algorithm)?;
        let kind = match algorithm {
            Algorithm::Ed25519 => "ed25519-pk",
            Algorithm::Secp256k1 => "secp256k1c-pk",
            Algorithm::Prehashed => return Err(unsupported()),
        };
        let public_key = public_key(algorithm, &self.derived(SIGNING_PATH)?)?;
        let text = format!("dip1::{kind}:{}", URL_SAFE_NO_PAD.encode(public_key));
        report_data::padded(text.as_bytes()).map_err(|error| failed(&error))
    }
}

/// Whether a signature is a key's over some data. Like the real agent it says `false` of a wrong signature and fails on
/// a key or a signature that is none.
pub(super) fn verify(request: &VerifyRequest) -> Result<VerifyResponse, RpcError> {
    let algorithm = Algorithm::read(&request.algorithm)?;
    let mut reply = VerifyResponse::default();
    reply.valid = match algorithm {
        Algorithm::Ed25519 => {
            let key: &[u8; 32] =
                request.public_key.as_slice().try_into().map_err(|_| RpcError::text("invalid public key"))?;
            let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|error| failed(&error))?;
            let signature =
                ed25519_dalek::Signature::from_slice(&request.signature).map_err(|error| failed(&error))?;
            key.verify(&request.data, &signature).is_ok()
        }
        Algorithm::Secp256k1 | Algorithm::Prehashed => {
            let key = PublicKey::from_slice(&request.public_key).map_err(|error| failed(&error))?;
            let signature =
                ecdsa::Signature::from_compact(&request.signature).map_err(|error| failed(&error))?;
            algorithm.message(&request.data).is_some_and(|message| signature.verify(message, &key).is_ok())
        }
    };
    Ok(reply)
}
