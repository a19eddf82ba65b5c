//! Listing VMs page by page.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream;

use super::api_trait::VmmApi;
use crate::api::{StatusRequest, StatusResponse, VmInfo};
use crate::error::Result;

/// How many VMs a page has unless asked otherwise.
const PAGE_SIZE: u32 = 200;

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Only VMs whose name, id, app id or image contains this text; case counts. Empty for all.
    pub keyword: String,
    /// Leave out the configurations: a tenth of the bytes.
    pub brief: bool,
    /// VMs a page. 200.
    pub page_size: u32,
}

impl Default for Listing {
    fn default() -> Self {
        Self { keyword: String::new(), brief: false, page_size: PAGE_SIZE }
    }
}

impl Listing {
    /// All VMs without their configurations.
    pub fn brief() -> Self {
        Self { brief: true, ..Self::default() }
    }

    /// Only VMs that contain the keyword.
    #[must_use]
    pub fn keyword(mut self, keyword: impl Into<String>) -> Self {
        self.keyword = keyword.into();
        self
    }

    fn page(&self, page: u32) -> StatusRequest {
        StatusRequest {
            ids: Vec::new(),
            brief: self.brief,
            keyword: self.keyword.clone(),
            page,
            page_size: self.page_size.max(1),
        }
    }
}

/// Lists VMs page by page, oldest first, each once.
///
/// One page is held at a time, and 8 bytes for each VM seen. VMs may come and go meanwhile: new ones stand at the end of
/// the list and are met there. When one before the current page is removed, the others move up by one and the next page
/// would begin too late; the stream sees that the total shrank and reads the page before again. What it cannot see is one
/// removed and one made between the same two pages, which leaves the total as it was.
pub fn list<'a>(vmm: &'a dyn VmmApi, listing: Listing) -> impl Stream<Item = Result<VmInfo>> + Send + 'a {
    let state = Pages {
        vmm,
        listing,
        next_page: 1,
        total: 0,
        ready: VecDeque::new(),
        seen: HashSet::new(),
        hasher: RandomState::new(),
        done: false,
    };
    stream::unfold(state, |mut state| async move {
        loop {
            if let Some(vm) = state.ready.pop_front() {
                return Some((Ok(vm), state));
            }
            if state.done {
                return None;
            }
            if let Err(error) = state.advance().await {
                state.done = true;
                return Some((Err(error), state));
            }
        }
    })
}

/// Lists VMs page by page and keeps them all.
///
/// # Errors
/// The first error of a page.
pub async fn list_all(vmm: &dyn VmmApi, listing: Listing) -> Result<Vec<VmInfo>> {
    let mut pages = std::pin::pin!(list(vmm, listing));
    let mut all = Vec::new();
    while let Some(vm) = pages.next().await {
        all.push(vm?);
    }
    Ok(all)
}

struct Pages<'a> {
    vmm: &'a dyn VmmApi,
    listing: Listing,
    next_page: u32,
    /// As of the last page read.
    total: u32,
    ready: VecDeque<VmInfo>,
    /// Hashes of ids, keyed with random numbers of this process, so that two ids do not meet by intent.
    seen: HashSet<u64>,
    hasher: RandomState,
    done: bool,
}

impl Pages<'_> {
    async fn advance(&mut self) -> Result<()> {
        let page = self.vmm.status(&self.listing.page(self.next_page)).await?;
        let shrank = self.next_page > 1 && page.total < self.total;
        self.total = page.total;
        if shrank {
            // What moved up into the page before comes first, to keep the order.
            let before = self.vmm.status(&self.listing.page(self.next_page - 1)).await?;
            if before.total < self.total {
                // It goes on shrinking: start again from that page the next time.
                self.total = before.total;
                self.take(before);
                return Ok(());
            }
            self.take(before);
        }
        let read = page.vms.len();
        self.take(page);
        self.done = read < self.listing.page_size.max(1) as usize;
        self.next_page += 1;
        Ok(())
    }

    fn take(&mut self, page: StatusResponse) {
        for vm in page.vms {
            if self.seen.insert(self.hasher.hash_one(vm.id.as_bytes())) {
                self.ready.push_back(vm);
            }
        }
    }
}
