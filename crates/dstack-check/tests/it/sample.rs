//! A report with something of everything, for the views.

use dstack_check::{Answer, Catalogue, CheckDef, Conclusion, Finding, Fix, Report, ReportSet};

const CHECKS: &[CheckDef] = &[
    CheckDef::new("vmm.config.parses", "the configuration is valid TOML").layer("configuration"),
    CheckDef::new("vmm.config.api-auth", "the VMM's API asks for a token")
        .layer("configuration")
        .parents(&["vmm.config.parses"])
        .why("whoever reaches the port may start and stop machines"),
    CheckDef::new("vmm.config.kms-url", "a key management service is set").layer("configuration"),
    CheckDef::new("host.msr.readable", "model-specific registers can be read").layer("host"),
    CheckDef::new("host.tdx.enabled", "the firmware enables TDX")
        .layer("host")
        .parents(&["host.msr.readable"]),
    CheckDef::new("host.tdx.module", "the TDX module is loaded and initialised")
        .layer("host")
        .parents(&["host.tdx.enabled"]),
    CheckDef::new("host.gpu.cc-mode", "the GPUs are in confidential mode").layer("host"),
    CheckDef::new("host.kvm.device", "/dev/kvm is there").layer("host"),
];

pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new(CHECKS.iter().copied()).unwrap()
}

fn answer(check: &CheckDef) -> Finding {
    match check.id {
        "vmm.config.api-auth" => check
            .fail()
            .expected("[auth] enabled = true, because the address can be reached from other machines")
            .observed("address = \"tcp:0.0.0.0:9080\", enabled = false")
            .evidence("vmm.toml:4:1", "address = \"tcp:0.0.0.0:9080\"\n\n[auth]\n\tenabled = false\n")
            .fix(
                Fix::new("switch authentication on and give the clients the token")
                    .command("install -m 600 /dev/null /etc/dstack/vmm-auth-token")
                    .command("openssl rand -hex 32 > /etc/dstack/vmm-auth-token")
                    .link("https://docs.example.com/checks/vmm.config.api-auth"),
            ),
        "vmm.config.kms-url" => check
            .warn()
            .observed("kms_urls = []")
            .fix(Fix::new("name the key management service of your network").only_a_hint()),
        "host.msr.readable" => check
            .unknown("permission denied reading /dev/cpu/0/msr")
            .fix(Fix::new("run it as root").command("sudo dstack-example check")),
        "host.gpu.cc-mode" => check.not_applicable().observed("no GPU"),
        "host.kvm.device" => check
            .pass()
            .observed("crw-rw---- root kvm 10, 232")
            .evidence("/dev/kvm", "crw-rw---- 1 root kvm 10, 232 /dev/kvm"),
        _ => check.pass(),
    }
}

pub(crate) fn report() -> Report {
    Report::evaluate("host-a.example.com", &catalogue(), answer)
        .with_meta("tool", "dstack-example 1.2.3")
        .with_meta("dstack", "v0.5.11")
}

const EVIDENCE: &[CheckDef] = &[
    CheckDef::new("quote.signature", "the quote is genuine")
        .layer("quote")
        .proves("a platform that Intel certified signed these registers")
        .leaves_open("what the registers stand for, and when the quote was made"),
    CheckDef::new("os.measurements", "the OS is a known one")
        .layer("os")
        .proves("the firmware and the kernel are those of a known image")
        .leaves_open("whether the image does what its makers say"),
    CheckDef::new("quote.report-data", "the quote answers the challenge")
        .layer("quote")
        .proves("the quote was made after the challenge was chosen"),
];

/// A report about evidence, with everything that says what it means.
pub(crate) fn meaning() -> Report {
    let catalogue = Catalogue::new(EVIDENCE.iter().copied()).unwrap();
    Report::evaluate("app.example.com", &catalogue, |check| match check.id {
        "quote.signature" => check.pass().trusting("the collateral, from collateral.json"),
        "os.measurements" => {
            check.fail().observed("MRTD 00").trusting("the expected values, from the policy")
        }
        _ => check.unknown("no challenge was sent"),
    })
    .with_meta("evidence", "quote.json")
    .with_conclusion(
        Conclusion::new(
            "hardware",
            Answer::Shown,
            "genuine TDX hardware with an up-to-date TCB signed the quote",
        )
        .rests_on(["quote.signature"])
        .trusting("the collateral, from collateral.json"),
    )
    .with_conclusion(
        Conclusion::new("os", Answer::Refuted, "another operating system runs than the one that was named")
            .rests_on(["quote.signature", "os.measurements"])
            .trusting("the collateral, from collateral.json"),
    )
    .with_conclusion(
        Conclusion::new("code", Answer::WithReserve, "the app runs the app-compose that was named")
            .trusting("the collateral, from collateral.json")
            .trusting("the expected hash, which the caller gave"),
    )
    .with_conclusion(
        Conclusion::new("freshness", Answer::NotShown, "the evidence may be a recording").missing(
            "a challenge: send 32 random bytes of your own as report data, and name them when you verify",
        ),
    )
}

pub(crate) fn set() -> ReportSet {
    let good = Report::evaluate("host-b.example.com", &catalogue(), |check| match check.id {
        "vmm.config.kms-url" => check.warn().observed("kms_urls = []"),
        _ => check.pass(),
    });
    let failing = Report::new("host-c.example.com", [catalogue().get("host.kvm.device").unwrap().fail()]);
    ReportSet::merge([report(), good, failing]).unwrap()
}
