//! Collateral: TCB info and QE identity as JSON, and revocation lists.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::DAY;
use super::pki::{Authority, PlatformSpec};
use super::quote::{QE_MR_SIGNER, QE_PRODUCT};

/// What the authority says about a platform type, and what is wrong with the way it says it.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// The platform type.
    pub(crate) fmspc: [u8; 6],
    /// `TDX`, or `SGX`.
    pub(crate) tee: &'static str,
    /// The status of the level that a default platform reaches, as Intel names it.
    pub(crate) tcb_status: String,
    /// The advisories of that level.
    pub(crate) advisories: Vec<String>,
    /// The status of the TDX module that a default quote names.
    pub(crate) module_status: String,
    /// The TDX module's level applies from this security version on; below it, it is `OutOfDate`.
    pub(crate) module_isv_svn: u8,
    /// When the level was published, in RFC 3339.
    pub(crate) tcb_date: String,
    /// The CPU's security versions that the level asks for. Raise one to leave the platform without a level.
    pub(crate) cpu_svn: [u8; 16],
    /// The TCB evaluation data number.
    pub(crate) evaluation_number: u32,
    /// When TCB info, QE identity and both CRLs were issued.
    pub(crate) issued: SystemTime,
    /// When they expire.
    pub(crate) next_update: SystemTime,
    /// When the CRLs expire, where that is another time.
    pub(crate) crl_next_update: Option<SystemTime>,
    /// The serial numbers of revoked PCK certificates.
    pub(crate) revoked: Vec<u8>,
    /// The quoting enclave's signer.
    pub(crate) qe_mr_signer: [u8; 32],
    /// The quoting enclave's least security version for `UpToDate`; one less is `OutOfDate`.
    pub(crate) qe_isv_svn: u16,
    /// The id of the QE identity.
    pub(crate) qe_id: &'static str,
    /// TCB info is edited after it was signed: `OutOfDate` becomes `UpToDate`, or a space is added.
    pub(crate) edit_tcb_info: bool,
    /// QE identity is edited after it was signed.
    pub(crate) edit_qe_identity: bool,
}

impl Statement {
    /// The platform is up to date.
    pub(super) fn new(now: SystemTime, platform: &PlatformSpec) -> Self {
        Self {
            fmspc: platform.fmspc,
            tee: "TDX",
            tcb_status: "UpToDate".to_owned(),
            advisories: Vec::new(),
            module_status: "UpToDate".to_owned(),
            module_isv_svn: 4,
            tcb_date: "2025-05-14T00:00:00Z".to_owned(),
            cpu_svn: platform.cpu_svn,
            evaluation_number: 20,
            issued: now - DAY,
            next_update: now + 29 * DAY,
            crl_next_update: None,
            revoked: Vec::new(),
            qe_mr_signer: QE_MR_SIGNER,
            qe_isv_svn: 4,
            qe_id: "TD_QE",
            edit_tcb_info: false,
            edit_qe_identity: false,
        }
    }

    /// Signed, as the JSON text that is kept in files.
    pub(super) fn sign(&self, authority: &Authority) -> String {
        let tcb_info = self.tcb_info().to_string();
        let qe_identity = self.qe_identity().to_string();
        let crl_next = self.crl_next_update.unwrap_or(self.next_update);
        let signatures = [&tcb_info, &qe_identity].map(|text| hex::encode(authority.sign_statement(text)));
        let [tcb_info_signature, qe_identity_signature] = signatures;
        let edit = |text: String, edit: bool| match edit {
            false => text,
            true if text.contains("OutOfDate") => text.replace("OutOfDate", "UpToDate"),
            true => text.replacen('{', "{ ", 1),
        };
        json!({
            "pck_crl_issuer_chain": authority.pck_ca_chain(),
            "root_ca_crl": hex::encode(authority.root_crl(self.issued, crl_next)),
            "pck_crl": hex::encode(authority.pck_crl(self.issued, crl_next, &self.revoked)),
            "tcb_info_issuer_chain": authority.tcb_chain(),
            "tcb_info": edit(tcb_info, self.edit_tcb_info),
            "tcb_info_signature": tcb_info_signature,
            "qe_identity_issuer_chain": authority.tcb_chain(),
            "qe_identity": edit(qe_identity, self.edit_qe_identity),
            "qe_identity_signature": qe_identity_signature,
        })
        .to_string()
    }

    fn tcb_info(&self) -> Value {
        let zero = "00".repeat(48);
        let components = |svn: &[u8]| -> Vec<Value> { svn.iter().map(|svn| json!({ "svn": svn })).collect() };
        let tdx = [self.module_isv_svn, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let module_level = |isv_svn: u8, status: &str| json!({ "tcb": { "isvsvn": isv_svn }, "tcbDate": self.tcb_date, "tcbStatus": status });
        json!({
            "id": self.tee,
            "version": 3,
            "issueDate": rfc3339(self.issued),
            "nextUpdate": rfc3339(self.next_update),
            "fmspc": hex::encode_upper(self.fmspc),
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": self.evaluation_number,
            "tdxModule": { "mrsigner": zero, "attributes": "00".repeat(8), "attributesMask": "FF".repeat(8) },
            "tdxModuleIdentities": [{
                "id": "TDX_01",
                "mrsigner": zero,
                "attributes": "00".repeat(8),
                "attributesMask": "FF".repeat(8),
                "tcbLevels": [
                    module_level(self.module_isv_svn, &self.module_status),
                    module_level(1, "OutOfDate"),
                ],
            }],
            "tcbLevels": [{
                "tcb": {
                    "sgxtcbcomponents": components(&self.cpu_svn),
                    "pcesvn": 11,
                    "tdxtcbcomponents": components(&tdx),
                },
                "tcbDate": self.tcb_date,
                "tcbStatus": self.tcb_status,
                "advisoryIDs": self.advisories,
            }],
        })
    }

    fn qe_identity(&self) -> Value {
        let level = |isv_svn: u16, status: &str| json!({ "tcb": { "isvsvn": isv_svn }, "tcbDate": self.tcb_date, "tcbStatus": status });
        json!({
            "id": self.qe_id,
            "version": 2,
            "issueDate": rfc3339(self.issued),
            "nextUpdate": rfc3339(self.next_update),
            "tcbEvaluationDataNumber": self.evaluation_number,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": format!("11{}", "00".repeat(15)),
            "attributesMask": format!("FB{}{}", "FF".repeat(7), "00".repeat(8)),
            "mrsigner": hex::encode_upper(self.qe_mr_signer),
            "isvprodid": QE_PRODUCT,
            "tcbLevels": [level(self.qe_isv_svn, "UpToDate"), level(self.qe_isv_svn - 1, "OutOfDate")],
        })
    }
}

/// A time in RFC 3339, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0, in eras of 400 years: the year then ends with February.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}
