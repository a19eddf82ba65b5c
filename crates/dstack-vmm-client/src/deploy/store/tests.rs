use super::super::history::tests::entry;
use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join(DIR_NAME));
    (dir, store)
}

#[test]
fn versions_are_kept_and_read_back() {
    let (_dir, store) = store();
    assert_eq!(store.history().unwrap(), History::default());
    let locked = store.lock().unwrap();
    let first = locked.record(entry(0, "x", "{}"), b"{}").unwrap();
    let mut second = locked.record(entry(0, "x", "[]"), b"[]").unwrap();
    assert_eq!((first.seq, second.seq), (1, 2));
    second.booted = Some(false);
    locked.amend(&second).unwrap();
    assert_eq!(store.history().unwrap().entries, [first.clone(), second]);
    assert_eq!(store.compose(&first).unwrap(), b"{}");
}

#[test]
fn only_one_program_writes() {
    let (_dir, store) = store();
    let locked = store.lock().unwrap();
    assert!(matches!(store.lock(), Err(StoreError::Busy { .. })));
    drop(locked);
    store.lock().unwrap();
}

#[test]
fn damage_is_reported_and_does_not_hinder() {
    let (_dir, store) = store();
    let locked = store.lock().unwrap();
    for content in ["a", "b", "c", "d", "e"] {
        locked.record(entry(0, "x", content), content.as_bytes()).unwrap();
    }
    let path = |seq: u64, content: &str| {
        store.versions().join(version_name(seq, &ComposeHash::of(content.as_bytes())))
    };
    fs::write(path(1, "a").join("app-compose.json"), "tampered with").unwrap();
    fs::write(path(2, "b").join("meta.json"), "{").unwrap();
    fs::remove_file(path(3, "c").join("meta.json")).unwrap();
    fs::write(path(4, "d").join("meta.json"), r#"{"schema": "other/v9"}"#).unwrap();
    fs::create_dir(store.versions().join(".000009-half")).unwrap();
    let history = store.history().unwrap();
    assert_eq!(history.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [5]);
    let reasons: Vec<&str> = history.damaged.iter().map(|damage| damage.reason.as_str()).collect();
    insta::assert_snapshot!(reasons.join("\n"));
    // Numbers go on from the highest, read or not.
    assert_eq!(locked.record(entry(0, "x", "f"), b"f").unwrap().seq, 6);
}

#[test]
fn old_versions_are_dropped() {
    let (_dir, store) = store();
    let locked = store.keep(2).lock().unwrap();
    for content in ["a", "b", "c", "d"] {
        locked.record(entry(0, "x", content), content.as_bytes()).unwrap();
    }
    let history = locked.history().unwrap();
    assert_eq!(history.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_journal_that_cannot_be_read_is_an_error() {
    let (_dir, store) = store();
    let _locked = store.lock().unwrap();
    assert_eq!(store.journal("x").unwrap(), None);
    fs::write(store.journal_path("x"), "{").unwrap();
    assert!(matches!(store.journal("x"), Err(StoreError::Journal { .. })));
}

#[cfg(unix)]
#[test]
fn others_can_read_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, store) = store();
    let locked = store.lock().unwrap();
    locked.digest_key_or_new().unwrap();
    let kept = locked.record(entry(0, "x", "a"), b"a").unwrap();
    let version = store.versions().join(version_name(kept.seq, &kept.hash));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.dir()), 0o700);
    assert_eq!(mode(&version), 0o700);
    for file in [store.dir().join("digest-key"), version.join("meta.json"), version.join("app-compose.json")]
    {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn what_was_allowed_from_here_is_noted() {
    let (_dir, store) = store();
    let locked = store.lock().unwrap();
    let hash = ComposeHash::from_bytes([1; 32]);
    locked.claim("aa", hash).unwrap();
    assert!(store.allowed().unwrap()["aa"].contains(&hash));
    locked.disclaim("aa", hash).unwrap();
    assert_eq!(store.allowed().unwrap(), Allowed::new());
}

#[test]
fn the_digest_key_stays() {
    let (_dir, store) = store();
    let locked = store.lock().unwrap();
    let env = [crate::env::EnvVar::new("A", "1".to_owned()).unwrap()].into_iter().collect();
    let first = locked.digest_key_or_new().unwrap().digests(&env);
    assert_eq!(store.digest_key().unwrap().unwrap().digests(&env), first);
}
