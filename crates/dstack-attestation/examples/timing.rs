//! t
#![allow(clippy::all, missing_docs, clippy::unwrap_used)]
use dstack_attestation::*;
fn main(){let r=|s:&str|{let v:serde_json::Value=serde_json::from_str(s).unwrap();v["response"].to_string()};
let i=r(include_str!("../tests/fixtures/agent/info.json"));let q=r(include_str!("../tests/fixtures/agent/get-quote.json"));
let t=std::time::Instant::now();for _ in 0..200{let e=AppEvidence::new().read_info(&i).unwrap().read_quote(&q).unwrap();let _=verify_app("a",&e,&AppExpectation::new());}
println!("{:?}",t.elapsed()/200);}
