//! Certificates of the app.

use dstack_attestation::agent::{DeriveKeyArgs, GetTlsKeyArgs, GetTlsKeyResponse};
use dstack_attestation::report_data::{self, HashAlgorithm, TAG_RATLS_CERT};
use rcgen::{KeyPair, PublicKeyData as _};

use super::evidence::MessagePack;
use super::{GuestAgent, device_id};
use crate::kms::{Extension, Leaf, derive_p256, random_bytes};
use crate::rpc::RpcError;

/// What certificates of an app may be used for.
const USAGE: &str = "app:custom";

/// What a certificate tells about the app besides its subject.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    evidence: bool,
    app_info: bool,
}

fn failed(error: &impl ToString) -> RpcError {
    RpcError::text(error.to_string())
}

impl GuestAgent {
    pub(super) fn get_tls_key(&self, args: &GetTlsKeyArgs) -> Result<GetTlsKeyResponse, RpcError> {
        if let (true, Some(from), Some(to)) =
            (self.inner.traits.validity_checked, args.not_before, args.not_after)
            && from >= to
        {
            return Err(RpcError::text("not_before must be earlier than not_after"));
        }
        let key = derive_p256(&random_bytes().map_err(|error| failed(&error))?, &[])
            .map_err(|error| failed(&error))?;
        let leaf = Leaf {
            subject: &args.subject,
            alt_names: &args.alt_names,
            server_auth: args.usage_server_auth,
            client_auth: args.usage_client_auth,
            not_before: args.not_before,
            not_after: args.not_after,
            extensions: Vec::new(),
        };
        self.tls_reply(leaf, &key, Carried { evidence: args.usage_ra_tls, app_info: args.with_app_info })
    }

    pub(super) fn derive_tls_key(&self, args: &DeriveKeyArgs) -> Result<GetTlsKeyResponse, RpcError> {
        let path: &[&[u8]] = &[args.path.as_bytes()];
        let key = if args.random_seed {
            derive_p256(&random_bytes().map_err(|error| failed(&error))?, path)
        } else {
            derive_p256(self.inner.secrets.k256.as_secret_bytes(), path)
        };
        let key = key.map_err(|error| failed(&error))?;
        let leaf = Leaf {
            subject: &args.subject,
            alt_names: &args.alt_names,
            server_auth: args.usage_server_auth,
            client_auth: args.usage_client_auth,
            ..Leaf::default()
        };
        self.tls_reply(leaf, &key, Carried { evidence: args.usage_ra_tls, app_info: false })
    }

    /// The chain that `Info` shows: a client certificate with evidence over a key that nobody has any more.
    pub(super) fn issue_app_cert(&self) -> Result<String, RpcError> {
        let key = derive_p256(&random_bytes().map_err(|error| failed(&error))?, &[])
            .map_err(|error| failed(&error))?;
        let leaf = Leaf { subject: "demo-cert", client_auth: true, ..Leaf::default() };
        let reply = self.tls_reply(leaf, &key, Carried { evidence: true, app_info: false })?;
        Ok(reply.certificate_chain.join("\n"))
    }

    fn tls_reply(
        &self,
        mut leaf: Leaf<'_>,
        key: &KeyPair,
        carried: Carried,
    ) -> Result<GetTlsKeyResponse, RpcError> {
        let inner = &self.inner;
        // Only a KMS says which app it signs for; a root of the app's own has no need to.
        if !inner.secrets.k256_signature.is_empty() {
            leaf.extensions.push(Extension::app_id(inner.measured.app_id.as_ref()));
        }
        if carried.app_info {
            leaf.extensions.push(Extension::app_info(self.packed_app_info()));
        }
        leaf.extensions.push(Extension::usage(USAGE));
        if carried.evidence {
            let public_key = key.subject_public_key_info();
            let report_data = report_data::tagged(HashAlgorithm::Sha512, TAG_RATLS_CERT, &public_key)
                .map_err(|error| failed(&error))?;
            leaf.extensions.push(Extension::attestation(inner.evidence.attestation(report_data, true)));
        }
        let certificate =
            inner.secrets.authority.issue(&leaf, key, self.now()).map_err(|error| failed(&error))?;
        let mut reply = GetTlsKeyResponse::default();
        reply.key = key.serialize_pem();
        reply.certificate_chain.push(certificate);
        reply.certificate_chain.extend(inner.secrets.chain.iter().cloned());
        Ok(reply)
    }

    /// Ids and measurements of the app as a MessagePack map by field name.
    fn packed_app_info(&self) -> Vec<u8> {
        let inner = &self.inner;
        let log = inner.evidence.log();
        let measured = &inner.measured;
        let mr_system =
            inner.evidence.measurements(&log).mr_system(Some(measured.key_provider.to_json().as_bytes()));
        let mr_aggregated = inner.evidence.mr_aggregated(&log);
        let device_id = device_id();
        let key_provider = measured.key_provider.to_json();
        let fields: [(&str, &[u8]); 8] = [
            ("app_id", measured.app_id.as_ref()),
            ("compose_hash", measured.compose_hash.as_ref()),
            ("instance_id", measured.instance_id.as_ref().map_or(&[], |id| id.as_ref())),
            ("device_id", device_id.as_ref()),
            ("mr_system", mr_system.as_ref()),
            ("mr_aggregated", mr_aggregated.as_ref()),
            ("os_image_hash", inner.spec.os_image_hash.as_ref()),
            ("key_provider_info", key_provider.as_bytes()),
        ];
        let mut out = MessagePack::default();
        out.map(fields.len());
        for (name, value) in fields {
            out.text(name);
            out.bytes(value);
        }
        out.finish()
    }
}
