//! Several hosts at once.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use super::apply::{Applied, DeployOptions, Deployment, Event};
use super::authorize::Authorizer;
use super::error::DeployError;
use super::plan::Plan;
use super::resolve::Desired;
use super::store::{LockedStore, Store};
use crate::client::VmmApi;

/// One host of a fleet.
#[derive(Clone)]
#[non_exhaustive]
pub struct FleetHost {
    /// Its name.
    pub name: String,
    /// Its VMM.
    pub vmm: Arc<dyn VmmApi>,
    /// How to deploy there.
    pub options: DeployOptions,
}

impl FleetHost {
    /// A host with the usual options.
    pub fn new(name: impl Into<String>, vmm: Arc<dyn VmmApi>) -> Self {
        Self { name: name.into(), vmm, options: DeployOptions::default() }
    }
}

/// What came of one host. The others do not depend on it.
#[derive(Debug)]
#[non_exhaustive]
pub struct HostOutcome<T> {
    /// Name of the host.
    pub host: String,
    /// What came of it.
    pub outcome: Result<T, DeployError>,
}

/// How many hosts are worked on at the same time unless said otherwise.
pub const CONCURRENT_HOSTS: usize = 8;

/// An app on several hosts. Answers come in the order of the hosts, whichever is done first.
#[derive(Clone)]
pub struct Fleet<'a> {
    hosts: &'a [FleetHost],
    store: &'a Store,
    authorizer: Option<&'a dyn Authorizer>,
    concurrent: usize,
}

impl<'a> Fleet<'a> {
    /// The app whose versions are kept in `store`, on these hosts.
    pub fn new(hosts: &'a [FleetHost], store: &'a Store) -> Self {
        Self { hosts, store, authorizer: None, concurrent: CONCURRENT_HOSTS }
    }

    /// Gives it the policy to keep in step.
    #[must_use]
    pub fn authorizer(mut self, authorizer: &'a dyn Authorizer) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// How many hosts to work on at the same time; one for a change that goes host by host.
    #[must_use]
    pub fn concurrent(mut self, hosts: usize) -> Self {
        self.concurrent = hosts.max(1);
        self
    }

    fn deployment(&self, host: &'a FleetHost) -> Deployment<'a> {
        let deployment = Deployment::new(&host.name, host.vmm.as_ref(), self.store, &host.options);
        match self.authorizer {
            Some(authorizer) => deployment.authorizer(authorizer),
            None => deployment,
        }
    }

    /// Plans for every host.
    pub async fn plan(&self, desired: &Desired) -> Vec<HostOutcome<Plan>> {
        let one = |host: &'a FleetHost| async move {
            HostOutcome { host: host.name.clone(), outcome: self.deployment(host).plan(desired).await }
        };
        stream::iter(self.hosts).map(one).buffered(self.concurrent).collect().await
    }

    /// Applies one plan a host. A host without a plan among `plans` is left alone.
    pub async fn apply(
        &self,
        lock: &LockedStore,
        desired: &Desired,
        plans: &[Plan],
        on_event: &(dyn Fn(&str, &Event) + Send + Sync),
    ) -> Vec<HostOutcome<Applied>> {
        let planned = self.hosts.iter().filter_map(|host| {
            let plan = plans.iter().find(|plan| plan.host == host.name)?;
            Some((host, plan))
        });
        let one = |(host, plan): (&'a FleetHost, &Plan)| {
            let plan = plan.clone();
            async move {
                let on_event = |event: &Event| on_event(&host.name, event);
                let outcome = self.deployment(host).apply(lock, desired, &plan, &on_event).await;
                HostOutcome { host: host.name.clone(), outcome }
            }
        };
        stream::iter(planned).map(one).buffered(self.concurrent).collect().await
    }
}
