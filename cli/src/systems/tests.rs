use super::*;
use offboard_connectors::{Call, Severity};
use offboard_domain::Lane;
use offboard_runtime::SystemClock;
use offboard_runtime::config::{init, load};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tokio::time::Instant;

const VPN: &str = r#"
name = "Contoso"
time_zone = "UTC"
[systems.vpn]
kind = "program"
command = ["/bin/sh", "SCRIPT", "$(x)"]
environment = { TOKEN = { file = "token" } }
[systems.shredder]
kind = "program"
command = ["/bin/sh", "SCRIPT"]
irreversible = true
environment = { TOKEN = { file = "nowhere" } }
"#;

/// Asks for its secret, and says what it was given.
const SCRIPT: &str = r#"echo "given $1" >&2; [ "$TOKEN" = hunter2 ] && echo '{"ok":true}'"#;

#[tokio::test]
async fn programs_are_opened_with_what_is_listed_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    init(dir).unwrap();
    let script = dir.join("script");
    fs::write(&script, SCRIPT).unwrap();
    fs::write(dir.join("token"), "hunter2\n").unwrap();
    fs::set_permissions(dir.join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let text = VPN.replace("SCRIPT", script.to_str().unwrap());
    fs::write(dir.join("tenants/contoso.toml"), text).unwrap();
    let config = load(dir).unwrap();
    let tenant = TenantId::new("contoso").unwrap();
    let systems = Systems::open_showing(&config, true).unwrap();
    // What it could do is known without its secret.
    let all = systems.capabilities(&tenant).0;
    let of = |name: &str| all[&System::new(name).unwrap()].clone();
    assert_eq!(of("vpn"), BTreeSet::from([Kind::RunScript, Kind::ObserveIdentity]));
    let shredder = BTreeSet::from([Kind::RunIrreversibleScript, Kind::ObserveIdentity]);
    assert_eq!(of("shredder"), shredder);
    let shut: Vec<&str> = systems.shut().iter().map(|s| s.system.as_str()).collect();
    assert_eq!(shut, ["shredder"]);
    let open: Vec<_> = systems.of(&tenant).collect();
    assert_eq!(open.len(), 1);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut call = Call::new(Arc::new(SystemClock), deadline, Lane::Normal);
    let findings = open[0].check(&mut call).await;
    assert!(findings.iter().all(|f| f.severity == Severity::Fine), "{findings:?}");
    assert!(findings.iter().any(|f| f.what.contains("given $(x)")), "{findings:?}");
    // A program reaches who knows what: engine time never runs fast for it.
    assert!(addresses(&config).any(|a| !is_loopback(a)));
}

const GMAIL: &str = r#"
name = "Contoso"
time_zone = "UTC"
[systems.gmail]
kind = "imap"
host = "imap.gmail.com"
key = { file = "key" }
"#;

#[tokio::test]
async fn gmail_without_a_key_that_is_one_is_known_and_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    init(dir).unwrap();
    fs::write(dir.join("tenants/contoso.toml"), GMAIL).unwrap();
    let tenant = TenantId::new("contoso").unwrap();
    for is_there in [false, true] {
        if is_there {
            fs::write(dir.join("key"), "{}\n").unwrap();
            fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let config = load(dir).unwrap();
        let systems = Systems::open(&config).unwrap();
        let gmail = System::new("gmail").unwrap();
        let claims = systems.capabilities(&tenant).0.remove(&gmail).unwrap();
        assert!(claims.contains(&Kind::ArchiveMailbox));
        let shut: Vec<&str> = systems.shut().iter().map(|s| s.system.as_str()).collect();
        assert_eq!(shut, ["gmail"]);
        assert_eq!(systems.of(&tenant).count(), 0);
        // Engine time never runs fast for it, nor for where its tokens come from.
        assert!(addresses(&config).any(|a| a == "https://oauth2.googleapis.com/token"));
    }
}
