use dstack_hw::*;
use std::path::Path;

fn show(name: &str, r: &dstack_hw::source::Readings, profile: &str) {
    let facts = HostFacts::collect(r, CollectOptions::default());
    let a = Assessment::of(name, &facts, &Profile::builtin(profile).unwrap());
    println!("##### {name} [{profile}] {:?}", a.readiness);
    for f in a.report.findings() {
        let e = f.evidence.first().map(|e| format!("{}: {}", e.source, e.excerpt)).unwrap_or_default();
        println!("  {:14} {:38} {} | {:?} | {}", f.status.word(), f.id.as_str(), match &f.status { dstack_check::Status::Unknown{why} => why.clone(), dstack_check::Status::Skipped{because} => because.clone(), _ => f.observed.clone().unwrap_or_default() }, f.fix.is_some(), e.replace('\n', "\\n"));
    }
}

#[test]
fn look() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let profiles: serde_json::Value = serde_json::from_str(&std::fs::read_to_string("/tmp/w/h8gen/profiles.json").unwrap()).unwrap();
    let mut all: Vec<_> = std::fs::read_dir(base.join("recorded")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
    all.sort();
    for p in all {
        let name = p.file_stem().unwrap().to_str().unwrap().to_owned();
        let doc = serde_json::from_str(&std::fs::read_to_string(&p).unwrap()).unwrap();
        show(&name, &crate::draft::readings(&doc, None), profiles[&name].as_str().unwrap());
    }
    let mut all: Vec<_> = std::fs::read_dir(base.join("hosts")).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    for p in all {
        let name = p.file_name().unwrap().to_str().unwrap().to_owned();
        let doc = serde_json::from_str(&std::fs::read_to_string(p.join("readings.json")).unwrap()).unwrap();
        show(&name, &crate::draft::readings(&doc, Some(&p.join("root"))), profiles[&name].as_str().unwrap());
    }
}
