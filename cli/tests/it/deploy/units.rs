//! The systemd units: they parse, run what the program takes, and are shut in.

use crate::deploy::commands::accepted;
use crate::deploy::compose::longest_attempt_s;
use crate::deploy::configuration::queues;
use crate::deploy::files::{deploy, read};
use crate::deploy::operations::how_systems_are_asked;
use clap::Parser as _;
use offboard_cli::args::{Cli, Command, Keys};
use offboard_domain::Area;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const UNITS: [&str; 5] = [
    "offboard-serve.service",
    "offboard-dispatcher.service",
    "offboard-worker@.service",
    "offboard-site@.service",
    "offboard-closer.service",
];
const HARDENING: &str = "offboard-.service.d/10-hardening.conf";

/// What may stand in each section: what is used of systemd.unit(5), systemd.service(5),
/// systemd.exec(5), systemd.kill(5) and systemd.resource-control(5). systemd reads over
/// a key that it does not know, and the unit is a little less shut in.
const KEYS: [(&str, &str); 3] = [
    (
        "Unit",
        "After Description RequiresMountsFor StartLimitIntervalSec Wants",
    ),
    (
        "Service",
        "AmbientCapabilities CapabilityBoundingSet DevicePolicy EnvironmentFile ExecReload ExecStart ExecStartPre \
         Group KeyringMode KillMode KillSignal LimitCORE LimitNOFILE LoadCredential LockPersonality \
         MemoryDenyWriteExecute MemoryMax NoNewPrivileges OOMPolicy PrivateDevices PrivateTmp ProcSubset \
         ProtectClock ProtectControlGroups ProtectHome ProtectHostname ProtectKernelLogs ProtectKernelModules \
         ProtectKernelTunables ProtectProc ProtectSystem ReadWritePaths RemoveIPC Restart RestartSec \
         RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID RuntimeDirectory \
         RuntimeDirectoryMode StandardError StandardOutput StateDirectory StateDirectoryMode \
         SystemCallArchitectures SystemCallErrorNumber SystemCallFilter TasksMax TimeoutStopSec Type UMask User",
    ),
    ("Install", "WantedBy"),
];

/// What a unit says: section and key, with every value in order.
type Said = BTreeMap<(String, String), Vec<String>>;

/// Reads a unit or a part of one; what is no line of a unit is an error.
fn said(file: &str) -> Said {
    let mut said = Said::new();
    let mut section = String::new();
    for line in read(format!("deploy/systemd/{file}")).lines() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            assert!(["Unit", "Service", "Install"].contains(&name), "{file}: {line}");
            name.clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{file}: {line}"));
        let known = KEYS.iter().find(|(of, _)| *of == section);
        let known = known.is_some_and(|(_, keys)| keys.split_whitespace().any(|k| k == key));
        assert!(known, "{file}: [{section}] has no {key}");
        said.entry((section.clone(), key.to_owned()))
            .or_default()
            .push(value.to_owned());
    }
    said
}

/// A unit with what holds for all of them, as systemd puts them together.
fn whole(unit: &str) -> Said {
    let mut whole = said(unit);
    for (key, values) in said(HARDENING) {
        whole.entry(key).or_default().extend(values);
    }
    whole
}

#[track_caller]
fn one<'a>(unit: &'a Said, key: &str) -> &'a str {
    let values = unit
        .get(&("Service".to_owned(), key.to_owned()))
        .unwrap_or_else(|| panic!("{key} is absent"));
    let [value] = &values[..] else {
        panic!("{key}: {values:?}")
    };
    value
}

fn all<'a>(unit: &'a Said, key: &str) -> &'a [String] {
    unit.get(&("Service".to_owned(), key.to_owned()))
        .map_or(&[], |v| &v[..])
}

/// For an instance of this name, if it is a template.
fn of_instance(text: &str, name: &str) -> String {
    text.replace("%i", name)
        .replace("%t", "/run")
        .replace("%d", "/run/credentials")
}

/// What a line of a unit runs.
#[track_caller]
fn ran(line: &str, instance: &str) -> Cli {
    let line = of_instance(line, instance);
    assert!(!line.contains('%'), "{line}");
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/offboard"), "{line}");
    let args: Vec<String> = words.map(str::to_owned).collect();
    accepted(&args, &line);
    Cli::parse_from(std::iter::once("offboard".to_owned()).chain(args))
}

#[test]
fn every_unit_is_there_and_looked_at() {
    let mut files: BTreeSet<String> = std::fs::read_dir(deploy().join("systemd"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    files.retain(|f| f.ends_with(".service"));
    assert_eq!(files, UNITS.map(str::to_owned).into());
}

#[test]
fn every_unit_is_shut_in_and_comes_back() {
    for unit in UNITS {
        let whole = whole(unit);
        for (key, value) in [
            ("ProtectSystem", "strict"),
            ("ProtectHome", "yes"),
            ("PrivateTmp", "yes"),
            ("PrivateDevices", "yes"),
            ("ProtectKernelTunables", "yes"),
            ("ProtectKernelModules", "yes"),
            ("ProtectKernelLogs", "yes"),
            ("ProtectControlGroups", "yes"),
            ("ProtectClock", "yes"),
            ("ProtectHostname", "yes"),
            ("ProtectProc", "invisible"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""),
            ("AmbientCapabilities", ""),
            ("RestrictSUIDSGID", "yes"),
            ("RestrictNamespaces", "yes"),
            ("RestrictRealtime", "yes"),
            ("LockPersonality", "yes"),
            ("MemoryDenyWriteExecute", "yes"),
            ("SystemCallArchitectures", "native"),
            ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
            ("LimitCORE", "0"),
            ("Restart", "always"),
            ("KillSignal", "SIGTERM"),
        ] {
            assert_eq!(one(&whole, key), value, "{unit}: {key}");
        }
        assert_eq!(
            all(&whole, "SystemCallFilter"),
            ["@system-service", "~@privileged @resources"],
            "{unit}"
        );
        assert!(one(&whole, "MemoryMax").ends_with(['M', 'G']), "{unit}");
        // Restarted for ever, not given up after some tries.
        let tries = &whole[&("Unit".to_owned(), "StartLimitIntervalSec".to_owned())];
        assert_eq!(*tries, ["0"], "{unit}");
        let user = one(&whole, "User");
        let users = read("deploy/systemd/sysusers.conf");
        assert!(users.contains(&format!("\nu {user} ")), "{unit}: {user}");
        assert!(
            whole.contains_key(&("Install".to_owned(), "WantedBy".to_owned())),
            "{unit}"
        );
    }
}

#[test]
fn every_unit_runs_what_the_program_takes() {
    for unit in UNITS {
        let whole = whole(unit);
        let instance = if unit.contains("site") {
            "headquarters"
        } else {
            "identity"
        };
        let cli = ran(one(&whole, "ExecStart"), instance);
        let stop: i64 = one(&whole, "TimeoutStopSec").parse().unwrap();
        let dir = cli.global.dir.display().to_string();
        match cli.command {
            Command::Serve => {
                assert_eq!(unit, "offboard-serve.service");
                assert_eq!(dir, format!("/var/lib/{}", one(&whole, "StateDirectory")));
                assert!(stop > longest_attempt_s());
                continue;
            }
            Command::Dispatcher => assert_eq!(dir, "/etc/offboard/dispatcher"),
            Command::Closer => assert_eq!(dir, "/etc/offboard/closer"),
            Command::Worker { areas, site: None } => {
                assert_eq!(
                    (areas, &dir[..]),
                    (vec![Area::Identity], "/etc/offboard/worker-identity")
                );
                assert!(stop > longest_attempt_s(), "{stop}");
            }
            Command::Worker { areas, site } => {
                assert_eq!((areas, site.as_deref()), (Vec::new(), Some("headquarters")));
                assert_eq!(dir, "/etc/offboard/site-headquarters");
                assert!(stop > longest_attempt_s(), "{stop}");
            }
            other => panic!("{unit}: {other:?}"),
        }
        // Its keys come to where its configuration looks for them.
        let Command::Keys {
            what: Keys::Copy { from, to },
        } = ran(one(&whole, "ExecStartPre"), instance).command
        else {
            panic!("{unit}")
        };
        assert_eq!(from, PathBuf::from("/run/credentials"));
        let run = of_instance(one(&whole, "RuntimeDirectory"), instance);
        assert_eq!(to, PathBuf::from(format!("/run/{run}/keys")), "{unit}");
        assert_eq!(one(&whole, "RuntimeDirectoryMode"), "0700", "{unit}");
        assert_eq!(one(&whole, "ExecReload"), "/bin/kill -HUP $MAINPID", "{unit}");
        // The store is the group's, so what is made in it is, too.
        assert_eq!(
            (one(&whole, "Group"), one(&whole, "UMask")),
            ("offboard", "0007"),
            "{unit}"
        );
        let folders = read("deploy/systemd/tmpfiles.conf");
        for path in one(&whole, "ReadWritePaths").split(' ') {
            assert!(folders.contains(&format!("\nd {path} 2")), "{unit}: {path}");
        }
    }
}

/// What a unit is given: the credential's name, for an instance.
fn credentials(said: &Said, instance: &str) -> BTreeSet<String> {
    let given = all(said, "LoadCredential").iter();
    given
        .map(|line| {
            let (name, path) = line.split_once(':').unwrap();
            assert!(path.starts_with("/etc/offboard/credentials/"), "{line}");
            of_instance(name, instance)
        })
        .collect()
}

#[test]
fn every_role_has_its_keys_and_no_others() {
    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|n| (*n).to_owned()).collect() };
    let base = set(&["authority.pem", "queue.password"]);
    let of = |file: &str, instance: &str| credentials(&said(file), instance);
    let with = |more: &[&str]| base.union(&set(more)).cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        of("offboard-dispatcher.service", ""),
        with(&["master.key", "dispatch.key", "ledger.password"])
    );
    assert_eq!(
        of("offboard-closer.service", ""),
        with(&["master.key", "signing.pem", "ledger.password"])
    );
    for area in Area::MACHINES {
        let own: Vec<String> = queues()
            .into_iter()
            .filter(|q| q.contains(&format!(".{area}.")))
            .map(|q| format!("{q}.key"))
            .collect();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        assert_eq!(of("offboard-worker@.service", area.word()), with(&own));
    }
    assert_eq!(
        of("offboard-worker@device.service.d/10-escrow.conf", ""),
        set(&["escrow.key"])
    );
    let site = "headquarters";
    // No escrow.key: that is the key to every client's recovery keys.
    let own: BTreeSet<String> = offboard_cli::backends::assignments(Area::MACHINES, Some(site))
        .iter()
        .map(|q| format!("{q}.key"))
        .collect();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    assert_eq!(of("offboard-site@.service", site), with(&own));
    assert!(credentials(&said("offboard-serve.service"), "").is_empty());
}

/// `doctor` beside a unit, as the page has it, is the unit's user in the unit's folder with the
/// unit's secrets.
#[test]
fn a_clients_systems_are_asked_as_whom_a_unit_runs_with_its_secrets() {
    let lines = how_systems_are_asked();
    let commands: Vec<&String> = lines.iter().filter(|l| l.contains("systemd-run")).collect();
    assert_eq!(commands.len(), 2);
    for (command, unit) in commands
        .into_iter()
        .zip(["offboard-serve.service", "offboard-worker@.service"])
    {
        let whole = whole(unit);
        let has = |word: &str| command.split(' ').any(|w| w == word);
        assert!(has(&format!("--uid={}", one(&whole, "User"))), "{command}");
        assert!(
            has(&format!("EnvironmentFile={}", one(&whole, "EnvironmentFile"))),
            "{command}"
        );
        let started = of_instance(one(&whole, "ExecStart"), "identity");
        let (folder, _) = started
            .rsplit_once(" serve")
            .or_else(|| started.split_once(" worker "))
            .unwrap();
        assert!(command.contains(&format!(" {folder} doctor ")), "{command}: {folder}");
        if unit.contains("worker") {
            // What it writes into the store stays the group's.
            assert!(has(&format!("--gid={}", one(&whole, "Group"))), "{command}");
            assert!(has(&format!("UMask={}", one(&whole, "UMask"))), "{command}");
        }
    }
}
