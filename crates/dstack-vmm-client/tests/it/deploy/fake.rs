//! A VMM in memory that can fail, hang or lose replies at any call, and boots an app only when its policy allows the hash.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dstack_vmm_client::api::{
    GetMetaResponse, GuestInfo, ImageInfo, ListContainersResponse, ListGpusResponse, NetworkInformation,
    PublicKeyResponse, RegistryImageInfo, ReloadVmsResponse, ReportDhcpLeaseRequest, ResizeVmRequest,
    StatusRequest, StatusResponse, SvProcessInfo, SystemInfo, UpdateVmRequest, VersionResponse,
    VmConfiguration, VmInfo,
};
use dstack_vmm_client::app_compose::{AppComposeDocument, ComposeHash, KeyProvider};
use dstack_vmm_client::client::{LogRequest, LogStream, VmmApi};
use dstack_vmm_client::deploy::{AllowlistFile, AuthorizeError, Authorizer};
use dstack_vmm_client::env::{EnvPublicKey, v1_digest};
use dstack_vmm_client::ids::AppId;
use dstack_vmm_client::{Error, Result};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, PublicKey, SecretKey};

/// The time of every test, in seconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_800_000_000;
/// The secret that environments are sealed to.
pub(crate) const ENV_SECRET: [u8; 32] = [7; 32];

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never comes to be: whoever waits for it is killed before it happens.
    HangBefore,
    /// It happens, and whoever waits for it is killed before the answer.
    HangAfter,
    /// It happens and the answer is lost.
    LostAfter,
    /// It does not happen, and nobody can tell.
    LostBefore,
    /// The server says no.
    Refused,
}

#[derive(Debug, Default)]
struct Schedule {
    calls: AtomicUsize,
    fault: Mutex<Option<(Trigger, Fault)>>,
    hit: AtomicUsize,
}

#[derive(Clone, Debug)]
enum Trigger {
    Number(usize),
    Method(&'static str),
}

pub(crate) struct FakeVm {
    pub(crate) info: VmInfo,
    /// Looks until it is at the next state.
    boot: u32,
    shutdown: Option<u32>,
    ever_started: bool,
}

pub(crate) struct State {
    pub(crate) vms: Vec<FakeVm>,
    /// How many VMs were ever made.
    pub(crate) made: usize,
    /// Every call that changes something.
    pub(crate) changes: Vec<String>,
}

pub(crate) struct FakeVmm {
    pub(crate) version: &'static str,
    endpoint: String,
    policy: Option<PathBuf>,
    pub(crate) state: Mutex<State>,
    schedule: Schedule,
    /// What an update leaves out without a word.
    pub(crate) drops: Mutex<Option<&'static str>>,
    /// What an update fails at, after it has written the app-compose.
    pub(crate) fails_halfway: Mutex<bool>,
    /// The error that the guest reports instead of coming up.
    pub(crate) boot_error: Mutex<Option<&'static str>>,
}

impl FakeVmm {
    pub(crate) fn new(version: &'static str, policy: Option<PathBuf>) -> Self {
        Self {
            version,
            endpoint: "unix:/run/dstack/vmm.sock".to_owned(),
            policy,
            state: Mutex::new(State { vms: Vec::new(), made: 0, changes: Vec::new() }),
            schedule: Schedule::default(),
            drops: Mutex::default(),
            fails_halfway: Mutex::default(),
            boot_error: Mutex::default(),
        }
    }

    pub(crate) fn at_call(&self, number: usize, fault: Fault) {
        self.schedule.calls.store(0, Ordering::SeqCst);
        *self.schedule.fault.lock().unwrap() = Some((Trigger::Number(number), fault));
    }

    pub(crate) fn at_method(&self, method: &'static str, fault: Fault) {
        *self.schedule.fault.lock().unwrap() = Some((Trigger::Method(method), fault));
    }

    /// Takes the fault away. Returns whether it struck.
    pub(crate) fn heal(&self) -> bool {
        *self.schedule.fault.lock().unwrap() = None;
        self.schedule.hit.swap(0, Ordering::SeqCst) > 0
    }

    pub(crate) fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().changes)
    }

    pub(crate) fn vm(&self) -> VmInfo {
        let state = self.state.lock().unwrap();
        assert_eq!(state.vms.len(), 1, "one VM");
        state.vms[0].info.clone()
    }

    pub(crate) fn edit(&self, change: impl FnOnce(&mut VmInfo)) {
        change(&mut self.state.lock().unwrap().vms[0].info);
    }

    async fn call<T: Send>(
        &self,
        method: &'static str,
        work: impl FnOnce(&mut State) -> Result<T> + Send,
    ) -> Result<T> {
        let number = self.schedule.calls.fetch_add(1, Ordering::SeqCst);
        let fault = {
            let mut planned = self.schedule.fault.lock().unwrap();
            let strikes = match &*planned {
                Some((Trigger::Number(at), _)) => *at == number,
                Some((Trigger::Method(name), _)) => *name == method,
                None => false,
            };
            if strikes { planned.take().map(|(_, fault)| fault) } else { None }
        };
        if fault.is_some() {
            self.schedule.hit.fetch_add(1, Ordering::SeqCst);
        }
        match fault {
            Some(Fault::HangBefore) => return pending().await,
            Some(Fault::LostBefore) => {
                return Err(Error::Timeout {
                    endpoint: self.endpoint.clone(),
                    method,
                    after: Duration::from_secs(30),
                });
            }
            Some(Fault::Refused) => return Err(self.refuse(method, "no")),
            Some(Fault::HangAfter | Fault::LostAfter) | None => {}
        }
        let outcome = work(&mut self.state.lock().unwrap());
        match fault {
            Some(Fault::HangAfter) => pending().await,
            Some(Fault::LostAfter) => Err(Error::Interrupted {
                endpoint: self.endpoint.clone(),
                method,
                source: "connection reset by peer".into(),
            }),
            _ => outcome,
        }
    }

    fn refuse(&self, method: &'static str, message: &str) -> Error {
        Error::Api { endpoint: self.endpoint.clone(), method, status: 400, message: message.to_owned() }
    }

    /// Whether the app may boot: without a KMS always, with one if the policy says so now.
    fn may_boot(&self, info: &VmInfo) -> bool {
        let configuration = info.configuration.as_ref().unwrap();
        let document = AppComposeDocument::from_bytes(configuration.compose_file.as_bytes()).unwrap();
        let Some(policy) =
            self.policy.as_ref().filter(|_| document.fields().key_provider_kind() == KeyProvider::Kms)
        else {
            return true;
        };
        let text = std::fs::read_to_string(policy).unwrap_or_default();
        dstack_vmm_client::deploy::Allowlist::parse(&text)
            .is_ok_and(|list| list.is_allowed(&info.app_id.parse().unwrap(), &document.hash()))
    }

    fn start(&self, vm: &mut FakeVm) {
        if vm.info.status == "running" {
            return;
        }
        vm.info.status = "running".to_owned();
        vm.info.uptime = "1s".to_owned();
        vm.info.boot_progress = "booting".to_owned();
        vm.info.boot_error.clear();
        vm.info.configuration.as_mut().unwrap().stopped = false;
        (vm.boot, vm.shutdown, vm.ever_started) = (2, None, true);
        if !self.may_boot(&vm.info) {
            vm.info.status = "exited".to_owned();
            vm.info.boot_error = "compose hash not allowed".to_owned();
            vm.boot = 0;
        } else if let Some(error) = *self.boot_error.lock().unwrap() {
            vm.info.status = "exited".to_owned();
            vm.info.boot_error = error.to_owned();
            vm.boot = 0;
        }
    }

    /// A look at a VM; time passes with each.
    fn look(vm: &mut FakeVm) {
        if let Some(left) = &mut vm.shutdown {
            *left = left.saturating_sub(1);
            if *left == 0 {
                vm.info.status = "stopped".to_owned();
                vm.shutdown = None;
            }
        }
        if vm.boot > 0 && vm.info.status == "running" {
            vm.boot -= 1;
            if vm.boot == 0 {
                vm.info.boot_progress = "done".to_owned();
            }
        }
    }

    fn find<'s>(&self, state: &'s mut State, method: &'static str, id: &str) -> Result<&'s mut FakeVm> {
        state.vms.iter_mut().find(|vm| vm.info.id == id).ok_or_else(|| self.refuse(method, "vm not found"))
    }

    fn update(&self, state: &mut State, request: &UpdateVmRequest) -> Result<String> {
        let method = "UpdateVm";
        state.changes.push(method.to_owned());
        let dropped = *self.drops.lock().unwrap();
        let keeps = |name: &str| dropped == Some(name);
        let halfway = *self.fails_halfway.lock().unwrap();
        let vm = self.find(state, method, &request.id)?;
        let stopped = matches!(vm.info.status.as_str(), "stopped" | "exited");
        let configuration = vm.info.configuration.as_mut().unwrap();
        if !request.compose_file.is_empty() && !keeps("app-compose") {
            configuration.compose_file = request.compose_file.clone();
        }
        if !request.encrypted_env.is_empty() {
            configuration.encrypted_env = request.encrypted_env.clone();
        }
        if !request.user_config.is_empty() {
            configuration.user_config = request.user_config.clone();
        }
        if halfway {
            return Err(self.refuse(method, "no space left on device"));
        }
        let resized = request.vcpu.is_some() || request.memory.is_some() || request.disk_size.is_some();
        if (resized || request.image.is_some()) && !stopped {
            return Err(self.refuse(method, &format!("vm should be stopped before resize: {}", request.id)));
        }
        if !keeps("vcpu") {
            configuration.vcpu = request.vcpu.unwrap_or(configuration.vcpu);
        }
        configuration.memory = request.memory.unwrap_or(configuration.memory);
        configuration.disk_size = request.disk_size.unwrap_or(configuration.disk_size);
        if let Some(image) = &request.image {
            configuration.image = image.clone();
        }
        if request.update_ports {
            if request.ports.iter().any(|port| port.host_address.is_empty()) {
                return Err(self.refuse(method, "Invalid host address: invalid IP address syntax"));
            }
            configuration.ports = request.ports.clone();
        }
        if request.update_kms_urls {
            configuration.kms_urls = request.kms_urls.clone();
        }
        if request.update_gateway_urls {
            configuration.gateway_urls = request.gateway_urls.clone();
        }
        Ok(String::new())
    }
}

fn not_asked<T>() -> Result<T> {
    panic!("a deployment does not ask this")
}

#[async_trait]
impl VmmApi for FakeVmm {
    fn endpoint(&self) -> &str {
        &self.endpoint
    }

    async fn create_vm(&self, configuration: &VmConfiguration) -> Result<String> {
        self.call("CreateVm", |state| {
            state.changes.push("CreateVm".to_owned());
            state.made += 1;
            let id = format!("vm-{}", state.made);
            let mut configuration = configuration.clone();
            let hash = ComposeHash::of(configuration.compose_file.as_bytes());
            let app_id =
                configuration.app_id.clone().unwrap_or_else(|| AppId::from_compose_hash(&hash).to_string());
            for port in &mut configuration.ports {
                if port.host_address.is_empty() {
                    port.host_address = "127.0.0.1".to_owned();
                }
            }
            configuration.app_id = Some(app_id.clone());
            let mut info = VmInfo::default();
            info.id = id.clone();
            info.name = configuration.name.clone();
            info.status = "stopped".to_owned();
            info.uptime = "never".to_owned();
            info.app_id = app_id;
            let start = !configuration.stopped;
            info.configuration = Some(configuration);
            let mut vm = FakeVm { info, boot: 0, shutdown: None, ever_started: false };
            if start {
                self.start(&mut vm);
            }
            state.vms.push(vm);
            Ok(id)
        })
        .await
    }

    async fn start_vm(&self, id: &str) -> Result<()> {
        self.call("StartVm", |state| {
            state.changes.push("StartVm".to_owned());
            let vm = self.find(state, "StartVm", id)?;
            self.start(vm);
            Ok(())
        })
        .await
    }

    async fn stop_vm(&self, id: &str) -> Result<()> {
        self.call("StopVm", |state| {
            state.changes.push("StopVm".to_owned());
            let version = self.version;
            let vm = self.find(state, "StopVm", id)?;
            vm.info.status = "stopped".to_owned();
            if !vm.ever_started && version.starts_with("0.5") {
                return Err(
                    self.refuse("StopVm", "Failed to stop VM: Server returned error: Process not found")
                );
            }
            Ok(())
        })
        .await
    }

    async fn shutdown_vm(&self, id: &str) -> Result<()> {
        self.call("ShutdownVm", |state| {
            state.changes.push("ShutdownVm".to_owned());
            let vm = self.find(state, "ShutdownVm", id)?;
            vm.info.status = "stopping".to_owned();
            vm.shutdown = Some(2);
            Ok(())
        })
        .await
    }

    async fn remove_vm(&self, id: &str) -> Result<()> {
        self.call("RemoveVm", |state| {
            state.changes.push("RemoveVm".to_owned());
            self.find(state, "RemoveVm", id)?;
            state.vms.retain(|vm| vm.info.id != id);
            Ok(())
        })
        .await
    }

    async fn update_vm(&self, request: &UpdateVmRequest) -> Result<String> {
        self.call("UpdateVm", |state| self.update(state, request)).await
    }

    async fn upgrade_app(&self, _: &UpdateVmRequest) -> Result<String> {
        not_asked()
    }

    async fn resize_vm(&self, _: &ResizeVmRequest) -> Result<()> {
        not_asked()
    }

    async fn compose_hash(&self, _: &VmConfiguration) -> Result<String> {
        not_asked()
    }

    async fn status(&self, request: &StatusRequest) -> Result<StatusResponse> {
        self.call("Status", |state| {
            let mut response = StatusResponse::default();
            response.port_mapping_enabled = true;
            let all = state.vms.iter().map(|vm| &vm.info).filter(|vm| vm.name.contains(&request.keyword));
            let mut vms: Vec<VmInfo> = all.cloned().collect();
            response.total = vms.len() as u32;
            if request.page > 0 && request.page_size > 0 {
                let start = ((request.page - 1) * request.page_size) as usize;
                vms = vms.into_iter().skip(start).take(request.page_size as usize).collect();
            }
            if request.brief {
                vms.iter_mut().for_each(|vm| vm.configuration = None);
            }
            response.vms = vms;
            Ok(response)
        })
        .await
    }

    async fn info(&self, id: &str) -> Result<Option<VmInfo>> {
        self.call("GetInfo", |state| {
            Ok(state.vms.iter_mut().find(|vm| vm.info.id == id).map(|vm| {
                Self::look(vm);
                vm.info.clone()
            }))
        })
        .await
    }

    async fn list_images(&self) -> Result<Vec<ImageInfo>> {
        self.call("ListImages", |_| {
            let image = |name: &str| {
                let mut image = ImageInfo::default();
                image.name = name.to_owned();
                image
            };
            Ok(vec![image("dstack-0.5.10"), image("dstack-0.5.11")])
        })
        .await
    }

    async fn delete_image(&self, _: &str) -> Result<()> {
        not_asked()
    }

    async fn list_registry_images(&self) -> Result<Vec<RegistryImageInfo>> {
        not_asked()
    }

    async fn pull_registry_image(&self, _: &str) -> Result<()> {
        not_asked()
    }

    async fn app_env_encrypt_pub_key(&self, app_id: &[u8]) -> Result<PublicKeyResponse> {
        self.call("GetAppEnvEncryptPubKey", |_| {
            let key = EnvPublicKey::of_secret(&ENV_SECRET);
            let digest = v1_digest(&AppId::try_from(app_id).unwrap(), NOW, &key);
            let secret = SecretKey::from_secret_bytes([1; 32]).unwrap();
            let signature =
                RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret);
            let (id, compact) = signature.serialize_compact();
            let mut response = PublicKeyResponse::default();
            response.public_key = key.as_bytes().to_vec();
            response.timestamp = NOW;
            response.signature_v1 = [&compact[..], &[id.to_u8()]].concat();
            Ok(response)
        })
        .await
    }

    async fn meta(&self) -> Result<GetMetaResponse> {
        self.call("GetMeta", |_| Ok(GetMetaResponse::default())).await
    }

    async fn version(&self) -> Result<VersionResponse> {
        self.call("Version", |_| {
            let mut version = VersionResponse::default();
            version.version = self.version.to_owned();
            Ok(version)
        })
        .await
    }

    async fn list_gpus(&self) -> Result<ListGpusResponse> {
        self.call("ListGpus", |_| Ok(ListGpusResponse::default())).await
    }

    async fn reload_vms(&self) -> Result<ReloadVmsResponse> {
        not_asked()
    }

    async fn sv_list(&self) -> Result<Vec<SvProcessInfo>> {
        not_asked()
    }

    async fn sv_stop(&self, _: &str) -> Result<()> {
        not_asked()
    }

    async fn sv_remove(&self, _: &str) -> Result<()> {
        not_asked()
    }

    async fn report_dhcp_lease(&self, _: &ReportDhcpLeaseRequest) -> Result<()> {
        not_asked()
    }

    async fn guest_info(&self, _: &str) -> Result<GuestInfo> {
        not_asked()
    }

    async fn guest_sys_info(&self, _: &str) -> Result<SystemInfo> {
        not_asked()
    }

    async fn guest_network_info(&self, _: &str) -> Result<NetworkInformation> {
        not_asked()
    }

    async fn guest_list_containers(&self, _: &str) -> Result<ListContainersResponse> {
        not_asked()
    }

    async fn guest_shutdown(&self, _: &str) -> Result<()> {
        not_asked()
    }

    fn logs(&self, _: LogRequest) -> LogStream {
        panic!("a deployment does not ask this")
    }
}

/// The public key of the KMS that signs env keys here.
pub(crate) fn kms_signer() -> String {
    let secret = SecretKey::from_secret_bytes([1; 32]).unwrap();
    hex::encode(PublicKey::from_secret_key(&secret).serialize())
}

/// An allow-list whose calls count, and fail, like those of the VMM they belong to.
pub(crate) struct CountedPolicy<'a> {
    pub(crate) file: AllowlistFile,
    pub(crate) vmm: &'a FakeVmm,
}

#[async_trait]
impl Authorizer for CountedPolicy<'_> {
    fn describe(&self) -> String {
        "allow-list".to_owned()
    }

    async fn is_allowed(
        &self,
        app_id: &AppId,
        hash: &ComposeHash,
    ) -> std::result::Result<bool, AuthorizeError> {
        self.step("is_allowed").await?;
        self.file.is_allowed(app_id, hash).await
    }

    async fn allow(&self, app_id: &AppId, hash: &ComposeHash) -> std::result::Result<bool, AuthorizeError> {
        self.step("allow-before").await?;
        let outcome = self.file.allow(app_id, hash).await;
        self.step("allow-after").await?;
        outcome
    }

    async fn revoke(&self, app_id: &AppId, hash: &ComposeHash) -> std::result::Result<bool, AuthorizeError> {
        self.step("revoke-before").await?;
        let outcome = self.file.revoke(app_id, hash).await;
        self.step("revoke-after").await?;
        outcome
    }
}

impl CountedPolicy<'_> {
    async fn step(&self, name: &'static str) -> std::result::Result<(), AuthorizeError> {
        let done = self.vmm.call(name, |_| Ok(())).await;
        done.map_err(|error| AuthorizeError::Other { what: error.to_string(), source: None })
    }
}
