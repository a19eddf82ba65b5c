//! Listing page by page while VMs come and go.

use std::sync::Mutex;

use dstack_vmm_client::api::StatusRequest;
use dstack_vmm_client::client::{Listing, list_all};
use serde_json::json;

use crate::rig::{Server, noting};

/// Answers `Status` from a list that a function changes before each page.
async fn paging<F>(change: F) -> Server
where
    F: Fn(usize, &mut Vec<String>) + Send + Sync + 'static,
{
    let vms = Mutex::new((0, (0..1000).map(|number| format!("vm-{number:04}")).collect::<Vec<_>>()));
    let (server, _) = noting(move |request| {
        let request: StatusRequest = serde_json::from_slice(&request.body).unwrap();
        assert!(request.brief);
        let mut state = vms.lock().unwrap();
        let (number, vms) = &mut *state;
        change(*number, vms);
        *number += 1;
        let begin = ((request.page - 1) * request.page_size) as usize;
        let page: Vec<_> =
            vms.iter().skip(begin).take(request.page_size as usize).map(|id| json!({ "id": id })).collect();
        json!({ "vms": page, "total": vms.len(), "port_mapping_enabled": true })
    })
    .await;
    server
}

async fn ids(server: &Server) -> Vec<String> {
    let vms = list_all(&server.client(), Listing::brief()).await.unwrap();
    vms.into_iter().map(|vm| vm.id).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("vm-{number:04}")).collect()
}

#[tokio::test]
async fn all_pages_in_order() {
    assert_eq!(ids(&paging(|_, _| {}).await).await, numbers(0..1000));
}

#[tokio::test]
async fn a_list_that_ends_with_a_full_page_and_an_empty_one() {
    assert_eq!(ids(&paging(|_, vms| vms.truncate(400)).await).await, numbers(0..400));
    assert_eq!(ids(&paging(|_, vms| vms.clear()).await).await, Vec::<String>::new());
}

#[tokio::test]
async fn vms_that_come_are_listed_once() {
    let server = paging(|number, vms| vms.push(format!("vm-{}", 2000 + number))).await;
    let ids = ids(&server).await;
    assert_eq!(ids[..1000], numbers(0..1000));
    assert!(ids.len() > 1000);
    let unique: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
}

#[tokio::test]
async fn vms_that_go_hide_no_others() {
    // Before each page some that were listed already are removed, so that the rest moves up.
    let server = paging(|number, vms| {
        if number > 0 {
            vms.drain(0..7.min(vms.len()));
        }
    })
    .await;
    assert_eq!(ids(&server).await, numbers(0..1000));
}
