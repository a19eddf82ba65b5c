//! `vmm.toml`: reading, linting and edits that leave the rest alone.

use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::config::{
    CHECKS, ConfigError, ConfigValue, EditError, LintContext, PortRange, Protocol, VmmConfig, lint, set,
    unset,
};

/// Takes any bytes for a `vmm.toml`.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for version in DstackVersion::ALL {
        let context = LintContext::new(version).file_mode(0o644).unit_writable_paths(["/var/lib/dstack"]);
        assert_eq!(lint(text, &context).len(), CHECKS.len());
    }
    match VmmConfig::parse(text) {
        Ok((config, _)) => {
            // A token is never shown, unless the file says the same elsewhere.
            let shown = format!("{config:?}");
            for token in &config.auth.tokens {
                let token = token.expose();
                assert!(token.len() < 12 || !shown.contains(token) || text.matches(token).count() > 1);
            }
        }
        Err(ConfigError::Syntax { line, column, .. }) => assert!(line >= 1 && column >= 1),
        Err(_) => {}
    }
    let range = |protocol, from, to| PortRange { protocol, from, to };
    edit(text, "address", &ConfigValue::from("127.0.0.1:9080"));
    edit(text, "cvm.cid_start", &ConfigValue::from(30_000_u32));
    edit(text, "cvm.port_mapping.enabled", &ConfigValue::from(true));
    edit(
        text,
        "cvm.kms_urls",
        &ConfigValue::from(vec!["https://kms.example.com".to_owned(), "a\"\n#".to_owned()]),
    );
    edit(text, "auth.tokens", &ConfigValue::from(Vec::<String>::new()));
    edit(
        text,
        "cvm.port_mapping.range",
        &ConfigValue::from(vec![range(Protocol::Tcp, 1, 9), range(Protocol::Udp, 5, 5)]),
    );
}

/// What is set is there, setting it again changes nothing, and what is taken out is gone. An edit whose outcome is another
/// than that is refused by the library itself; here that the text can still be read and the second edit agrees.
fn edit(text: &str, path: &str, value: &ConfigValue) {
    match set(text, path, value) {
        Ok(edited) => {
            assert!(VmmConfig::parse(&edited.text).is_ok());
            let again = set(&edited.text, path, value).expect("what was set can be set");
            assert!(!again.changed && again.text == edited.text);
            if let Ok(gone) = unset(&edited.text, path) {
                assert!(gone.changed);
                assert!(!unset(&gone.text, path).expect("what is gone can be taken out").changed);
            }
        }
        Err(EditError::Config(_) | EditError::NotATable { .. } | EditError::IsATable { .. }) => {}
        Err(EditError::Unplaceable { .. }) => {}
        Err(error) => panic!("{path}: {error}"),
    }
}
