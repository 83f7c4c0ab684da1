use super::*;
use offboard_domain::{TenantId, Timestamp};
use std::fs;
use std::process::Command;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    create_missing(&keys).unwrap();
    (dir, keys)
}

#[test]
fn keys_load_as_they_were_made_and_do_not_print() {
    let (_dir, keys) = folder();
    let (a, b) = (SigningKey::load(&keys).unwrap(), SigningKey::load(&keys).unwrap());
    assert_eq!(a.sign(b"x"), b.sign(b"x"));
    assert!(a.public().verifies(b"x", &b.sign(b"x")));
    assert!(!a.public().verifies(b"y", &b.sign(b"x")) && !a.public().verifies(b"x", b"short"));
    assert_eq!(PublicKey::from_pem(&a.public().to_pem()).unwrap(), *a.public());
    assert_eq!(public_keys(&keys).unwrap(), [a.public().clone()]);
    let master = MasterKey::load(&keys).unwrap();
    assert_ne!(master.expose(), &[0; 32]);
    assert_eq!(master.expose(), MasterKey::load(&keys).unwrap().expose());
    let shown = format!("{a:?} {master:?} {:?}", EscrowMaster::load(&keys).unwrap());
    assert_eq!(shown, format!("SigningKey({}, …) MasterKey(…) EscrowMaster(…)", a.id()));
}

#[test]
fn what_is_there_is_never_overwritten() {
    let (_dir, keys) = folder();
    let before = SigningKey::load(&keys).unwrap();
    assert!(SigningKey::create(&keys).is_err());
    assert!(MasterKey::create(&keys).is_err());
    assert_eq!(create_missing(&keys).unwrap().made, Vec::<PathBuf>::new());
    assert_eq!(SigningKey::load(&keys).unwrap().id(), before.id());
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, keys) = folder();
    for file in ["signing.pem", "master.key", "escrow.key"] {
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(keys.join(file), fs::Permissions::from_mode(mode)).unwrap();
            let refused = [
                SigningKey::load(&keys).err(),
                MasterKey::load(&keys).err(),
                EscrowMaster::load(&keys).err(),
            ];
            assert_eq!(refused.iter().flatten().count(), 1, "{file} {mode:o}");
            assert!(create_missing(&keys).is_err());
        }
        fs::set_permissions(keys.join(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_of_something_else_is_refused_without_its_text() {
    let (_dir, keys) = folder();
    for (file, text) in [
        ("signing.pem", "hunter2"),
        ("master.key", "hunter2"),
        ("master.key", &"g".repeat(64)),
        ("escrow.key", "é"),
    ] {
        fs::write(keys.join(file), text).unwrap();
        let told: String = [
            SigningKey::load(&keys).err(),
            MasterKey::load(&keys).err(),
            EscrowMaster::load(&keys).err(),
        ]
        .iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
        assert!(told.contains(file) && !told.contains(text), "{told}");
    }
}

#[test]
fn openssl_reads_both_halves_and_computes_the_same_id() {
    let (dir, keys) = folder();
    let key = SigningKey::load(&keys).unwrap();
    let public = keys.join("public").join(format!("{}.pem", key.id()));
    let openssl = |args: &[&str]| {
        let out = Command::new("openssl")
            .args(args)
            .output()
            .expect("the tests need openssl on the path");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let private = keys.join("signing.pem");
    let derived = openssl(&["pkey", "-in", private.to_str().unwrap(), "-pubout"]);
    assert_eq!(derived, fs::read(&public).unwrap());
    let der = openssl(&["pkey", "-pubin", "-in", public.to_str().unwrap(), "-outform", "DER"]);
    assert_eq!(offboard_domain::Digest::of(&der).to_string()[..16], *key.id().as_str());
    let (message, signature) = (dir.path().join("m"), dir.path().join("s"));
    fs::write(&message, b"evidence").unwrap();
    fs::write(&signature, key.sign(b"evidence")).unwrap();
    let [p, m, s] = [&public, &message, &signature].map(|p| p.to_str().unwrap());
    openssl(&[
        "pkeyutl", "-verify", "-pubin", "-inkey", p, "-rawin", "-in", m, "-sigfile", s,
    ]);
}

#[test]
fn a_rotation_is_signed_by_both_and_keeps_the_old_public_half() {
    let (_dir, keys) = folder();
    let first = SigningKey::load(&keys).unwrap();
    let second = rotate(&keys, Timestamp(1_000)).unwrap();
    let third = rotate(&keys, Timestamp(2_000)).unwrap();
    assert_eq!(SigningKey::load(&keys).unwrap().id(), third.id());
    assert_eq!(public_keys(&keys).unwrap().len(), 3);
    assert!(!keys.join("signing.pem.new").exists());

    let statements = rotations(&keys).unwrap();
    assert_eq!(statements.len(), 2);
    let follow = |trusted: &PublicKey| statements.iter().find_map(|s| s.verify(trusted).ok());
    let (said, next) = follow(first.public()).unwrap();
    assert_eq!((said.rotated_at_ms, next.id()), (1_000, second.id()));
    assert_eq!(follow(&next).unwrap().1.id(), third.id());
    assert!(follow(third.public()).is_none());
}

#[test]
fn a_changed_rotation_statement_does_not_verify() {
    let (_dir, keys) = folder();
    let first = SigningKey::load(&keys).unwrap();
    rotate(&keys, Timestamp(1_000)).unwrap();
    let json = serde_json::to_value(&rotations(&keys).unwrap()[0]).unwrap();
    let check = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = json.clone();
        change(&mut changed);
        serde_json::from_value::<RotationStatement>(changed)
            .unwrap()
            .verify(first.public())
            .map(|_| ())
    };
    assert!(check(&|_| {}).is_ok());
    assert!(check(&|s| s["payloadType"] = "text/plain".into()).is_err());
    assert!(check(&|s| s["payload"] = "e30=".into()).is_err());
    for i in 0..2 {
        assert!(check(&|s| s["signatures"][i]["sig"] = "AAAA".into()).is_err());
        assert!(check(&|s| drop(s["signatures"].as_array_mut().unwrap().remove(i))).is_err());
    }
}

#[test]
fn a_rotation_that_was_interrupted_is_completed() {
    for stage in 0..3 {
        let (_dir, keys) = folder();
        let old = SigningKey::load(&keys).unwrap();
        // As a crash after each of the first steps leaves it.
        let new = SigningKey::from_bytes(&[7; 32]);
        new.write_new(&keys.join("signing.pem.new")).unwrap();
        if stage > 0 {
            new.public().keep(&keys).unwrap();
        }
        assert_eq!(SigningKey::load(&keys).unwrap().id(), old.id());
        assert_eq!(rotate(&keys, Timestamp(0)).unwrap().id(), new.id());
        assert_eq!(SigningKey::load(&keys).unwrap().id(), new.id());
        assert!(rotations(&keys).unwrap()[0].verify(old.public()).is_ok());
    }
}

#[test]
fn a_rotation_whose_new_key_was_cut_off_begins_anew() {
    let (_dir, keys) = folder();
    let old = SigningKey::load(&keys).unwrap();
    let pending = keys.join("signing.pem.new");
    private::write_new(&pending, b"-----BEGIN PRIV").unwrap();
    let new = rotate(&keys, Timestamp(0)).unwrap();
    assert_ne!(new.id(), old.id());
    assert_eq!(SigningKey::load(&keys).unwrap().id(), new.id());
    assert!(!pending.exists());
}

#[test]
fn a_key_that_was_cut_off_is_not_kept_and_a_missing_public_half_is_made_up() {
    let (_dir, keys) = folder();
    let current = SigningKey::load(&keys).unwrap();
    let half = keys.join("public").join(format!("{}.pem", current.id()));
    fs::remove_file(&half).unwrap();
    assert_eq!(create_missing(&keys).unwrap().made, std::slice::from_ref(&half));
    assert_eq!(public_keys(&keys).unwrap(), [current.public().clone()]);
    for file in ["signing.pem", "master.key", "dispatch.key", "escrow.key"] {
        let path = keys.join(file);
        let whole = fs::read(&path).unwrap();
        for cut in [0, whole.len() / 2] {
            fs::write(&path, &whole[..cut]).unwrap();
            let told = create_missing(&keys).unwrap_err().to_string();
            assert!(told.contains(file), "{told}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(create_missing(&keys).unwrap().made, Vec::<PathBuf>::new());
}

#[test]
fn a_number_is_always_the_same_and_each_tenants_and_labels_own() {
    let of = |byte: u8, tenant: &str, label: &str| {
        let tenant = TenantId::new(tenant).unwrap();
        EscrowMaster::from_bytes([byte; 32]).tenant(&tenant).number(label)
    };
    let number = of(1, "acme", "c/d");
    assert_eq!(of(1, "acme", "c/d"), number);
    for other in [of(2, "acme", "c/d"), of(1, "contoso", "c/d"), of(1, "acme", "c/e")] {
        assert_ne!(other, number);
    }
}

#[test]
fn escrow_opens_for_its_own_tenant_and_label_only() {
    let master = EscrowMaster::from_bytes([1; 32]);
    let key = |t: &str| master.tenant(&TenantId::new(t).unwrap());
    let sealed = key("a").seal("device-1", b"recovery key");
    assert_eq!(
        sealed,
        key("a").seal("device-1", b"recovery key"),
        "the same bytes every time"
    );
    assert_ne!(sealed, key("a").seal("device-2", b"recovery key"));
    assert!(!sealed.windows(8).any(|w| w == b"recovery"));
    assert_eq!(*key("a").open("device-1", &sealed).unwrap(), b"recovery key");
    assert!(key("b").open("device-1", &sealed).is_err());
    assert!(key("a").open("device-2", &sealed).is_err());
    for i in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[i] ^= 1;
        assert!(key("a").open("device-1", &changed).is_err(), "byte {i}");
        assert!(key("a").open("device-1", &sealed[..i]).is_err(), "cut at {i}");
    }
}
