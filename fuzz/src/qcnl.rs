//! The collateral client's configuration: JSON with comments and commas.

use dstack_hw::facts::services::{CollateralUrl, Qcnl, jsonc};

/// Takes any bytes for the file.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match jsonc::parse(&text) {
        Ok(read) => {
            assert!(read.commas.len() <= 64);
            let lines = text.split('\n').count();
            assert!(read.commas.iter().all(|comma| (1..=lines).contains(&comma.line) && comma.column >= 1));
            // What is read can be written as JSON, and that has no comma too many. Fractions may lose their last digit.
            let strict = read.value.to_string();
            let again = jsonc::parse(&strict).expect("strict JSON is JSON with comments");
            assert_eq!(
                again.value,
                serde_json::from_str::<serde_json::Value>(&strict).expect("it was written")
            );
            assert!(again.commas.is_empty());
        }
        Err(error) => {
            assert!(error.line <= text.split('\n').count());
            assert!(
                serde_json::from_str::<serde_json::Value>(&text).is_err(),
                "strict JSON is refused: {error}"
            );
        }
    }
    if let Ok(strict) = serde_json::from_str::<serde_json::Value>(&text) {
        assert_eq!(jsonc::parse(&text).expect("strict JSON is read").value, strict);
    }
    let _ = Qcnl::parse(&text);
    if let Ok(url) = CollateralUrl::parse(&text) {
        let shown = url.to_string();
        assert!(!shown.contains(['@', '?', '#', ' ', '\n']), "{shown}");
        assert_eq!(CollateralUrl::parse(&shown), Ok(url));
    }
}
