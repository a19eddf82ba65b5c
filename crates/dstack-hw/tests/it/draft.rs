use dstack_hw::Unread;
use dstack_hw::source::*;
use serde_json::Value;
use std::path::Path;

fn hex(v: &Value) -> u64 { u64::from_str_radix(v.as_str().unwrap().trim_start_matches("0x"), 16).unwrap() }
fn unread(v: &Value) -> Option<Unread> { serde_json::from_value(v.get("unread")?.clone()).ok() }

fn text(v: &Value) -> String { match v { Value::String(s) => s.clone(), Value::Array(l) => l.iter().map(|l| format!("{}\n", l.as_str().unwrap())).collect(), _ => String::new() } }
pub(crate) fn readings(doc: &Value, tree: Option<&Path>) -> Readings {
    let doc = &doc["readings"];
    let mut r = if doc["unlisted"] == "absent" { Readings::empty_host() } else { Readings::nothing_known() };
    if let Some(tree) = tree {
        let mut todo = vec![tree.to_path_buf()];
        while let Some(d) = todo.pop() {
            for e in std::fs::read_dir(d).unwrap() {
                let p = e.unwrap().path();
                if p.is_dir() { todo.push(p) } else {
                    let path = format!("/{}", p.strip_prefix(tree).unwrap().display());
                    r = r.file(path, std::fs::read(&p).unwrap());
                }
            }
        }
    }
    let none = serde_json::Map::new();
    let map = |k: &str| doc.get(k).and_then(Value::as_object).unwrap_or(&none);
    for (k, v) in map("cpuid") {
        let (l, s) = k.split_once('.').unwrap();
        let l = u32::from_str_radix(&l[2..], 16).unwrap();
        let g = |n: &str| hex(&v[n]) as u32;
        r = r.cpuid_leaf(l, s.parse().unwrap(), CpuidRegisters { eax: g("eax"), ebx: g("ebx"), ecx: g("ecx"), edx: g("edx") });
    }
    for (c, regs) in map("msrs") {
        for (a, v) in regs.as_object().unwrap() {
            let a = u32::from_str_radix(&a[2..], 16).unwrap();
            r = if v == "not-permitted" { r.msr_reading(c.parse().unwrap(), a, Err(Unread::NotPermitted)) } else { r.msr(c.parse().unwrap(), a, hex(v)) };
        }
    }
    for (p, v) in map("files") {
        r = if let Some(w) = unread(v) { r.file_reading(p, Err(w)) }
            else if let Some(t) = v.get("text") { r.file(p, text(t)) }
            else { use base64::Engine; r.file(p, base64::engine::general_purpose::STANDARD.decode(v["base64"].as_str().unwrap()).unwrap()) };
    }
    for (p, v) in map("folders") { r = r.folder(p, v.as_array().unwrap().iter().map(|n| n.as_str().unwrap())); }
    for (p, v) in map("stats") {
        if unread(v).is_some() { } else { r = r.meta(p, serde_json::from_value(v.clone()).unwrap()); }
    }
    if let Some(v) = doc.get("kernel-log") { r = r.log_reading(match unread(v) { Some(w) => Err(w), None => Ok(RawKernelLog { from: serde_json::from_value(v["from"].clone()).unwrap(), from_boot: v.get("from-boot").and_then(Value::as_bool), text: text(&v["text"]) }) }); }
    if let Some(v) = doc.get("kvm") { r = r.kvm_capabilities(KvmCapabilities { api_version: 12, vm_types: hex(&v["vm-types"]) }); }
    if let Some(list) = doc.get("probes").and_then(Value::as_array) {
        for v in list {
            if unread(v).is_some() { continue; }
            let p: Probe = serde_json::from_value(v["probe"].clone()).unwrap();
            r = r.probe_stdout(p, text(&v["stdout"]));
        }
    }
    r
}
