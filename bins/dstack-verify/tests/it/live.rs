//! Evidence from an emulated host.

use dstack_vmm_client::DstackVersion;

use crate::snapshot;
use crate::world::{APP_COMPOSE, Host, World, status};

#[test]
fn an_agent_is_asked_with_a_challenge_of_its_own() {
    for version in [DstackVersion::V0_5, DstackVersion::Next] {
        let (world, host) = (World::new(), Host::new(version));
        world.write("app-compose.json", APP_COMPOSE);
        let agent = host.agent();
        let app = ["app", "--agent", &agent, "--compose", "app-compose.json"];

        let (code, report) = world.report(&app);
        assert_eq!((code, status(&report, "quote.signature")), (Some(1), "fail"), "{report:#?}");
        assert_eq!(report.meta()["evidence"], "EMULATED");

        let (code, report) = world.report(&[&app[..], &["--danger-accept-emulated"]].concat());
        assert_eq!((code, status(&report, "quote.signature")), (Some(0), "warn"), "{report:#?}");
        assert_eq!(status(&report, "quote.report-data"), "pass");
        assert_eq!(status(&report, "app.compose.deployed"), "pass");
        assert_eq!(report.meta()["evidence"], "EMULATED");
    }
}

#[test]
fn emulated_is_marked_in_every_form() {
    let (world, host) = (World::new(), Host::new(DstackVersion::V0_5));
    world.write("app-compose.json", APP_COMPOSE);
    let agent = host.agent();
    let app = ["app", "--agent", &agent, "--compose", "app-compose.json", "--danger-accept-emulated"];
    let text = world.run(&app);
    assert!(text.starts_with("code: 0\n--- stdout\nEMULATED, NOTHING PROVEN: "), "{text}");
    let markdown = world.run(&[&app[..], &["--md"]].concat());
    assert!(markdown.starts_with("code: 0\n--- stdout\n**EMULATED, NOTHING PROVEN**: "), "{markdown}");
    snapshot!("emulated_accepted", host.steady(&text));
    snapshot!("emulated_refused", host.steady(&world.run(&app[..5])));
}

#[test]
fn another_compose_is_found_out() {
    let (world, host) = (World::new(), Host::new(DstackVersion::V0_5));
    world.write("app-compose.json", format!("{APP_COMPOSE}\n"));
    let agent = host.agent();
    let (code, report) = world.report(&[
        "app",
        "--agent",
        &agent,
        "--compose",
        "app-compose.json",
        "--danger-accept-emulated",
    ]);
    assert_eq!((code, status(&report, "app.compose.deployed")), (Some(1), "fail"));
}

#[test]
fn a_guest_is_asked_through_its_vmm() {
    let (world, host) = (World::new(), Host::new(DstackVersion::V0_5));
    let vmm = host.vmm();
    for vm in ["web", host.vm.as_str()] {
        let (code, report) = world.report(&["app", "--vmm", &vmm, "--vm", vm]);
        assert_eq!((code, status(&report, "quote.present")), (Some(1), "unknown"), "{report:#?}");
        assert_eq!(report.meta()["from"], format!("{vm} through {vmm}"));
    }
    let nobody = world.run(&["app", "--vmm", &vmm, "--vm", "nobody"]);
    assert!(nobody.starts_with("code: 1\n--- stdout\n--- stderr\n"), "{nobody}");
}

#[test]
fn nobody_there_is_three() {
    let world = World::new();
    for arguments in [
        &["app", "--agent", "unix:/nowhere/dstack.sock"][..],
        &["app", "--agent", "http://127.0.0.1:1"],
        &["app", "--vmm", "unix:/nowhere/vmm.sock", "--vm", "web"],
        &["app", "--url", "http://127.0.0.1:1/quote.json"],
        &["kms", "--url", "https://127.0.0.1:1"],
        &["gateway", "--url", "https://127.0.0.1:1"],
        &["ingress", "--url", "https://127.0.0.1:1"],
        &["cert", "--connect", "127.0.0.1:1"],
    ] {
        let said = world.run(arguments);
        assert!(said.starts_with("code: 3\n--- stdout\n--- stderr\n"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_token_is_sent_and_never_shown() {
    use std::os::unix::fs::PermissionsExt;
    const TOKEN: &str = "correct-horse-battery-staple";
    let (world, host) = (World::new(), Host::with_token(TOKEN));
    let keep = |name: &str, text: &str| {
        let path = world.write(name, text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    keep("token", TOKEN);
    keep("wrong", "hunter2-hunter2-hunter2");
    let vmm = host.vmm();
    let app = ["app", "--vmm", &vmm, "--vm", "web", "--token-from"];
    let (code, report) = world.report(&[&app[..], &["token"]].concat());
    assert_eq!((code, status(&report, "quote.present")), (Some(1), "unknown"));
    let refused = world.run(&[&app[..], &["wrong"]].concat());
    assert!(refused.starts_with("code: 3\n"), "{refused}");
    let without = world.run(&app[..5]);
    assert!(without.starts_with("code: 3\n"), "{without}");
    for said in [refused, without, world.run(&[&app[..], &["token", "--explain"]].concat())] {
        assert!(!said.contains("horse") && !said.contains("hunter2"), "{said}");
    }
    std::fs::set_permissions(world.work().join("token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = world.run(&[&app[..], &["token"]].concat());
    assert!(open.starts_with("code: 2\n") && open.contains("chmod 600"), "{open}");
}

/// A service that is asked for a page and answers with one that is no evidence.
#[test]
fn a_page_that_is_no_evidence() {
    let (world, host) = (World::new(), Host::new(DstackVersion::V0_5));
    let said = world.run(&["app", "--agent", &host.vmm()]);
    assert!(said.starts_with("code: 1\n") || said.starts_with("code: 3\n"), "{said}");
    assert!(said.contains("--- stdout\n--- stderr\n"), "{said}");
}
