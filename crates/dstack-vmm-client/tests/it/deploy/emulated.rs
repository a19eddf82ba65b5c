//! Deployments through the real client against the emulator, over a unix socket.

use std::sync::Arc;
use std::time::Duration;

use dstack_emulator::{BootProfile, Emulator, Fault};
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::client::{Client, Credentials, VmmApi};
use dstack_vmm_client::deploy::plan::PlanKind;
use dstack_vmm_client::deploy::rollback::rollback;
use dstack_vmm_client::deploy::{
    AllowlistFile, Applied, Authorizer, DeployError, DeployOptions, Deployment, Desired, DesiredEnv, Project,
    ProjectFiles, Store, VersionRef,
};
use dstack_vmm_client::env::open;
use dstack_vmm_client::ids::AppId;
use dstack_vmm_client::{DstackVersion, Error};

struct Host {
    emulator: Emulator,
    client: Client,
    store: Store,
    policy: AllowlistFile,
    options: DeployOptions,
    _dir: tempfile::TempDir,
}

async fn host(version: DstackVersion) -> Host {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::builder()
        .version(version)
        .token("token of the test")
        .configure(|settings| settings.port_mapping_enabled = true)
        .boot(BootProfile::new().step_time(Duration::from_millis(2)))
        .listen_unix(dir.path().join("vmm.sock"))
        .start()
        .await
        .unwrap();
    let endpoint = emulator.endpoint().parse().unwrap();
    let client =
        Client::builder(endpoint).credentials(Credentials::bearer("token of the test")).build().unwrap();
    let mut options = DeployOptions::default();
    options.wait_options.shortest_pause = Duration::from_millis(5);
    options.wait_options.timeout = Duration::from_secs(30);
    options.shutdown_grace = Duration::from_secs(10);
    options.look_up = Duration::from_secs(2);
    Host {
        emulator,
        client,
        store: Store::new(dir.path().join(".dstack")),
        policy: AllowlistFile::new(dir.path().join("allow.json")),
        options,
        _dir: dir,
    }
}

impl Host {
    async fn deploy(&self, desired: &Desired) -> Result<Applied, DeployError> {
        let deployment =
            Deployment::new("local", &self.client, &self.store, &self.options).authorizer(&self.policy);
        let plan = deployment.plan(desired).await?;
        let lock = self.store.lock()?;
        deployment.apply(&lock, desired, &plan, &|_| {}).await
    }

    async fn vm(&self, id: &str) -> VmInfo {
        self.client.info(id).await.unwrap().unwrap()
    }

    fn app(&self, version: u32) -> Desired {
        let signer = hex::encode(self.emulator.kms().k256_pubkey());
        let ports = if version == 1 { "\"tcp:8080:80\"" } else { "\"tcp:8080:80\", \"tcp:[::1]:8443:443\"" };
        let text = format!(
            "schema = 1\nname = \"web\"\nimage = \"dstack-0.5.11\"\ncompose = \"c.yaml\"\nvcpu = {version}\nmemory = \"{version}G\"\nports = [{ports}]\nuser_config = \"user.json\"\n[env]\nfile = \".env\"\n[kms]\nsigners = [\"{signer}\"]\nurls = [\"https://kms.example.com:9201\"]\n",
        );
        let mut files = ProjectFiles::new();
        files.insert("c.yaml", format!("services:\n  web:\n    image: nginx:1.{version}\n"));
        files.insert("user.json", format!("{{\"version\": {version}}}"));
        files.insert(".env", format!("TOKEN='secret {version}'\n"));
        Project::parse(&text).unwrap().resolve(&files).unwrap()
    }

    async fn assert_runs(&self, desired: &Desired, id: &str) {
        let vm = self.vm(id).await;
        let configuration = vm.configuration.as_ref().unwrap();
        assert_eq!(configuration.compose_file, desired.compose_text());
        assert_eq!((configuration.vcpu, configuration.memory), (desired.vcpu, desired.memory_mib));
        assert_eq!(Some(&configuration.user_config), desired.user_config.as_ref());
        assert_eq!(configuration.ports.len(), desired.ports.len());
        assert_eq!(vm.status, "running");
        // A second StartVm, after a lost reply to the first, makes the VMM forget how far the boot was.
        assert!(["done", "running"].contains(&vm.boot_progress.as_str()), "{}", vm.boot_progress);
        let app_id: AppId = vm.app_id.parse().unwrap();
        let secret = self.emulator.kms().env_secret(app_id.as_bytes()).unwrap();
        let DesiredEnv::Set(env) = &desired.env else { panic!("an environment") };
        assert_eq!(&open(&secret, &configuration.encrypted_env).unwrap(), env);
        assert!(self.policy.is_allowed(&app_id, &desired.hash()).await.unwrap());
        assert_eq!(self.deploy(desired).await.unwrap().kind, PlanKind::Nothing);
    }
}

async fn life_of_an_app(version: DstackVersion) {
    let host = host(version).await;
    let (first, second) = (host.app(1), host.app(2));
    let made = host.deploy(&first).await.unwrap();
    assert_eq!((made.kind, made.booted), (PlanKind::Create, Some(true)));
    host.assert_runs(&first, &made.vm_id).await;

    let changed = host.deploy(&second).await.unwrap();
    assert_eq!((changed.kind, &changed.vm_id), (PlanKind::Update, &made.vm_id));
    assert_eq!(changed.revoked, [first.hash()]);
    host.assert_runs(&second, &made.vm_id).await;

    let history = host.store.history().unwrap();
    let entry = history.find("local", &VersionRef::Previous).unwrap();
    let now = host.vm(&made.vm_id).await.configuration;
    let back = rollback(entry, host.store.compose(entry).unwrap(), now.as_ref(), Some(false), 0).unwrap();
    let gone_back = host.deploy(&back.desired).await.unwrap();
    assert_eq!((gone_back.hash, gone_back.booted), (first.hash(), Some(true)));
    let configuration = host.vm(&made.vm_id).await.configuration.unwrap();
    assert_eq!((configuration.compose_file.as_str(), configuration.vcpu), (first.compose_text(), 1));

    let deployment =
        Deployment::new("local", &host.client, &host.store, &host.options).authorizer(&host.policy);
    let lock = host.store.lock().unwrap();
    assert_eq!(deployment.remove(&lock, &made.vm_id, &|_| {}).await.unwrap(), [first.hash()]);
    assert!(host.client.info(&made.vm_id).await.unwrap().is_none());
}

#[tokio::test]
async fn life_of_an_app_on_0_5() {
    life_of_an_app(DstackVersion::V0_5).await;
}

#[tokio::test]
async fn life_of_an_app_on_next() {
    life_of_an_app(DstackVersion::Next).await;
}

#[tokio::test]
async fn a_dropped_reply_to_create_vm_makes_one_vm() {
    for version in DstackVersion::ALL {
        let host = host(version).await;
        host.emulator.faults().once("CreateVm", Fault::DropAfter);
        let made = host.deploy(&host.app(1)).await.unwrap();
        host.assert_runs(&host.app(1), &made.vm_id).await;
        assert_eq!(host.client.status(&Default::default()).await.unwrap().total, 1);
    }
}

#[tokio::test]
async fn dropped_replies_to_everything_else() {
    let host = host(DstackVersion::V0_5).await;
    host.deploy(&host.app(1)).await.unwrap();
    for method in ["ShutdownVm", "UpdateVm", "StartVm"] {
        host.emulator.faults().once(method, Fault::DropAfter);
    }
    let second = host.app(2);
    if let Err(error) = host.deploy(&second).await {
        assert!(matches!(&error, DeployError::Vmm { source: Error::Interrupted { .. }, .. }), "{error:?}");
        host.deploy(&second).await.unwrap();
    }
    let id = host.store.history().unwrap().current("local").unwrap().vm_id.clone();
    host.assert_runs(&second, &id).await;
}

#[tokio::test]
async fn a_guest_that_does_not_come_up() {
    let host = host(DstackVersion::Next).await;
    host.emulator.set_boot(
        BootProfile::fails_at("starting containers", "failed to start containers")
            .step_time(Duration::from_millis(2)),
    );
    let mut options = host.options.clone();
    options.wait_options.error_grace = Duration::from_millis(50);
    let host = Host { options, ..host };
    let error = host.deploy(&host.app(1)).await.unwrap_err();
    assert!(matches!(error, DeployError::Wait { .. }), "{error:?}");
    assert!(host.store.journal("local").unwrap().is_some());
    // Repaired: the same VM goes on with the new version.
    host.emulator.set_boot(BootProfile::new().step_time(Duration::from_millis(2)));
    let applied = host.deploy(&host.app(2)).await.unwrap();
    host.assert_runs(&host.app(2), &applied.vm_id).await;
    assert_eq!(host.client.status(&Default::default()).await.unwrap().total, 1);
}

#[tokio::test]
async fn what_a_plan_sees_of_other_vms() {
    let host = host(DstackVersion::V0_5).await;
    host.deploy(&host.app(1)).await.unwrap();
    let text = "schema = 1\nname = \"other\"\nimage = \"dstack-9.9.9\"\ncompose = \"c.yaml\"\nports = [\"tcp:8080:80\"]\n";
    let mut files = ProjectFiles::new();
    files.insert("c.yaml", "services: {}\n");
    let other = Project::parse(text).unwrap().resolve(&files).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let store = Store::new(elsewhere.path());
    let vmm: Arc<dyn VmmApi> = Arc::new(host.client.clone());
    let plan = Deployment::new("local", vmm.as_ref(), &store, &host.options).plan(&other).await.unwrap();
    let ids: Vec<&str> = plan.conflicts().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["deploy.image", "deploy.port-free"]);
    // Looking leaves no trace.
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
