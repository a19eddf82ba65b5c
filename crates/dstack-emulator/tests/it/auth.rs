//! Who is let in, and how a refusal looks.

use dstack_vmm_client::DstackVersion;

use crate::server::{Reply, Rig, VERSIONS};

async fn get(rig: &Rig, path: &str, headers: &[(&str, &str)]) -> Reply {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sent = crate::server::Sent { headers, body: None };
    crate::server::send(rig.endpoint(), "GET", path, &sent).await.unwrap()
}

const GOOD: &[(&str, &str)] = &[("Authorization", "Bearer secret")];

#[tokio::test]
async fn next_asks_everywhere_and_v0_5_for_logs() {
    for version in VERSIONS {
        let rig = Rig::with(version, |builder| builder.token("secret")).await;
        for path in ["/prpc/Version", "/guest/Info", "/logs?id=x", "/", "/api-docs/openapi.json", "/nowhere"]
        {
            let open = version == DstackVersion::V0_5 && !path.starts_with("/logs");
            let refused = get(&rig, path, &[]).await;
            assert_eq!(refused.status != 401, open, "{version} {path}");
            assert_ne!(get(&rig, path, GOOD).await.status, 401, "{version} {path}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_next_is_empty_and_challenges() {
    let rig = Rig::with(DstackVersion::Next, |builder| builder.token("secret")).await;
    let refused = get(&rig, "/prpc/Version", &[("Authorization", "Bearer wrong")]).await;
    assert_eq!((refused.status, refused.body.as_slice(), refused.content_type()), (401, &b""[..], None));
    assert_eq!(refused.headers["www-authenticate"], "Basic realm=\"dstack-vmm API\"");
}

#[tokio::test]
async fn a_token_in_the_query_does_not_reach_the_method() {
    let rig = Rig::with(DstackVersion::Next, |builder| builder.token("secret")).await;
    let id = {
        let mut rig = rig;
        rig.headers = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
        let id = rig.create("demo", true).await;
        rig.headers.clear();
        let reply = get(&rig, &format!("/prpc/GetInfo?id={id}&token=secret"), &[]).await;
        assert_eq!(reply.json()["found"], true);
        assert_eq!(get(&rig, &format!("/logs?token=secret&id={id}"), &[]).await.status, 200);
        id
    };
    assert_eq!(id.len(), 36);
}

#[tokio::test]
async fn enabled_without_credentials_lets_nobody_in() {
    let rig = Rig::with(DstackVersion::Next, |b| b.configure(|settings| settings.auth_enabled = true)).await;
    assert_eq!(get(&rig, "/prpc/Version", &[("Authorization", "Bearer ")]).await.status, 401);
}

#[tokio::test]
async fn users_of_the_htpasswd_file_get_in_and_a_bad_file_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("htpasswd");
    std::fs::write(&file, format!("alice:{}\n", bcrypt::hash("wonder", 4).unwrap())).unwrap();
    let start = |path: std::path::PathBuf| {
        dstack_emulator::Emulator::builder().version(DstackVersion::Next).configure(|settings| {
            settings.auth_enabled = true;
            settings.auth_htpasswd_file = Some(path);
        })
    };
    let emulator = start(file.clone()).start().await.unwrap();
    // alice:wonder
    let headers = vec![("Authorization".to_owned(), "Basic YWxpY2U6d29uZGVy".to_owned())];
    let sent = crate::server::Sent { headers, body: None };
    let reply = crate::server::send(emulator.endpoint(), "GET", "/prpc/Version", &sent).await.unwrap();
    assert_eq!(reply.status, 200);
    std::fs::write(&file, "alice:plain\n").unwrap();
    let error = start(file).start().await.unwrap_err();
    assert_eq!(error.to_string(), "line 1 of the htpasswd file is not a user with a bcrypt hash");
}
