//! Quotes of a platform: TDX, versions 4 and 5, signed as Intel's quoting enclave signs.

use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_attestation::report_data::ReportData;
use dstack_attestation::{CreatorFields, Measurements};

use super::Platform;

/// Which quote, with which TD report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Body {
    /// A quote of version 4.
    #[default]
    Version4,
    /// A quote of version 5 with the report of TDX 1.0.
    Version5Td10,
    /// A quote of version 5 with the report of TDX 1.5.
    Version5Td15,
}

/// What a quote says.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(crate) body: Body,
    pub(crate) measurements: Measurements,
    pub(crate) creator: CreatorFields,
    pub(crate) report_data: ReportData,
    /// SEPT_VE_DISABLE alone, as dstack's CVMs have it.
    pub(crate) td_attributes: u64,
    pub(crate) xfam: u64,
    pub(crate) tee_tcb_svn: [u8; 16],
    /// TEE_TCB_SVN_2 of the report of TDX 1.5: the TDX module that runs now.
    pub(crate) tee_tcb_svn_2: [u8; 16],
    pub(crate) mr_seam: [u8; 48],
    pub(crate) mr_signer_seam: [u8; 48],
    pub(crate) seam_attributes: u64,
    /// In the report of TDX 1.5 only.
    pub(crate) mr_service_td: [u8; 48],
    pub(crate) qe_vendor_id: [u8; 16],
    pub(crate) attestation_key_type: u16,
    /// Who signed the quoting enclave.
    pub(crate) qe_mr_signer: [u8; 32],
    /// The quoting enclave's security version.
    pub(crate) qe_isv_svn: u16,
    pub(crate) faults: Faults,
}

/// What is wrong with a quote's signatures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The TD report's signature is of another text.
    pub(crate) report_signature: bool,
    /// The quoting enclave's report is signed by another key than the PCK.
    pub(crate) qe_signature: bool,
    /// The quoting enclave's report vouches for another attestation key.
    pub(crate) attestation_key: bool,
}

/// The quoting enclave's signer, as the test authority's QE identity has it.
pub(super) const QE_MR_SIGNER: [u8; 32] = [0xdc; 32];
/// The quoting enclave's product id.
pub(super) const QE_PRODUCT: u16 = 2;

impl Default for Contents {
    fn default() -> Self {
        let svn = [5, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Self {
            body: Body::default(),
            measurements: Measurements::default(),
            creator: CreatorFields::default(),
            report_data: ReportData::default(),
            td_attributes: 0x1000_0000,
            xfam: 0xe7,
            tee_tcb_svn: svn,
            tee_tcb_svn_2: svn,
            mr_seam: [0x5e; 48],
            mr_signer_seam: [0; 48],
            seam_attributes: 0,
            mr_service_td: [0; 48],
            qe_vendor_id: [
                0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06,
                0x07,
            ],
            attestation_key_type: 2,
            qe_mr_signer: QE_MR_SIGNER,
            qe_isv_svn: 4,
            faults: Faults::default(),
        }
    }
}

impl From<EmulatedQuote> for Contents {
    /// What the emulated quote says, to be signed.
    fn from(quote: EmulatedQuote) -> Self {
        Self {
            measurements: quote.measurements,
            creator: quote.creator,
            report_data: quote.report_data,
            ..Self::default()
        }
    }
}

impl Contents {
    /// The part of the quote that the attestation key signs: header, body type and TD report.
    pub(crate) fn signed_part(&self) -> Vec<u8> {
        let version: u16 = if self.body == Body::Version4 { 4 } else { 5 };
        let mut bytes = Vec::new();
        bytes.extend(version.to_le_bytes());
        bytes.extend(self.attestation_key_type.to_le_bytes());
        bytes.extend(0x81u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.qe_vendor_id);
        bytes.extend([0x0d; 20]);
        match self.body {
            Body::Version4 => {}
            Body::Version5Td10 => bytes.extend([2, 0, 0x48, 2, 0, 0]),
            Body::Version5Td15 => bytes.extend([3, 0, 0x88, 2, 0, 0]),
        }
        bytes.extend(self.tee_tcb_svn);
        bytes.extend(self.mr_seam);
        bytes.extend(self.mr_signer_seam);
        bytes.extend(self.seam_attributes.to_le_bytes());
        bytes.extend(self.td_attributes.to_le_bytes());
        bytes.extend(self.xfam.to_le_bytes());
        let Measurements { mrtd, rtmr0, rtmr1, rtmr2, rtmr3 } = &self.measurements;
        let CreatorFields { mr_config_id, mr_owner, mr_owner_config } = &self.creator;
        for field in [mrtd, mr_config_id, mr_owner, mr_owner_config, rtmr0, rtmr1, rtmr2, rtmr3] {
            bytes.extend_from_slice(field.as_ref());
        }
        bytes.extend_from_slice(self.report_data.as_ref());
        if self.body == Body::Version5Td15 {
            bytes.extend(self.tee_tcb_svn_2);
            bytes.extend(self.mr_service_td);
        }
        bytes
    }
}

impl Platform {
    /// A quote with these contents.
    pub(crate) fn quote(&self, contents: &Contents) -> Vec<u8> {
        let mut bytes = contents.signed_part();
        let signature = if contents.faults.report_signature {
            self.sign_with_attestation_key(b"another text")
        } else {
            self.sign_with_attestation_key(&bytes)
        };
        let key = self.attestation_key();
        let authentication_data = [0xa7; 32];
        let mut vouched = [&key[..], &authentication_data].concat();
        if contents.faults.attestation_key {
            vouched[0] ^= 1;
        }
        let qe_report = qe_report(contents, &vouched);
        let qe_signature = if contents.faults.qe_signature {
            self.sign_with_attestation_key(&qe_report)
        } else {
            self.sign_with_pck(&qe_report)
        };

        // Certification data of type 6 holds the quoting enclave's report, and in it type 5 the PCK chain.
        let mut qe = Vec::new();
        qe.extend(&qe_report);
        qe.extend(qe_signature);
        qe.extend((authentication_data.len() as u16).to_le_bytes());
        qe.extend(authentication_data);
        qe.extend(certification(5, self.pck_chain().as_bytes()));
        let mut signature_data = signature;
        signature_data.extend(key);
        signature_data.extend(certification(6, &qe));
        bytes.extend((signature_data.len() as u32).to_le_bytes());
        bytes.extend(signature_data);
        bytes
    }
}

fn certification(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(data.len() as u32).to_le_bytes(), data].concat()
}

fn qe_report(contents: &Contents, vouched: &[u8]) -> Vec<u8> {
    let mut report = Vec::with_capacity(384);
    report.extend([0x0c; 16]);
    report.extend([0; 4 + 28]);
    report.extend(0x11u128.to_le_bytes());
    report.extend([0x0e; 32]);
    report.extend([0; 32]);
    report.extend(contents.qe_mr_signer);
    report.extend([0; 96]);
    report.extend(QE_PRODUCT.to_le_bytes());
    report.extend(contents.qe_isv_svn.to_le_bytes());
    report.extend([0; 60]);
    report.extend(ring::digest::digest(&ring::digest::SHA256, vouched).as_ref());
    report.extend([0; 32]);
    report
}
