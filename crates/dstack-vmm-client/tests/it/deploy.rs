//! Deployments against a VMM in memory that fails wherever it can.

mod emulated;
mod fake;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dstack_check::Hinted;
use dstack_vmm_client::app_compose::ComposeHash;
use dstack_vmm_client::deploy::plan::PlanKind;
use dstack_vmm_client::deploy::rollback::rollback;
use dstack_vmm_client::deploy::store::Store;
use dstack_vmm_client::deploy::{
    Allowlist, AllowlistFile, Applied, DeployError, DeployOptions, Deployment, Desired, Event, Fleet,
    FleetHost, LockedStore, Plan, Project, ProjectFiles, VersionRef, VmChoice,
};
use dstack_vmm_client::env::open;

use fake::{CountedPolicy, ENV_SECRET, FakeVmm, Fault, NOW, kms_signer};

/// A directory with a project, an allow-list and a VMM.
struct Rig {
    dir: tempfile::TempDir,
    vmm: FakeVmm,
    store: Store,
    options: DeployOptions,
}

impl Rig {
    fn new(version: &'static str) -> Self {
        // Every step is written down to the disk; hundreds of runs of it are quicker where there is none.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let policy = dir.path().join("allow.json");
        let mut options = DeployOptions::default();
        options.now = Arc::new(|| NOW);
        options.look_up = Duration::from_secs(2);
        Self {
            vmm: FakeVmm::new(version, Some(policy)),
            store: Store::new(dir.path().join(".dstack")),
            options,
            dir,
        }
    }

    fn policy_path(&self) -> PathBuf {
        self.dir.path().join("allow.json")
    }

    fn policy(&self) -> CountedPolicy<'_> {
        CountedPolicy { file: AllowlistFile::new(self.policy_path()), vmm: &self.vmm }
    }

    /// Hashes that the policy allows for the app, shortened.
    fn allowed(&self, app_id: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.policy_path()).unwrap_or_else(|_| "{}".to_owned());
        let list = Allowlist::parse(&text).unwrap();
        list.hashes_of(&app_id.parse().unwrap()).iter().map(|hash| hash.short()).collect()
    }

    async fn plan(&self, desired: &Desired) -> Plan {
        let policy = self.policy();
        let deployment = Deployment::new("tdx1", &self.vmm, &self.store, &self.options).authorizer(&policy);
        deployment.plan(desired).await.unwrap()
    }

    async fn deploy(&self, desired: &Desired) -> Result<Applied, DeployError> {
        self.deploy_with(desired, &|_| {}).await
    }

    async fn deploy_with(
        &self,
        desired: &Desired,
        on_event: &(dyn Fn(&Event) + Send + Sync),
    ) -> Result<Applied, DeployError> {
        let policy = self.policy();
        let deployment = Deployment::new("tdx1", &self.vmm, &self.store, &self.options).authorizer(&policy);
        let plan = deployment.plan(desired).await?;
        let lock: LockedStore = self.store.lock()?;
        deployment.apply(&lock, desired, &plan, on_event).await
    }

    /// Runs until it is done or hangs. Whoever hangs is killed.
    async fn deploy_or_die(&self, desired: &Desired) -> Option<Result<Applied, DeployError>> {
        tokio::time::timeout(Duration::from_secs(24 * 3600), self.deploy(desired)).await.ok()
    }
}

/// The app in a first and in a second version: Compose file, CPUs, ports, environment and user config differ.
fn app(version: u32) -> Desired {
    let ports = if version == 1 { "\"tcp:8080:80\"" } else { "\"tcp:8080:80\", \"udp:[::1]:9000:9000\"" };
    let text = format!(
        "schema = 1\nname = \"web\"\nimage = \"dstack-0.5.{}\"\ncompose = \"docker-compose.yaml\"\nvcpu = {}\nports = [{ports}]\nuser_config = \"user.json\"\n[env]\nfile = \".env\"\n[kms]\nsigners = [\"{}\"]\n",
        9 + version,
        1 + version,
        kms_signer(),
    );
    let mut files = ProjectFiles::new();
    files.insert("docker-compose.yaml", format!("services:\n  web:\n    image: nginx:1.{version}\n"));
    files.insert("user.json", format!("{{\"version\": {version}}}"));
    let more = if version == 1 { "" } else { "EXTRA=1\n" };
    files.insert(".env", format!("TOKEN=secret-{version}\n{more}"));
    Project::parse(&text).unwrap().resolve(&files).unwrap()
}

/// Without KMS and environment.
fn plain(lines: &str) -> Desired {
    let text =
        format!("schema = 1\nname = \"web\"\nimage = \"dstack-0.5.11\"\ncompose = \"c.yaml\"\n{lines}\n");
    let mut files = ProjectFiles::new();
    files.insert("c.yaml", "services: {}\n");
    Project::parse(&text).unwrap().resolve(&files).unwrap()
}

/// One VM, exactly as wanted and up; the policy allows its hash and nothing else; nothing is left to do.
async fn assert_settled(rig: &Rig, desired: &Desired, context: &str) {
    let vm = rig.vmm.vm();
    let configuration = vm.configuration.as_ref().unwrap();
    assert_eq!(configuration.compose_file, desired.compose_text(), "{context}");
    assert_eq!((configuration.vcpu, &configuration.image), (desired.vcpu, &desired.image), "{context}");
    assert_eq!(configuration.ports.len(), desired.ports.len(), "{context}");
    assert_eq!(Some(&configuration.user_config), desired.user_config.as_ref(), "{context}");
    let dstack_vmm_client::deploy::DesiredEnv::Set(env) = &desired.env else { panic!("an environment") };
    assert_eq!(&open(&ENV_SECRET, &configuration.encrypted_env).unwrap(), env, "{context}");
    assert_eq!((vm.status.as_str(), vm.boot_error.as_str()), ("running", ""), "{context}");
    assert_eq!(rig.vmm.state.lock().unwrap().made, 1, "{context}");
    assert_eq!(rig.allowed(&vm.app_id), [desired.hash().short()], "{context}");
    assert_eq!(rig.store.journal("tdx1").unwrap(), None, "{context}");
    let history = rig.store.history().unwrap();
    assert_eq!(history.current("tdx1").unwrap().hash, desired.hash(), "{context}");
    assert!(history.damaged.is_empty(), "{context}");

    rig.vmm.changes();
    let again = rig.deploy(desired).await.unwrap();
    assert_eq!(again.kind, PlanKind::Nothing, "{context}: {}", rig.plan(desired).await);
    assert!(rig.vmm.changes().is_empty(), "{context}");
    assert_eq!(rig.store.history().unwrap(), history, "{context}");
}

#[tokio::test(start_paused = true)]
async fn a_first_deployment_and_an_update_of_everything() {
    for version in ["0.5.11", "0.6.0"] {
        let rig = Rig::new(version);
        let first = app(1);
        let events = Mutex::new(Vec::new());
        let note = |event: &Event| events.lock().unwrap().push(serde_json::to_string(event).unwrap());
        let made = rig.deploy_with(&first, &note).await.unwrap();
        assert_eq!((made.kind, made.booted), (PlanKind::Create, Some(true)));
        assert_settled(&rig, &first, version).await;

        rig.vmm.changes();
        let second = app(2);
        let updated = rig.deploy_with(&second, &note).await.unwrap();
        assert_eq!(rig.vmm.changes(), ["ShutdownVm", "UpdateVm", "StartVm"]);
        assert_eq!(updated.revoked, [first.hash()]);
        assert_settled(&rig, &second, version).await;
        insta::assert_snapshot!("events", events.into_inner().unwrap().join("\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_anywhere_is_finished_by_the_next() {
    let (first, second) = (app(1), app(2));
    let mut struck = 0;
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        for update in [false, true] {
            for call in 0.. {
                let rig = Rig::new("0.5.11");
                if update {
                    rig.deploy(&first).await.unwrap();
                }
                let wanted = if update { &second } else { &first };
                let context = format!(
                    "{fault:?} at call {call} of {}",
                    if update { "an update" } else { "a creation" }
                );
                rig.vmm.at_call(call, fault);
                let outcome = rig.deploy_or_die(wanted).await;
                if !rig.vmm.heal() {
                    outcome.unwrap().unwrap();
                    break;
                }
                if let Some(finished) = outcome {
                    // A guest that hangs is stopped by force, and the run goes on.
                    finished.unwrap_or_else(|error| panic!("{context}: {error}"));
                }
                struck += 1;
                rig.deploy(wanted).await.unwrap_or_else(|error| panic!("{context}: {error} ({error:?})"));
                assert_settled(&rig, wanted, &context).await;
            }
        }
    }
    assert!(struck > 60, "only {struck} places");
}

#[tokio::test(start_paused = true)]
async fn after_a_kill_another_version_may_be_wanted() {
    let (first, second) = (app(1), app(2));
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        for call in 0.. {
            let rig = Rig::new("0.6.0");
            let context = format!("{fault:?} at call {call}");
            rig.vmm.at_call(call, fault);
            let outcome = rig.deploy_or_die(&first).await;
            if !rig.vmm.heal() {
                outcome.unwrap().unwrap();
                break;
            }
            rig.deploy(&second).await.unwrap_or_else(|error| panic!("{context}: {error} ({error:?})"));
            assert_settled(&rig, &second, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_anywhere_leaves_nothing_stale() {
    let (first, second) = (app(1), app(2));
    for update in [false, true] {
        for call in 0.. {
            let rig = Rig::new("0.5.11");
            if update {
                rig.deploy(&first).await.unwrap();
            }
            let wanted = if update { &second } else { &first };
            let context = format!("refused at call {call}, update: {update}");
            rig.vmm.at_call(call, Fault::Refused);
            let outcome = rig.deploy(wanted).await;
            if !rig.vmm.heal() {
                outcome.unwrap();
                break;
            }
            // Some calls may fail without harm: a guest that cannot be asked is stopped by force.
            if outcome.is_err() {
                let made = !rig.vmm.state.lock().unwrap().vms.is_empty();
                if !made {
                    let revoke_failed = rig.store.allowed().unwrap().values().flatten().count() > 0;
                    let app_id = wanted.new_app_id().to_string();
                    let allowed = rig.allowed(&app_id);
                    assert!(allowed.is_empty() || revoke_failed, "{context}: {allowed:?}");
                } else if update && rig.store.journal("tdx1").unwrap().is_none() {
                    // Everything was put back.
                    assert_eq!(rig.vmm.vm().status, "running", "{context}");
                }
            }
            rig.deploy(wanted).await.unwrap_or_else(|error| panic!("{context}: {error} ({error:?})"));
            assert_settled(&rig, wanted, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_replies_anywhere() {
    let (first, second) = (app(1), app(2));
    for fault in [Fault::LostAfter, Fault::LostBefore] {
        for update in [false, true] {
            for call in 0.. {
                let rig = Rig::new("0.6.0");
                if update {
                    rig.deploy(&first).await.unwrap();
                }
                let wanted = if update { &second } else { &first };
                let context = format!("{fault:?} at call {call}, update: {update}");
                rig.vmm.at_call(call, fault);
                let outcome = rig.deploy(wanted).await;
                if !rig.vmm.heal() {
                    outcome.unwrap();
                    break;
                }
                if outcome.is_err() {
                    rig.deploy(wanted).await.unwrap_or_else(|error| panic!("{context}: {error} ({error:?})"));
                }
                assert_settled(&rig, wanted, &context).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_create_vm_is_looked_up_at_once() {
    let rig = Rig::new("0.5.11");
    rig.vmm.at_method("CreateVm", Fault::LostAfter);
    let made = rig.deploy(&app(1)).await.unwrap();
    assert_eq!(made.vm_id, "vm-1");
    assert_settled(&rig, &app(1), "lost reply").await;

    // Nothing was made: the error says so, and what was allowed for it is not allowed any more.
    let rig = Rig::new("0.5.11");
    rig.vmm.at_method("CreateVm", Fault::LostBefore);
    let error = rig.deploy(&app(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot make the VM");
    assert!(rig.allowed(&app(1).new_app_id().to_string()).is_empty());
    assert!(rig.store.journal("tdx1").unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refused_creation_is_undone() {
    let rig = Rig::new("0.5.11");
    std::fs::write(rig.policy_path(), "{\n  \"osImages\": []\n}\n").unwrap();
    rig.vmm.at_method("CreateVm", Fault::Refused);
    let error = rig.deploy(&app(1)).await.unwrap_err();
    assert!(!error.is_conflict());
    assert_eq!(
        std::fs::read_to_string(rig.policy_path()).unwrap(),
        "{\n  \"osImages\": [],\n  \"apps\": {}\n}\n"
    );
    assert_eq!(rig.store.journal("tdx1").unwrap(), None);
    assert!(rig.store.history().unwrap().entries.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_no_longer_fits_is_refused() {
    let rig = Rig::new("0.5.11");
    rig.deploy(&app(1)).await.unwrap();
    let plan = rig.plan(&app(2)).await;
    rig.vmm.edit(|vm| vm.configuration.as_mut().unwrap().memory = 4096);
    rig.vmm.changes();
    let policy = rig.policy();
    let deployment = Deployment::new("tdx1", &rig.vmm, &rig.store, &rig.options).authorizer(&policy);
    let lock = rig.store.lock().unwrap();
    let error = deployment.apply(&lock, &app(2), &plan, &|_| {}).await.unwrap_err();
    assert!(error.is_conflict(), "{error:?}");
    assert_eq!(error.to_string(), "the plan no longer fits what runs on tdx1");
    assert!(rig.vmm.changes().is_empty());

    // So is a second run at the same time, before it does anything.
    assert!(matches!(rig.store.lock(), Err(error) if error.to_string().contains("another run")));
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_way_is_not_applied() {
    let rig = Rig::new("0.5.11");
    rig.deploy(&plain("disk = \"40G\"")).await.unwrap();
    rig.vmm.changes();
    let error = rig.deploy(&plain("disk = \"10G\"")).await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(error.to_string(), "the disk has 40 GiB");
    assert_eq!(error.hint().unwrap().as_str(), "set disk = \"40G\", or make a new VM");
    assert!(rig.vmm.changes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_edit_is_an_error_that_names_it() {
    for (dropped, named) in [("app-compose", "app-compose"), ("vcpu", "vcpu")] {
        let rig = Rig::new("0.5.11");
        rig.deploy(&app(1)).await.unwrap();
        *rig.vmm.drops.lock().unwrap() = Some(dropped);
        let error = rig.deploy(&app(2)).await.unwrap_err();
        assert!(matches!(&error, DeployError::Dropped { fields, .. } if fields == &[named]), "{error:?}");
        // Once the VMM does as it is told, the next run finishes it.
        *rig.vmm.drops.lock().unwrap() = None;
        rig.deploy(&app(2)).await.unwrap();
        assert_settled(&rig, &app(2), dropped).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_fails_halfway_says_what_was_done() {
    let rig = Rig::new("0.6.0");
    rig.deploy(&app(1)).await.unwrap();
    *rig.vmm.fails_halfway.lock().unwrap() = true;
    let error = rig.deploy(&app(2)).await.unwrap_err();
    insta::assert_snapshot!(error.to_string());
    // The VM would boot the new app-compose now, so that it must stay allowed.
    assert!(rig.allowed(&rig.vmm.vm().app_id).contains(&app(2).hash().short()));
    *rig.vmm.fails_halfway.lock().unwrap() = false;
    rig.deploy(&app(2)).await.unwrap();
    assert_settled(&rig, &app(2), "halfway").await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_does_not_come_up_can_be_rolled_back() {
    let rig = Rig::new("0.5.11");
    rig.deploy(&app(1)).await.unwrap();
    *rig.vmm.boot_error.lock().unwrap() = Some("failed to start containers");
    let error = rig.deploy(&app(2)).await.unwrap_err();
    assert!(matches!(&error, DeployError::Wait { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the change of VM vm-1 was made, but it is not up");
    // The old hash stays allowed as long as the new one is not known to work.
    assert_eq!(rig.allowed(&rig.vmm.vm().app_id).len(), 2);

    *rig.vmm.boot_error.lock().unwrap() = None;
    let history = rig.store.history().unwrap();
    // What failed was not recorded.
    let now = rig.vmm.vm().configuration;
    let runs = ComposeHash::of(now.as_ref().unwrap().compose_file.as_bytes());
    let entry = history.previous("tdx1", Some(runs)).unwrap();
    let bytes = rig.store.compose(entry).unwrap();
    let back = rollback(entry, bytes, now.as_ref(), Some(true), 0).unwrap();
    let applied = rig.deploy(&back.desired).await.unwrap();
    assert_eq!((applied.hash, applied.booted), (app(1).hash(), Some(true)));
    let vm = rig.vmm.vm();
    assert_eq!(rig.allowed(&vm.app_id), [app(1).hash().short()]);
    assert_eq!(vm.configuration.unwrap().image, "dstack-0.5.10");
}

#[tokio::test(start_paused = true)]
async fn back_and_forth() {
    let rig = Rig::new("0.6.0");
    rig.deploy(&app(1)).await.unwrap();
    rig.deploy(&app(2)).await.unwrap();
    let history = rig.store.history().unwrap();
    let entry = history.find("tdx1", &VersionRef::Previous).unwrap();
    assert_eq!(entry.hash, app(1).hash());
    let now = rig.vmm.vm().configuration;
    let back = rollback(entry, rig.store.compose(entry).unwrap(), now.as_ref(), Some(false), 0).unwrap();
    let applied = rig.deploy(&back.desired).await.unwrap();
    assert_eq!(applied.hash, app(1).hash());
    let configuration = rig.vmm.vm().configuration.unwrap();
    assert_eq!(configuration.vcpu, 2);
    assert_eq!(configuration.ports.len(), 1);
    // The environment is the one of the second version; its values are nowhere but in the VM.
    assert_eq!(open(&ENV_SECRET, &configuration.encrypted_env).unwrap().len(), 2);
    assert_eq!(rig.store.history().unwrap().entries.len(), 3);
    rig.deploy(&app(2)).await.unwrap();
    assert_settled(&rig, &app(2), "forth").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_can_wait() {
    let mut rig = Rig::new("0.6.0");
    rig.deploy(&plain("[kms]")).await.unwrap();
    rig.options.restart = false;
    rig.vmm.changes();
    let new = plain("public_logs = true\n[kms]");
    let applied = rig.deploy(&new).await.unwrap();
    assert_eq!(rig.vmm.changes(), ["UpdateVm"]);
    assert!(applied.version.unwrap().restart_pending);
    let app_id = rig.vmm.vm().app_id;
    // What runs is still the old version, and it may have to ask the KMS again.
    assert_eq!(rig.allowed(&app_id).len(), 2);
    assert_eq!(rig.deploy(&new).await.unwrap().kind, PlanKind::Nothing);

    rig.options.restart = true;
    let applied = rig.deploy(&new).await.unwrap();
    assert_eq!(rig.vmm.changes(), ["ShutdownVm", "StartVm"]);
    assert!(!applied.version.unwrap().restart_pending);
    assert_eq!(rig.allowed(&app_id), [new.hash().short()]);
    assert_eq!(rig.store.history().unwrap().entries.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_cannot_be_asked_is_stopped_by_force() {
    let rig = Rig::new("0.5.11");
    rig.deploy(&app(1)).await.unwrap();
    rig.vmm.changes();
    rig.vmm.at_method("ShutdownVm", Fault::HangBefore);
    rig.deploy(&app(2)).await.unwrap();
    assert_eq!(rig.vmm.changes(), ["StopVm", "UpdateVm", "StartVm"]);
}

#[tokio::test(start_paused = true)]
async fn a_vm_can_be_made_and_left_stopped() {
    let mut rig = Rig::new("0.5.11");
    rig.options.start = false;
    let applied = rig.deploy(&app(1)).await.unwrap();
    assert_eq!((applied.booted, rig.vmm.vm().status.as_str()), (None, "stopped"));
    // A change needs no stop then, which v0.5 would refuse for a VM that never ran.
    rig.vmm.changes();
    rig.deploy(&app(2)).await.unwrap();
    assert_eq!(rig.vmm.changes(), ["UpdateVm"]);
    rig.options.start = true;
    rig.deploy(&app(2)).await.unwrap();
    assert_settled(&rig, &app(2), "started at last").await;
}

#[tokio::test(start_paused = true)]
async fn a_second_vm_of_the_same_name_is_not_made_by_accident() {
    let mut rig = Rig::new("0.5.11");
    rig.deploy(&plain("")).await.unwrap();
    // Another directory without a record of it.
    let elsewhere = tempfile::tempdir().unwrap();
    rig.store = Store::new(elsewhere.path().join(".dstack"));
    let error = rig.deploy(&plain("public_logs = true")).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(rig.vmm.state.lock().unwrap().made, 1);
    // It can be taken over, or really made.
    rig.options.vm = VmChoice::Vm("vm-1".to_owned());
    assert_eq!(rig.deploy(&plain("public_logs = true")).await.unwrap().vm_id, "vm-1");
    rig.options.vm = VmChoice::New;
    assert_eq!(rig.deploy(&plain("public_logs = true")).await.unwrap().vm_id, "vm-2");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_vouches_for_is_not_sealed_to() {
    let rig = Rig::new("0.5.11");
    let mut wrong = app(1);
    wrong.signers =
        vec!["0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f".parse().unwrap()];
    let error = rig.deploy(&wrong).await.unwrap_err();
    assert!(matches!(error, DeployError::Untrusted { .. }), "{error:?}");
    assert!(rig.vmm.changes().is_empty());
    assert!(!rig.policy_path().exists());
    assert_eq!(rig.store.journal("tdx1").unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_app() {
    let rig = Rig::new("0.5.11");
    let applied = rig.deploy(&app(1)).await.unwrap();
    let policy = rig.policy();
    let deployment = Deployment::new("tdx1", &rig.vmm, &rig.store, &rig.options).authorizer(&policy);
    let lock = rig.store.lock().unwrap();
    let revoked = deployment.remove(&lock, &applied.vm_id, &|_| {}).await.unwrap();
    assert_eq!(revoked, [app(1).hash()]);
    assert!(rig.allowed(&applied.app_id).is_empty());
    assert!(rig.store.history().unwrap().current("tdx1").is_none());
    assert!(matches!(deployment.remove(&lock, "vm-1", &|_| {}).await, Err(DeployError::Gone { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_cut_short_anywhere_is_made_good() {
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        for call in 0.. {
            let rig = Rig::new("0.6.0");
            let made = rig.deploy(&app(1)).await.unwrap();
            let policy = rig.policy();
            let deployment = Deployment::new("tdx1", &rig.vmm, &rig.store, &rig.options).authorizer(&policy);
            let lock = rig.store.lock().unwrap();
            rig.vmm.at_call(call, fault);
            let day = Duration::from_secs(24 * 3600);
            let removed = tokio::time::timeout(day, deployment.remove(&lock, &made.vm_id, &|_| {})).await;
            if !rig.vmm.heal() {
                removed.unwrap().unwrap();
                break;
            }
            deployment.remove(&lock, &made.vm_id, &|_| {}).await.unwrap();
            assert!(rig.vmm.state.lock().unwrap().vms.is_empty(), "{fault:?} at call {call}");
            assert!(rig.allowed(&made.app_id).is_empty(), "{fault:?} at call {call}");
            assert!(rig.store.history().unwrap().current("tdx1").is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn several_hosts_and_one_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let policy_path = dir.path().join("allow.json");
    let store = Store::new(dir.path().join(".dstack"));
    let policy = AllowlistFile::new(&policy_path);
    let vmms: Vec<Arc<FakeVmm>> =
        (0..4).map(|_| Arc::new(FakeVmm::new("0.6.0", Some(policy_path.clone())))).collect();
    let hosts: Vec<FleetHost> = vmms
        .iter()
        .enumerate()
        .map(|(n, vmm)| {
            let mut host = FleetHost::new(format!("tdx{n}"), vmm.clone());
            host.options.now = Arc::new(|| NOW);
            host
        })
        .collect();
    let fleet = Fleet::new(&hosts, &store).authorizer(&policy).concurrent(3);
    let roll_out = async |desired: &Desired| {
        let plans = fleet.plan(desired).await;
        let plans: Vec<Plan> = plans.into_iter().filter_map(|plan| plan.outcome.ok()).collect();
        let lock = store.lock().unwrap();
        let outcomes = fleet.apply(&lock, desired, &plans, &|_, _| {}).await;
        outcomes.into_iter().map(|outcome| (outcome.host, outcome.outcome.is_ok())).collect::<Vec<_>>()
    };
    let host = |n: usize, ok| (format!("tdx{n}"), ok);
    let allowed = || {
        let text = std::fs::read_to_string(&policy_path).unwrap();
        let app_id = app(1).new_app_id();
        Allowlist::parse(&text).unwrap().hashes_of(&app_id)
    };

    vmms[1].at_method("CreateVm", Fault::Refused);
    assert_eq!(roll_out(&app(1)).await, [host(0, true), host(1, false), host(2, true), host(3, true)]);
    assert_eq!(allowed(), [app(1).hash()]);
    assert_eq!(roll_out(&app(1)).await, [host(0, true), host(1, true), host(2, true), host(3, true)]);
    for vmm in &vmms {
        assert_eq!(vmm.state.lock().unwrap().made, 1);
    }

    // An update that one host does not take leaves both hashes allowed: that host runs the old one.
    vmms[3].at_method("UpdateVm", Fault::Refused);
    assert_eq!(roll_out(&app(2)).await, [host(0, true), host(1, true), host(2, true), host(3, false)]);
    assert_eq!(allowed().len(), 2);
    assert_eq!(vmms[3].vm().status, "running");
    assert_eq!(roll_out(&app(2)).await, [host(0, true), host(1, true), host(2, true), host(3, true)]);
    assert_eq!(allowed(), [app(2).hash()]);
}
