//! Plans from made-up projects and hosts, as people read them.

use std::collections::BTreeMap;

use super::compare::sha256_hex;
use super::history::tests::entry;
use super::history::{DigestKey, EnvRecord, History};
use super::journal::{self, Journal};
use super::observe::{Interest, Observed};
use super::plan::{Plan, PlanContext, PlanKind, PolicyState, Target, plan};
use super::project::{Project, Protocol};
use super::resolve::{Desired, ProjectFiles, ResolveError};
use super::rollback::rollback;
use super::{PortRange, VersionRef};
use crate::api::{
    GatewayMeta, GetMetaResponse, GpuInfo, ImageInfo, KmsMeta, ListGpusResponse, NetworkingMeta, PortMapping,
    ResourcesMeta, VersionResponse, VmConfiguration, VmInfo,
};
use crate::env::EnvFile;

const COMPOSE: &str = "services:\n  web:\n    image: nginx:1.27\n    ports:\n      - \"80:80\"\n";
const SIGNER: &str = "0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f";

fn project(lines: &str) -> Project {
    let head = "schema = 1\nname = \"web\"\nimage = \"dstack-0.5.11\"\ncompose = \"docker-compose.yaml\"\n";
    Project::parse(&format!("{head}{lines}\n")).unwrap()
}

fn files() -> ProjectFiles {
    let mut files = ProjectFiles::new();
    files.insert("docker-compose.yaml", COMPOSE);
    files.insert(".env", "API_KEY=abc\nDB_URL=postgres://db\n");
    files.insert("pre-launch.sh", "echo one\necho two\n");
    files.insert("user-config.json", "{}");
    files
}

fn desired(lines: &str) -> Desired {
    project(lines).resolve(&files()).unwrap()
}

/// KMS and environment, as most apps have them.
fn with_env() -> String {
    format!("ports = [\"tcp:8080:80\"]\n[env]\nfile = \".env\"\n[kms]\nsigners = [\"{SIGNER}\"]")
}

/// A host with one image that publishes ports.
fn host(version: &str) -> Observed {
    let server = VersionResponse { version: version.to_owned(), ..VersionResponse::default() };
    let resources = ResourcesMeta {
        max_allocable_vcpu: 20,
        max_allocable_memory_in_mb: 100_000,
        ..ResourcesMeta::default()
    };
    let url = |name: &str| vec![format!("https://{name}.example.com")];
    let kms = KmsMeta { urls: url("kms"), ..KmsMeta::default() };
    let gateway = GatewayMeta { urls: url("gateway"), ..GatewayMeta::default() };
    let meta = GetMetaResponse {
        resources: Some(resources),
        kms: Some(kms),
        gateway: Some(gateway),
        ..GetMetaResponse::default()
    };
    let image = ImageInfo { name: "dstack-0.5.11".to_owned(), ..ImageInfo::default() };
    let mut host = Observed::new(server, meta, vec![image]);
    host.port_mapping_enabled = true;
    host
}

/// The VM that a project makes.
fn vm(id: &str, desired: &Desired) -> VmInfo {
    let mapping = |port: &super::PortSpec| {
        let mut mapping = port.to_mapping();
        if mapping.host_address.is_empty() {
            mapping.host_address = "127.0.0.1".to_owned();
        }
        mapping
    };
    let configuration = VmConfiguration {
        name: desired.name.clone(),
        image: desired.image.clone(),
        compose_file: desired.compose_text().to_owned(),
        vcpu: desired.vcpu,
        memory: desired.memory_mib,
        disk_size: desired.disk_gib,
        ports: desired.ports.iter().map(mapping).collect(),
        user_config: desired.user_config.clone().unwrap_or_default(),
        ..VmConfiguration::default()
    };
    VmInfo {
        id: id.to_owned(),
        name: desired.name.clone(),
        status: "running".to_owned(),
        app_id: desired.new_app_id().to_string(),
        configuration: Some(configuration),
        ..VmInfo::default()
    }
}

fn add(host: &mut Observed, vms: impl IntoIterator<Item = VmInfo>) {
    let interest = Interest { names: vec!["web".to_owned()], ids: vec!["vm-1".to_owned()] };
    host.add_vms(&interest, vms);
}

/// A record that this directory applied `desired` to vm-1.
fn recorded(desired: &Desired) -> History {
    let mut last = entry(1, "tdx1", desired.compose_text());
    last.vm_id = "vm-1".to_owned();
    last.app_id = desired.new_app_id().to_string();
    History { entries: vec![last], damaged: Vec::new() }
}

fn plan_with<'a>(
    desired: &Desired,
    host: &Observed,
    history: &'a History,
    change: impl FnOnce(&mut PlanContext<'a>),
) -> Plan {
    let mut context = PlanContext::new("tdx1", "unix:/run/dstack/vmm.sock", history);
    change(&mut context);
    plan(desired, host, &context)
}

fn plain(desired: &Desired, host: &Observed) -> Plan {
    plan_with(desired, host, &History::default(), |_| {})
}

#[test]
fn a_first_deployment() {
    let desired = desired(&with_env());
    let managed = |context: &mut PlanContext<'_>| context.policy = PolicyState::Managed { allowed: false };
    let made = plan_with(&desired, &host("0.5.11"), &History::default(), managed);
    assert_eq!(made.kind, PlanKind::Create);
    insta::assert_snapshot!(made.to_text());
    insta::assert_json_snapshot!(made);
}

#[test]
fn nothing_to_do() {
    let desired = desired("ports = [\"tcp:8080:80\"]");
    let mut host = host("0.5.11");
    add(&mut host, [vm("vm-1", &desired)]);
    let made = plan_with(&desired, &host, &recorded(&desired), |_| {});
    assert!(made.is_nothing() && made.steps.is_empty());
    insta::assert_snapshot!(made.to_text());
}

#[test]
fn an_update_of_everything_at_once() {
    let old = desired(&with_env());
    let mut running = vm("vm-1", &old);
    let key = DigestKey::new(&[7; 32]);
    let sealed = vec![1, 2, 3];
    let before = EnvFile::parse(b"API_KEY=old\nGONE=1\n").unwrap().environment;
    running.configuration.as_mut().unwrap().encrypted_env = sealed.clone();
    let mut history = recorded(&old);
    history.entries[0].env =
        EnvRecord { sealed_sha256: Some(sha256_hex(&sealed)), digests: key.digests(&before) };
    let mut host = host("0.5.11");
    add(&mut host, [running]);

    let mut files = files();
    files.insert("docker-compose.yaml", COMPOSE.replace("1.27", "1.28").replace("80:80", "80:8080"));
    let text = format!(
        "vcpu = 4\nmemory = \"4G\"\npre_launch_script = \"pre-launch.sh\"\nports = [\"tcp:8080:80\", \"tcp:[::1]:8443:443\"]\nuser_config = \"user-config.json\"\n[env]\nfile = \".env\"\nnames = [\"DB_URL\", \"API_KEY\", \"SPARE\"]\n[kms]\nsigners = [\"{SIGNER}\"]\n[gateway]\nurls = [\"https://gateway.example.com:9202\"]"
    );
    let new = project(&text).resolve(&files).unwrap();
    let made = plan_with(&new, &host, &history, |context| {
        context.digest_key = Some(&key);
        context.policy = PolicyState::Managed { allowed: false };
    });
    assert_eq!(made.kind, PlanKind::Update);
    insta::assert_snapshot!(made.to_text());
    // Values are nowhere in it.
    let json = serde_json::to_string(&made).unwrap();
    assert!(!json.contains("postgres") && !json.contains("abc\""));
}

#[test]
fn a_change_while_it_runs_and_one_that_waits() {
    let old = desired("");
    let mut host = host("0.6.0");
    add(&mut host, [vm("vm-1", &old)]);
    let new = desired("[gateway]\nurls = [\"https://gateway.example.com:9202\"]");
    let now = plan_with(&new, &host, &recorded(&old), |_| {});
    let later = plan_with(&new, &host, &recorded(&old), |context| context.restart = false);
    insta::assert_snapshot!(format!("{now}\n{later}"));
}

#[test]
fn a_stopped_vm_is_started() {
    let desired = desired("");
    let mut host = host("0.6.0");
    let mut stopped = vm("vm-1", &desired);
    stopped.status = "stopped".to_owned();
    add(&mut host, [stopped]);
    let start = plan_with(&desired, &host, &recorded(&desired), |_| {});
    let leave = plan_with(&desired, &host, &recorded(&desired), |context| context.start = false);
    assert!(leave.is_nothing());
    insta::assert_snapshot!(start.to_text());
}

#[test]
fn a_vm_that_is_right_and_not_recorded_is_taken_note_of() {
    let desired = desired("");
    let mut host = host("0.6.0");
    add(&mut host, [vm("vm-7", &desired)]);
    let made = plain(&desired, &host);
    assert_eq!((made.kind, made.vm_id.as_deref()), (PlanKind::Settle, Some("vm-7")));
    insta::assert_snapshot!(made.to_text());
}

#[test]
fn everything_that_can_stand_in_the_way() {
    let old = desired("");
    let mut all = Vec::new();
    let mut show = |what: &str, plan: Plan| {
        assert_eq!(plan.kind, PlanKind::Conflict, "{what}");
        assert!(plan.steps.is_empty());
        all.push(format!("# {what}\n{plan}"));
    };
    let running = || vm("vm-1", &old);
    let with = |version: &str, vms: Vec<VmInfo>| {
        let mut host = host(version);
        add(&mut host, vms);
        host
    };

    let mut bare = host("0.5.11");
    bare.images.clear();
    bare.port_mapping_enabled = false;
    show("no image, no ports", plain(&desired("ports = [\"tcp:8080:80\"]"), &bare));

    let ranges = |context: &mut PlanContext<'_>| {
        context.node.port_ranges = Some(vec![PortRange::new(Protocol::Tcp, 1, 20000)]);
    };
    let outside = desired("ports = [\"tcp:30000:80\", \"udp:53:53\"]");
    show("outside the ranges", plan_with(&outside, &host("0.5.11"), &History::default(), ranges));

    let other = |status: &str| {
        let mut other = vm("vm-9", &desired("ports = [\"tcp:8080:80\"]"));
        (other.name, other.status) = ("other".to_owned(), status.to_owned());
        other
    };
    let wants = desired("ports = [\"tcp:8080:81\"]");
    show("port taken by a running VM", plain(&wants, &with("0.5.11", vec![other("running")])));
    show("port taken by a stopped VM, next", plain(&wants, &with("0.6.0", vec![other("stopped")])));

    let smaller = desired("disk = \"10G\"");
    show("smaller disk", plan_with(&smaller, &with("0.5.11", vec![running()]), &recorded(&old), |_| {}));

    let fixed = desired(
        "app_id = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\nhugepages = true\nnetworking = \"bridge\"",
    );
    show("what is fixed", plan_with(&fixed, &with("0.5.11", vec![running()]), &recorded(&old), |_| {}));

    let stranger = || {
        let mut stranger = running();
        (stranger.id, stranger.app_id) = ("vm-5".to_owned(), "bb".repeat(20));
        stranger.configuration.as_mut().unwrap().compose_file = "{}".to_owned();
        stranger
    };
    show("a stranger of the same name", plain(&old, &with("0.5.11", vec![stranger()])));
    let mut twin = running();
    twin.id = "vm-2".to_owned();
    show("two of them", plain(&old, &with("0.5.11", vec![running(), twin])));
    let gone = |context: &mut PlanContext<'_>| context.target = Target::Vm("vm-404");
    show("no such VM", plan_with(&old, &host("0.5.11"), &History::default(), gone));
    let mut removing = running();
    removing.status = "removing".to_owned();
    show("being removed", plan_with(&old, &with("0.5.11", vec![removing]), &recorded(&old), |_| {}));

    show("unsigned key", plain(&desired("[env]\nfile = \".env\"\n[kms]"), &host("0.5.11")));
    let mut sealed = running();
    sealed.configuration.as_mut().unwrap().encrypted_env = vec![1];
    let mut no_values = files();
    no_values.insert(".env", "# nothing\n");
    let cleared = project("[env]\nfile = \".env\"\n[kms]").resolve(&no_values).unwrap();
    show(
        "environment taken away",
        plan_with(&cleared, &with("0.5.11", vec![sealed]), &recorded(&old), |_| {}),
    );
    let mut configured = running();
    configured.configuration.as_mut().unwrap().user_config = "old".to_owned();
    let mut empty = files();
    empty.insert("user-config.json", "");
    let emptied = project("user_config = \"user-config.json\"").resolve(&empty).unwrap();
    show(
        "user config taken away",
        plan_with(&emptied, &with("0.5.11", vec![configured]), &recorded(&old), |_| {}),
    );
    let mut large = files();
    large.insert("user-config.json", "x".repeat((1 << 20) + 1));
    let oversize = project("user_config = \"user-config.json\"").resolve(&large).unwrap();
    show("user config too large", plain(&oversize, &host("0.5.11")));

    let mut gpus = host("0.5.11");
    let gpu = |slot: &str, is_free| GpuInfo { slot: slot.to_owned(), is_free, ..GpuInfo::default() };
    gpus.gpus = Some(ListGpusResponse { gpus: vec![gpu("18:00.0", false)], ..ListGpusResponse::default() });
    show("GPUs", plain(&desired("gpus = [\"18:00.0\", \"19:00.0\"]"), &gpus));
    show("all GPUs", plain(&desired("gpus = \"all\""), &gpus));

    let mut bridged = host("0.6.0");
    bridged.meta.networking =
        Some(NetworkingMeta { default_mode: "bridge".to_owned(), ..NetworkingMeta::default() });
    show("ports on a bridge", plain(&desired("ports = [\"tcp:8080:80\"]"), &bridged));

    let local = desired("key_provider = \"local\"");
    let mut of_local = vm("vm-1", &local);
    of_local.status = "running".to_owned();
    let more = desired("key_provider = \"local\"\nvcpu = 4");
    show(
        "sealed to measurements",
        plan_with(&more, &with("0.5.11", vec![of_local.clone()]), &recorded(&local), |_| {}),
    );
    let to_kms = desired("[kms]");
    show(
        "another key provider",
        plan_with(&to_kms, &with("0.5.11", vec![of_local]), &recorded(&local), |_| {}),
    );
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn everything_worth_a_warning() {
    let old = desired("");
    let mut all = Vec::new();
    let mut show = |what: &str, plan: Plan| {
        assert_ne!(plan.kind, PlanKind::Conflict, "{what}: {plan}");
        all.push(format!("# {what}\n{plan}"));
    };
    let mut unknown = host("0.7.2");
    unknown.images[0].is_dev = true;
    show("unknown version, development image", plain(&desired("vcpu = 64\nmemory = \"1T\""), &unknown));

    let mut stopped = vm("vm-9", &desired("ports = [\"tcp:0.0.0.0:8080:80\"]"));
    (stopped.name, stopped.status) = ("other".to_owned(), "stopped".to_owned());
    let mut old_host = host("0.5.11");
    add(&mut old_host, [stopped]);
    show("port of a stopped VM, 0.5", plain(&desired("ports = [\"tcp:127.0.0.1:8080:81\"]"), &old_host));

    let history = recorded(&old);
    show("the recorded VM is gone", plan_with(&old, &host("0.5.11"), &history, |_| {}));

    let kms = desired("[kms]");
    let mut changed = kms.clone();
    changed.compose = kms.compose.set("public_logs", &true.into()).unwrap();
    let mut with_kms = host("0.5.11");
    add(&mut with_kms, [vm("vm-1", &kms)]);
    show("a policy that is governed elsewhere", plan_with(&changed, &with_kms, &recorded(&kms), |_| {}));

    let local = desired("key_provider = \"local\"");
    let more = desired("key_provider = \"local\"\nvcpu = 4");
    let mut sealed = host("0.5.11");
    add(&mut sealed, [vm("vm-1", &local)]);
    show(
        "loss accepted",
        plan_with(&more, &sealed, &recorded(&local), |context| context.accept_data_loss = true),
    );

    let mut plain_host = host("0.5.11");
    add(&mut plain_host, [vm("vm-1", &old)]);
    let port = desired("ports = [\"tcp:8080:80\"]");
    show("address of a new port", plan_with(&port, &plain_host, &recorded(&old), |_| {}));

    let mut silent = host("0.5.11");
    (silent.meta.kms, silent.meta.gateway) = (None, None);
    show("no KMS, no gateway", plain(&desired("[kms]\n[gateway]"), &silent));

    let names = desired("[env]\nnames = [\"TOKEN\"]");
    show("a new VM without values", plain(&names, &host("0.5.11")));

    let any = |context: &mut PlanContext<'_>| context.danger_accept_any_signer = true;
    show(
        "any signer",
        plan_with(&desired("[env]\nfile = \".env\"\n[kms]"), &host("0.5.11"), &History::default(), any),
    );
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn an_environment_from_elsewhere_is_sealed_again() {
    let desired = desired(&with_env());
    let mut running = vm("vm-1", &desired);
    running.configuration.as_mut().unwrap().encrypted_env = vec![9; 80];
    let mut host = host("0.5.11");
    add(&mut host, [running]);
    let made = plan_with(&desired, &host, &recorded(&desired), |_| {});
    insta::assert_snapshot!(made.to_text());
}

fn journal(desired: &Desired) -> Journal {
    Journal {
        schema: journal::SCHEMA.to_owned(),
        run: "0123456789abcdef".to_owned(),
        host: "tdx1".to_owned(),
        started_at: 1,
        step: "create".to_owned(),
        name: desired.name.clone(),
        hash: desired.hash(),
        app_id: desired.new_app_id().to_string(),
        vm_id: None,
        known_ids: Some(vec!["vm-0".to_owned()]),
        env: None,
        restart_due: false,
    }
}

#[test]
fn a_broken_off_run_is_gone_on_with() {
    let desired = desired("");
    let journal = journal(&desired);
    let mut host = host("0.5.11");
    let mut before = vm("vm-0", &desired);
    before.status = "stopped".to_owned();
    add(&mut host, [before, vm("vm-new", &desired)]);
    let go_on = plan_with(&desired, &host, &History::default(), |context| context.journal = Some(&journal));
    assert_eq!(go_on.vm_id.as_deref(), Some("vm-new"));
    insta::assert_snapshot!(go_on.to_text());

    // Two that it may have made: nobody guesses.
    add(&mut host, [vm("vm-new-2", &desired)]);
    let stuck = plan_with(&desired, &host, &History::default(), |context| context.journal = Some(&journal));
    assert_eq!(stuck.kind, PlanKind::Conflict);

    // A restart that was due is made up for.
    let mut due = journal;
    (due.vm_id, due.known_ids, due.restart_due) = (Some("vm-1".to_owned()), None, true);
    let mut host = self::host("0.5.11");
    add(&mut host, [vm("vm-1", &desired)]);
    let restart = plan_with(&desired, &host, &recorded(&desired), |context| context.journal = Some(&due));
    insta::assert_snapshot!(restart.to_text());
}

#[test]
fn a_plan_has_a_fingerprint_of_what_it_is_about() {
    let old = desired("");
    let new = desired("[gateway]\nurls = [\"https://gateway.example.com:9202\"]");
    let print = |change: &dyn Fn(&mut VmInfo), policy: PolicyState| {
        let mut running = vm("vm-1", &old);
        change(&mut running);
        let mut host = host("0.5.11");
        add(&mut host, [running]);
        plan_with(&new, &host, &recorded(&old), |context| context.policy = policy).fingerprint
    };
    let first = print(&|_| {}, PolicyState::Unknown);
    assert_eq!(first.len(), 64);
    assert_eq!(first, print(&|_| {}, PolicyState::Managed { allowed: false }));
    assert_eq!(first, print(&|vm| vm.status = "exited".to_owned(), PolicyState::Unknown));
    assert_eq!(first, print(&|vm| vm.uptime = "3s".to_owned(), PolicyState::Unknown));
    let others: [&dyn Fn(&mut VmInfo); 3] =
        [&|vm| vm.status = "stopped".to_owned(), &|vm| vm.configuration.as_mut().unwrap().vcpu = 3, &|vm| {
            vm.configuration.as_mut().unwrap().hugepages = true;
        }];
    for other in others {
        assert_ne!(first, print(other, PolicyState::Unknown));
    }
}

#[test]
fn the_same_project_gives_the_same_bytes() {
    let one = desired(&with_env());
    insta::assert_snapshot!(one.compose_text());
    assert_eq!(one.hash(), desired(&with_env()).hash());
    let script = Project::parse(
        "schema = 1\nname = \"job\"\nimage = \"i\"\nbash_script = \"pre-launch.sh\"\nkey_provider = \"tpm\"\nswap = \"2G\"\nstorage_fs = \"ext4\"\ninit_script = \"pre-launch.sh\"",
    )
    .unwrap()
    .resolve(&files())
    .unwrap();
    insta::assert_snapshot!(script.compose_text());
}

#[test]
fn a_ready_made_app_compose_is_taken_byte_for_byte() {
    let text = "schema = 1\nname = \"web\"\nimage = \"i\"\napp_compose = \"app-compose.json\"";
    let bytes = "{ \"runner\":\"docker-compose\", \"manifest_version\":2,\"name\":\"x\", \"x-mine\": [1] }\n";
    let mut files = files();
    files.insert("app-compose.json", bytes);
    let desired = Project::parse(text).unwrap().resolve(&files).unwrap();
    assert_eq!(desired.compose_text(), bytes);
}

#[test]
fn files_that_do_not_make_an_app_are_named() {
    use dstack_check::Hinted;
    let chain = |error: ResolveError| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        let hint = error.hint().map(|hint| format!("\n    hint: {hint}")).unwrap_or_default();
        text + &hint
    };
    let with = |lines: &str, path: &str, bytes: &[u8]| {
        let mut files = files();
        files.insert(path, bytes);
        chain(project(lines).resolve(&files).unwrap_err())
    };
    let env = "[env]\nfile = \".env\"\n[kms]";
    let ready =
        Project::parse("schema = 1\nname = \"web\"\nimage = \"i\"\napp_compose = \"a.json\"").unwrap();
    let of_ready = |bytes: &[u8]| {
        let mut files = ProjectFiles::new();
        files.insert("a.json", bytes);
        chain(ready.resolve(&files).unwrap_err())
    };
    let all = [
        chain(project("").resolve(&ProjectFiles::new()).unwrap_err()),
        with("", "docker-compose.yaml", b" \n"),
        with("", "docker-compose.yaml", b"a: \xff\n"),
        with(env, ".env", b"OK=1\nNOT OK\n"),
        with("[env]\nfile = \".env\"\nnames = [\"API_KEY\"]\n[kms]", ".env", b"API_KEY=1\nOTHER=2\n"),
        with(env, ".env", format!("BIG={}\n", "x".repeat(200_000)).as_bytes()),
        of_ready(b"{}"),
        of_ready(b"no json"),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn back_to_a_kept_version() {
    let old = desired("");
    let mut kept = entry(3, "tdx1", old.compose_text());
    kept.name = "web".to_owned();
    kept.ports = vec!["tcp:127.0.0.1:8080:80".to_owned()];
    kept.env.digests = BTreeMap::from([("API_KEY".to_owned(), "00".to_owned())]);
    let now = VmConfiguration {
        disk_size: 40,
        ports: vec![PortMapping {
            protocol: "tcp".to_owned(),
            host_port: 1,
            vm_port: 1,
            ..PortMapping::default()
        }],
        ..VmConfiguration::default()
    };
    let back = rollback(&kept, old.compose_text().as_bytes().to_vec(), Some(&now), Some(false), 0).unwrap();
    assert_eq!(back.desired.hash(), kept.hash);
    assert_eq!((back.desired.disk_gib, back.desired.ports.len()), (40, 1));
    insta::assert_json_snapshot!(back.findings);

    let kms = desired("[kms]");
    let of = |allowed| {
        let bytes = kms.compose_text().as_bytes().to_vec();
        rollback(&entry(4, "tdx1", kms.compose_text()), bytes, None, allowed, 0).unwrap().findings
    };
    assert!(of(Some(true)).is_empty());
    insta::assert_json_snapshot!((of(Some(false)), of(None)));
    assert_eq!("previous".parse::<VersionRef>(), Ok(VersionRef::Previous));
}
