//! The roles as Compose would start them, but for the containers: the files that
//! the script makes, to each role its own and no others, its configuration with
//! other paths and addresses, its command, and the question whether it is well.

use crate::deploy::compose::{configuration_of, mounted, ours, public_keys, secret_files};
use crate::deploy::files::{deploy, read, texts};
use crate::support::{Folder, Running, until};
use offboard_servers::redis::{Fsync, Tls};
use offboard_servers::{Rabbit, RabbitOptions, Redis, RedisOptions, StartError, free_port};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the script makes.
struct Secrets {
    dir: tempfile::TempDir,
}

impl Secrets {
    #[track_caller]
    fn made() -> Self {
        let secrets = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        secrets.make();
        secrets
    }

    #[track_caller]
    fn make(&self) {
        let script = deploy().join("compose/secrets.sh");
        let ran = Command::new(script)
            .arg(env!("CARGO_BIN_EXE_offboard"))
            .arg(self.folder())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("secrets")
    }

    /// A file of it, as Compose names it.
    fn file(&self, name: &Path) -> PathBuf {
        self.folder().join(name.strip_prefix("secrets").unwrap())
    }
}

#[test]
fn the_script_makes_everything_that_is_named_and_keeps_what_is_there() {
    let secrets = Secrets::made();
    let contents = || -> Vec<(PathBuf, Vec<u8>)> {
        let files = secret_files();
        let files = files.values().map(|f| secrets.file(f));
        files
            .map(|f| {
                (
                    f.clone(),
                    fs::read(&f).unwrap_or_else(|e| panic!("{}: {e}", f.display())),
                )
            })
            .collect()
    };
    let first = contents();
    for (file, bytes) in &first {
        assert!(!bytes.is_empty(), "{}", file.display());
        let mode = fs::metadata(file).unwrap().permissions().mode() & 0o777;
        let public = file.ends_with("authority.pem");
        assert_eq!(mode & 0o077 == 0, !public, "{}: {mode:03o}", file.display());
    }
    assert!(secrets.folder().join("tenants").is_dir());
    secrets.make();
    for ((file, before), (_, after)) in first.iter().zip(contents()) {
        // A password's hash has a new salt each time.
        if !file.ends_with("definitions.json") {
            assert!(*before == after, "{} was made anew", file.display());
        }
    }
    // Everybody who logs in can.
    let definitions: Value =
        serde_json::from_slice(&fs::read(secrets.folder().join("definitions.json")).unwrap()).unwrap();
    for user in definitions["users"].as_array().unwrap() {
        assert_ne!(user["password_hash"], "", "{user}");
    }
    for server in ["rabbitmq", "redis"] {
        let ran = Command::new("openssl")
            .current_dir(secrets.folder())
            .args([
                "verify",
                "-CAfile",
                "authority.pem",
                "-verify_hostname",
                server,
                &format!("{server}.pem"),
            ])
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{server}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

/// One role in a folder of its own, with what Compose mounts for it.
struct Role {
    name: String,
    dir: PathBuf,
    args: Vec<String>,
}

impl Role {
    fn of(name: &str, service: &Value, secrets: &Secrets, home: &Path, servers: &Servers) -> Self {
        let dir = home.join(name);
        let keys = dir.join("keys");
        fs::create_dir_all(keys.join("queues")).unwrap();
        symlink(secrets.folder().join("tenants"), dir.join("tenants")).unwrap();
        let files = secret_files();
        for (secret, target) in mounted(service) {
            let to = keys.join(target.strip_prefix("/run/offboard/keys/").unwrap());
            fs::copy(secrets.file(&files[&secret]), &to).unwrap();
            // Who mounts it gives it to the one who reads it.
            let mode = if secret == "authority" { 0o444 } else { 0o400 };
            fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
        }
        if let Some(public) = public_keys(service) {
            let from = secrets.file(Path::new(public.trim_start_matches("./")));
            symlink(from, keys.join("public")).unwrap();
        }
        let text = read(Path::new("deploy").join(configuration_of(service)))
            .replace("/run/offboard/keys", &keys.display().to_string())
            .replace("/var/lib/offboard", &home.join("state").display().to_string())
            .replace(
                "rediss://redis:6379",
                &servers.redis.url().replace("127.0.0.1", "localhost"),
            )
            .replace(
                "amqps://rabbitmq:5671",
                &format!("amqps://localhost:{}", servers.rabbit.tls_port()),
            )
            .replace("0.0.0.0:9464", &format!("0.0.0.0:{}", free_port().unwrap()));
        fs::write(dir.join("offboard.toml"), text).unwrap();
        Self {
            name: name.to_owned(),
            dir,
            args: texts(&service["command"]),
        }
    }

    fn args<'a>(&'a self, args: &'a [String]) -> Vec<&'a str> {
        let dir = ["-C", self.dir.to_str().unwrap()];
        dir.into_iter().chain(args.iter().map(String::as_str)).collect()
    }
}

struct Servers {
    rabbit: Rabbit,
    redis: Redis,
}

impl Servers {
    /// Broker and ledger with their deployed files and what the script made for them.
    fn start(secrets: &Secrets) -> Self {
        Self {
            rabbit: rabbit(secrets, ("", "")).unwrap(),
            redis: redis(secrets, ("", "")).unwrap(),
        }
    }
}

/// A broker with `rabbitmq.conf` as it is deployed but for where its files are; of a
/// key that is misspelt: its name, and what stands there instead.
fn rabbit(secrets: &Secrets, (key, misspelt): (&str, &str)) -> Result<Rabbit, StartError> {
    let definitions = fs::read_to_string(secrets.folder().join("definitions.json")).unwrap();
    let mut file = read("deploy/rabbitmq/rabbitmq.conf").replace(key, misspelt);
    for (deployed, made) in [
        ("authority.pem", "authority.pem"),
        ("server.pem", "rabbitmq.pem"),
        ("server.key", "rabbitmq.key"),
    ] {
        let made = secrets.folder().join(made);
        file = file.replace(&format!("/etc/rabbitmq/tls/{deployed}"), made.to_str().unwrap());
    }
    assert!(!file.contains("/etc/rabbitmq/tls"), "{file}");
    Rabbit::start(RabbitOptions {
        definitions: Some(serde_json::from_str(&definitions).unwrap()),
        file: Some(file),
        ..RabbitOptions::default()
    })
}

/// The same of a ledger and `redis.conf`. What the tests' own servers are told is
/// the contrary of what the file says, so that it must say it. The user that nobody
/// names stays the tests'.
fn redis(secrets: &Secrets, (key, misspelt): (&str, &str)) -> Result<Redis, StartError> {
    let made = |file: &str| secrets.folder().join(file).display().to_string();
    let users = fs::read_to_string(made("users.acl")).unwrap();
    assert!(users.starts_with("user default off\n"), "{users}");
    let of_the_tests = made("users-of-the-tests.acl");
    let whoever = "user default on nopass ~* &* +@all";
    fs::write(&of_the_tests, users.replace("user default off", whoever)).unwrap();
    let file = read("deploy/redis/redis.conf");
    assert!(file.contains("aclfile /etc/redis/users.acl\n"), "{file}");
    let deployed = made("redis-of-the-tests.conf");
    let file = file.replace("/etc/redis/users.acl", &format!("\"{of_the_tests}\""));
    fs::write(&deployed, file.replace(key, misspelt)).unwrap();
    let tls = |key: &str, file: &str| format!("{key} \"{}\"", made(file));
    Redis::start(&RedisOptions {
        tls: Tls::Server,
        fsync: Fsync::EverySecond,
        append_only: false,
        eviction: "allkeys-lru",
        more: vec![
            tls("tls-cert-file", "redis.pem"),
            tls("tls-key-file", "redis.key"),
            tls("tls-ca-cert-file", "authority.pem"),
            format!("include \"{deployed}\""),
        ],
        ..RedisOptions::default()
    })
}

#[test]
fn a_key_that_a_server_does_not_know_keeps_it_from_starting() {
    let secrets = Secrets::made();
    let refused = rabbit(&secrets, ("consumer_timeout", "consumer_timeot")).unwrap_err();
    assert!(refused.to_string().contains("consumer_timeot"), "{refused}");
    let refused = redis(&secrets, ("appendfsync always", "appendfsnc always")).unwrap_err();
    assert!(refused.to_string().contains("appendfsnc"), "{refused}");
}

#[test]
fn every_role_starts_with_what_compose_gives_it_and_says_that_it_is_well() {
    let secrets = Secrets::made();
    let servers = Servers::start(&secrets);
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::empty();
    let mut clerk = None;
    let mut running: Vec<(Role, Running)> = Vec::new();
    for (name, service) in ours() {
        let role = Role::of(&name, &service, &secrets, home.path(), &servers);
        if name == "clerk" {
            clerk = Some(role);
        } else {
            let process = folder.start(&role.args(&role.args));
            running.push((role, process));
        }
    }
    assert_eq!(running.len(), 8);
    for (key, value) in [
        ("maxmemory-policy", "noeviction"),
        ("appendonly", "yes"),
        ("appendfsync", "always"),
    ] {
        let said = servers.redis.command(&["CONFIG", "GET", key]).unwrap();
        assert_eq!(said.text(), format!("{key}\n{value}"));
    }
    let ask = |role: &Role, args: &[&str]| {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        folder.run(&role.args(&args))
    };
    for (role, process) in &mut running {
        until(&format!("{} is well", role.name), || {
            assert!(process.is_running(), "{} ended", role.name);
            ask(role, &["health"]).code == Some(0)
        });
        let alive = ask(role, &["health", "--alive", "--json"]).expect(0).json();
        assert_eq!(alive["alive"], true, "{}: {alive}", role.name);
    }
    let clerk = clerk.unwrap();
    folder.run(&clerk.args(&clerk.args)).expect(0);
    // Nobody misses what another role has.
    for role in running.iter().map(|(role, _)| role).chain([&clerk]) {
        let said = ask(role, &["doctor"]).expect(0).out;
        assert!(!said.contains("offboard keys create"), "{}: {said}", role.name);
    }
    // With a public key it is said that this is no evidence, without one that none is here.
    folder.write("no-evidence.json", "{}");
    ask(&clerk, &["verify", "no-evidence.json"]).expect(4);
    let (dispatcher, _) = running.iter().find(|(r, _)| r.name == "dispatcher").unwrap();
    let dead = ask(dispatcher, &["list", "--dead"]).expect(0);
    assert_eq!(
        dead.err.trim(),
        "No message was buried, or a dispatcher is looking through all of them at this moment."
    );
    // The order to end is followed, and nobody answers any more.
    for (role, process) in running {
        process.signal("TERM");
        process.wait().expect(0);
        let gone = ask(&role, &["health"]).expect(1);
        assert!(gone.err.contains("failed to ask"), "{}", gone.err);
    }
}
