use super::*;
use offboard_domain::departure::{Forwarding, Meetings};
use offboard_domain::policy::SuccessorRule;
use offboard_domain::{Area, Kind, Lane, Policy, System};
use std::collections::BTreeSet;

const ENGINE: &str = include_str!("../../../../deploy/example/offboard.toml");
const TENANT: &str = include_str!("../../../../deploy/example/tenants/contoso.toml");

/// The example with every "#key = value" line switched on.
fn switched_on(text: &str) -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(on).collect()
}

/// The example's further systems, which stand there as comments of their own: each of them.
fn further_systems(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut within = false;
    for line in text.lines() {
        let shown = line.strip_prefix("#   ");
        within = shown.is_some_and(|l| within || l.starts_with("[systems."));
        match shown.filter(|_| within) {
            Some(first) if first.starts_with('[') => blocks.push(format!("{first}\n")),
            Some(next) => {
                if let Some(block) = blocks.last_mut() {
                    block.push_str(next);
                    block.push('\n');
                }
            }
            None => {}
        }
    }
    blocks
}

fn tenant(text: &str) -> (Option<Tenant>, Vec<String>) {
    let id = TenantId::new("contoso").unwrap();
    let (tenant, found) = parse_tenant(Path::new("contoso.toml"), text, id, Path::new("/w"));
    (tenant, found.problems.iter().map(ToString::to_string).collect())
}

fn engine(text: &str) -> (Engine, Vec<String>) {
    let (engine, found) = parse_engine(Path::new("offboard.toml"), text, Path::new("/w"));
    (engine, found.problems.iter().map(ToString::to_string).collect())
}

/// Every key path that stands in a TOML text.
fn paths(text: &str) -> BTreeSet<String> {
    fn walk(prefix: &str, table: &toml::Table, out: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            out.insert(path.clone());
            if let toml::Value::Table(inner) = value {
                walk(&path, inner, out);
            }
        }
    }
    let mut out = BTreeSet::new();
    walk("", &text.parse().unwrap(), &mut out);
    out
}

#[test]
fn the_example_names_every_key_of_the_engine_with_its_default() {
    let dir = Path::new("/w");
    let on = switched_on(ENGINE);
    let (mut switched, found) = parse_engine(Path::new("offboard.toml"), &on, dir);
    assert_eq!(found.problems, []);
    let shown = paths(&on);
    let absent: Vec<_> = found
        .known
        .difference(&shown)
        // The other form of a reference: in the text above it.
        .filter(|k| *k != "telemetry.headers.authorization.file")
        .filter(|k| {
            !["password.file", "key_id.file", "key.file", "session_token.file"]
                .iter()
                .any(|e| k.ends_with(e))
        })
        // Refused where evidence is a folder: in the text above as well.
        .filter(|k| !["connect.evidence.lock", "connect.evidence.keep"].contains(&k.as_str()))
        .cloned()
        .collect();
    assert_eq!(absent, Vec::<String>::new(), "keys that the example does not show");
    // What the example says has no default.
    let telemetry = &mut switched.telemetry;
    assert_eq!(telemetry.otlp.take().as_deref(), Some("http://127.0.0.1:4318"));
    assert_eq!(telemetry.headers.len(), 1);
    telemetry.headers.clear();
    assert_eq!(telemetry.sample_ppm.take(), Some(1_000_000));
    assert!(telemetry.listen.take().is_some() && telemetry.instance.take().is_some());
    // Of no meaning to the ledger and queue of the example: shown all the same.
    assert_eq!(switched, Engine::defaults(dir));
    assert_eq!(engine(ENGINE), (Engine::defaults(dir), vec![]));
}

#[test]
fn servers_are_named_without_their_passwords() {
    let (engine, problems) = engine(
        "ledger = \"redis-sentinel://a:26379,b:26379/main\"\nqueue = \"amqps://rabbit.example:5671\"\nshards = 8\n\
         [connect.queue]\nuser = \"offboard-dispatcher\"\npassword = { env = \"OFFBOARD_QUEUE_PASSWORD\" }\nca = \"ca.pem\"\n",
    );
    assert_eq!(problems, Vec::<String>::new());
    let QueueUrl::Rabbit(queue) = &engine.queue else {
        panic!("{:?}", engine.queue)
    };
    assert_eq!(queue.access.user.as_deref(), Some("offboard-dispatcher"));
    assert_eq!(queue.access.ca.as_deref(), Some(Path::new("/w/ca.pem")));
    assert!(matches!(&engine.ledger, LedgerUrl::Redis(r) if r.url.ends_with("/main")));
    assert_eq!(engine.shards, 8);
}

#[test]
fn a_ledger_is_named_by_every_scheme_that_it_knows() {
    for url in [
        "redis://a:6379",
        "rediss://a:6379",
        "redis-cluster://a:6379,b:6379",
        "rediss-cluster://a:6379,b:6379",
        "redis-sentinel://a:26379,b:26379/main",
        "rediss-sentinel://a:26379,b:26379/main",
    ] {
        let (engine, problems) = engine(&format!("ledger = \"{url}\"\nqueue = \"amqps://h\"\n"));
        assert_eq!(problems, Vec::<String>::new(), "{url}");
        assert!(matches!(&engine.ledger, LedgerUrl::Redis(r) if r.url == url), "{url}");
    }
}

#[test]
fn who_one_is_at_the_sentinels_is_named_beside_who_one_is_at_the_ledger() {
    let (named, problems) = engine(
        "ledger = \"rediss-sentinel://a:26379/main\"\nqueue = \"amqps://h\"\n\
         [connect.ledger]\nuser = \"offboard-dispatcher\"\npassword = { env = \"LEDGER\" }\n\
         sentinel_user = \"offboard\"\nsentinel_password = { file = \"sentinels\" }\n",
    );
    assert_eq!(problems, Vec::<String>::new());
    let LedgerUrl::Redis(ledger) = &named.ledger else {
        panic!("{:?}", named.ledger)
    };
    assert_eq!(ledger.access.user.as_deref(), Some("offboard-dispatcher"));
    assert_eq!(ledger.access.password, Some(SecretRef::Env("LEDGER".into())));
    assert_eq!(ledger.access.sentinel_user.as_deref(), Some("offboard"));
    assert_eq!(
        ledger.access.sentinel_password,
        Some(SecretRef::File("/w/sentinels".into()))
    );

    // The password itself is refused and not repeated; a broker has no sentinels.
    for (text, expected) in [
        ("[connect.ledger]\nsentinel_password = \"hunter2\"", "sentinel_password"),
        ("[connect.queue]\nsentinel_user = \"offboard\"", "sentinel_user"),
    ] {
        let (_, problems) = engine(text);
        assert!(problems.iter().any(|p| p.contains(expected)), "{text}: {problems:?}");
        assert!(!problems.iter().any(|p| p.contains("hunter2")), "{problems:?}");
    }
}

#[test]
fn who_looks_at_the_ledgers_settings_is_named_beside_who_one_is_there() {
    let (named, problems) = engine(
        "ledger = \"rediss://a:6379\"\nqueue = \"amqps://h\"\n\
         [connect.ledger]\nuser = \"offboard-dispatcher\"\npassword = { env = \"LEDGER\" }\n\
         health_user = \"offboard-health\"\nhealth_password = { file = \"health\" }\n",
    );
    assert_eq!(problems, Vec::<String>::new());
    let LedgerUrl::Redis(ledger) = &named.ledger else {
        panic!("{:?}", named.ledger)
    };
    assert_eq!(ledger.access.user.as_deref(), Some("offboard-dispatcher"));
    assert_eq!(ledger.access.health_user.as_deref(), Some("offboard-health"));
    assert_eq!(ledger.access.health_password, Some(SecretRef::File("/w/health".into())));

    for alone in [
        "health_user = \"offboard-health\"",
        "health_password = { file = \"health\" }",
    ] {
        let text = format!("ledger = \"rediss://a:6379\"\nqueue = \"amqps://h\"\n[connect.ledger]\n{alone}\n");
        let (_, problems) = engine(&text);
        let [problem] = &problems[..] else {
            panic!("{alone}: {problems:?}")
        };
        let names_both = problem.contains("health_user") && problem.contains("health_password");
        assert!(names_both, "{alone}: {problem}");
    }
    for (text, expected) in [
        ("[connect.ledger]\nhealth_password = \"hunter2\"", "health_password"),
        ("[connect.queue]\nhealth_user = \"offboard-health\"", "health_user"),
    ] {
        let (_, problems) = engine(text);
        assert!(problems.iter().any(|p| p.contains(expected)), "{text}: {problems:?}");
        assert!(!problems.iter().any(|p| p.contains("hunter2")), "{problems:?}");
    }
}

#[test]
fn servers_that_do_not_fit_together_and_passwords_in_urls_are_refused() {
    for (text, expected) in [
        ("queue = \"amqp://u:hunter2@h\"\nledger = \"redis://h\"", "by reference"),
        ("ledger = \"redis://h\"", "queue in memory is not"),
        ("queue = \"amqp://h\"", "needs no broker"),
        ("ledger = \"http://h\"", "a ledger's URL"),
        ("queue = \"amqp://\"\nledger = \"redis://h\"", "a queue's URL"),
    ] {
        let (_, problems) = engine(text);
        assert!(problems.iter().any(|p| p.contains(expected)), "{text}: {problems:?}");
        assert!(!problems.iter().any(|p| p.contains("hunter2")), "{problems:?}");
    }
}

#[test]
fn buckets_are_named_without_their_keys() {
    let (engine, problems) = engine(
        "store = \"gs://snapshots\"\nevidence = \"s3://proof/of/msp/\"\n\
         [connect.store]\nkey = { file = \"google.json\" }\n\
         [connect.evidence]\nendpoint = \"https://ceph.example/\"\npath_style = false\nregion = \"eu\"\n\
         key_id = { env = \"ID\" }\nkey = { env = \"KEY\" }\nca = \"ca.pem\"\nlock = \"governance\"\nkeep = \"10d\"\n",
    );
    assert_eq!(problems, Vec::<String>::new());
    let StoreUrl::Bucket(store) = &engine.store else {
        panic!("{:?}", engine.store)
    };
    assert_eq!((store.cloud, store.lock), (Cloud::Google, None));
    assert_eq!(store.access.key, Some(SecretRef::File("/w/google.json".into())));
    let StoreUrl::Bucket(evidence) = &engine.evidence else {
        panic!("{:?}", engine.evidence)
    };
    assert_eq!(evidence.to_string(), "s3://proof/of/msp");
    let lock = Lock {
        mode: LockMode::Governance,
        keep_ms: 864_000_000,
    };
    assert_eq!(evidence.lock, Some(lock));
    let access = BucketAccess {
        endpoint: Some("https://ceph.example".into()),
        region: Some("eu".into()),
        path_style: Some(false),
        key_id: Some(SecretRef::Env("ID".into())),
        key: Some(SecretRef::Env("KEY".into())),
        ca: Some("/w/ca.pem".into()),
        ..BucketAccess::default()
    };
    assert_eq!(evidence.access, access);
    for folder in ["evidence = \"kept/here\"", "evidence = \"file:kept/here\""] {
        let (engine, problems) = self::engine(folder);
        assert_eq!(
            (problems.len(), engine.evidence.to_string().as_str()),
            (0, "/w/kept/here")
        );
    }
}

#[test]
fn buckets_that_cannot_be_reached_so_or_cannot_lock_are_refused() {
    let key = "key_id = { env = \"I\" }\nkey = { env = \"K\" }\n";
    for (text, expected) in [
        ("store = \"s4://bucket\"".to_owned(), "a store's URL"),
        ("store = \"data/store\"".to_owned(), "a store's URL"),
        ("store = \"s3://a\"".to_owned(), "a store's URL"),
        ("store = \"s3://Bucket\"".to_owned(), "a store's URL"),
        ("store = \"s3://bucket/../other\"".to_owned(), "a store's URL"),
        (
            "store = \"s3://key:hunter2@bucket\"".to_owned(),
            "a URL with a user in it",
        ),
        ("evidence = \"https://bucket.s3.example\"".to_owned(), "a store's URL"),
        (
            "store = \"s3://bucket\"\n[connect.store]\nkey = { env = \"K\" }".to_owned(),
            "'key_id' and 'key' go together",
        ),
        ("store = \"azure://bucket\"".to_owned(), "missing 'account'"),
        (
            "store = \"s3://bucket\"\n[connect.store]\nendpoint = \"http://s3.example\"".to_owned(),
            "https://",
        ),
        (
            "store = \"s3://bucket\"\n[connect.store]\nlock = \"compliance\"".to_owned(),
            "unknown key",
        ),
        (
            format!("evidence = \"s3://bucket\"\n[connect.evidence]\n{key}lock = \"compliance\""),
            "go together",
        ),
        (
            format!("evidence = \"s3://bucket\"\n[connect.evidence]\n{key}lock = \"compliance\"\nkeep = \"1h\""),
            "at least a day",
        ),
        (
            "evidence = \"kept\"\n[connect.evidence]\nlock = \"compliance\"\nkeep = \"9d\"".to_owned(),
            "cannot be locked",
        ),
        (
            "evidence = \"gs://bucket\"\n[connect.evidence]\nlock = \"compliance\"\nkeep = \"9d\"".to_owned(),
            "retention policy",
        ),
        (
            "evidence = \"azure://bucket\"\n[connect.evidence]\naccount = \"a\"\nlock = \"compliance\"\nkeep = \"9d\""
                .to_owned(),
            "retention policy",
        ),
        (
            "store = \"s3://bucket\"\n[connect.store]\nkey_id = { env = \"I\" }\nkey = \"hunter2\"".to_owned(),
            "literal secret",
        ),
    ] {
        let (_, problems) = engine(&text);
        assert!(problems.iter().any(|p| p.contains(expected)), "{text}: {problems:?}");
        assert!(!problems.iter().any(|p| p.contains("hunter2")), "{problems:?}");
    }
}

#[test]
fn the_example_names_every_key_of_a_tenant_with_its_default() {
    let on = switched_on(TENANT);
    let id = TenantId::new("contoso").unwrap();
    let (switched, found) = parse_tenant(Path::new("contoso.toml"), &on, id, Path::new("/w"));
    assert_eq!(found.problems, []);
    let shown = paths(&on);
    let absent: Vec<_> = found
        .known
        .difference(&shown)
        // The other forms of a credential: in the text above it.
        .filter(|k| !k.starts_with("systems.m365.certificate") && *k != "systems.m365.client_secret.file")
        .cloned()
        .collect();
    assert_eq!(absent, Vec::<String>::new(), "keys that the example does not show");

    let (plain, problems) = tenant(TENANT);
    assert_eq!(problems, Vec::<String>::new());
    let (mut switched, plain) = (switched.unwrap(), plain.unwrap());
    // What the example says has no default.
    assert_eq!(switched.policy.hold_days.take(), Some(365));
    assert_eq!(switched.policy.archive_years.take(), Some(10));
    assert!(switched.policy.automatic_reply.take().is_some());
    assert_eq!(std::mem::take(&mut switched.policy.shared_credentials).len(), 2);
    assert_eq!(std::mem::take(&mut switched.policy.known_apps).len(), 1);
    assert_eq!(std::mem::take(&mut switched.policy.covered_apps).len(), 1);
    assert_eq!(switched.policy.licence_price_cents["SPE_E3"], 3690);
    switched.policy.licence_price_cents.clear();
    assert_eq!(switched.intake.columns.len(), Field::ALL.len());
    switched.intake.columns.clear();
    for system in switched.systems.values_mut() {
        let SystemKind::Graph(graph) = &mut system.kind else {
            continue;
        };
        assert!(system.site.take().is_some() && graph.sharepoint_url.take().is_some());
    }
    assert_eq!(switched, plain);
    assert_eq!(plain.policy, Policy::default());
}

#[test]
fn every_further_system_of_the_example_reads_as_it_stands_there() {
    let mut kinds = Vec::new();
    for block in further_systems(TENANT) {
        let (read, problems) = tenant(&format!("{TENANT}\n{block}"));
        assert_eq!(problems, Vec::<String>::new(), "{block}");
        assert_eq!(read.unwrap().systems.len(), 2, "{block}");
        let kind = block.lines().find_map(|l| l.strip_prefix("kind = "));
        kinds.push(kind.unwrap().trim_matches('"').to_owned());
    }
    let shown = [
        "imap",
        "google",
        "scim",
        "ninja",
        "halo",
        "connectwise",
        "autotask",
        "confluence",
    ];
    assert_eq!(kinds, shown);

    let secret = "client_secret = { env = \"OFFBOARD_CONTOSO_M365_SECRET\" }\n";
    let certificate = "certificate = \"secrets/contoso.pem\"\ncertificate_key = { file = \"secrets/contoso.key\" }\n";
    for line in certificate.lines() {
        assert!(TENANT.contains(&format!("#   {line}\n")), "{line}");
    }
    let (_, problems) = tenant(&TENANT.replace(secret, certificate));
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_tenant_as_somebody_would_write_it() {
    let text = r#"
        name = "Fabrikam"
        time_zone = "America/New_York"
        weight = 3
        working_hours = { days = ["mon", "sat"], from = "09:30", to = "18:00" }
        [systems.m365]
        kind = "graph"
        directory = "fabrikam.onmicrosoft.com"
        client_id = "66666666-7777-8888-9999-00000000000f"
        client_secret = { file = "secrets/m365" }
        graph_url = "http://127.0.0.1:8080/graph/"
        covers = ["Expense Tool", "AAAAAAAA-2222-3333-4444-555555555555"]
        [intake]
        delimiter = "semicolon"
        date_formats = ["mm/dd/yyyy", "iso"]
        columns = { mail = "Work e-mail", effective_at = ["Last day", "End"] }
        [policy]
        successor = { mail = "it@fabrikam.example" }
        protected = ["BreakGlass@fabrikam.example"]
        known_apps = ["Visitor Log"]
        skip = ["mailbox.hide_from_address_lists"]
        forwarding = "successor"
        meetings = "hand_over"
        shared_mailbox_max = "500 MB"
        shared_credentials = ["Door code", " Guest Wi-Fi "]
        approvals = { overdue_after = "2d 12h", irreversible_delay = "90m", approvers = ["Lee"], approver_may_hand_in = true }
        licences = { currency = "USD", monthly_prices = { SPE_E3 = 36.9, SPE_E5 = 57, F1 = "2.25" } }
    "#;
    let (tenant, problems) = tenant(text);
    assert_eq!(problems, Vec::<String>::new());
    let t = tenant.unwrap();
    assert_eq!((t.weight, t.working_hours.to.hour()), (3, 18));
    assert!(t.working_hours.works_on(jiff::civil::Weekday::Saturday));
    assert!(!t.working_hours.works_on(jiff::civil::Weekday::Friday));
    let SystemKind::Graph(graph) = &t.systems[&System::new("m365").unwrap()].kind else {
        panic!("it is a graph system");
    };
    assert_eq!(
        graph.credential,
        GraphCredential::Secret(SecretRef::File("/w/secrets/m365".into()))
    );
    assert_eq!(graph.graph_url, "http://127.0.0.1:8080/graph");
    assert_eq!(t.intake.delimiter, Some(b';'));
    assert_eq!(
        t.intake.date_formats,
        [DateFormat::Iso, DateFormat::MonthSlashDay].into()
    );
    assert_eq!(t.intake.columns[&Field::EffectiveAt], ["Last day", "End"]);
    let p = &t.policy;
    assert!(matches!(&p.successor, SuccessorRule::Named(who) if who.mail.is_some()));
    assert!(p.protected.contains("breakglass@fabrikam.example"));
    assert!(p.known_apps.contains("visitor log"));
    assert!(p.covered_apps.contains("expense tool") && p.covered_apps.len() == 2);
    assert!(p.skip.contains(&Kind::HideFromAddressLists));
    assert_eq!(
        (&p.forwarding, p.meetings),
        (&Forwarding::Successor, Meetings::HandOver)
    );
    assert_eq!(p.shared_mailbox_max_bytes, 500 << 20);
    assert_eq!(p.shared_credentials, ["Door code", "Guest Wi-Fi"]);
    assert_eq!(
        (p.approvals.overdue_after_ms, p.approvals.irreversible_delay_ms),
        (216_000_000, 5_400_000)
    );
    assert!(p.approvals.approver_may_hand_in && !Policy::default().approvals.approver_may_hand_in);
    assert_eq!(
        p.licence_price_cents.values().copied().collect::<Vec<_>>(),
        [225, 3690, 5700]
    );
}

#[test]
fn a_mail_server_is_read_with_one_way_to_sign_in() {
    let head = "name = \"C\"\ntime_zone = \"UTC\"\n[systems.mail]\nkind = \"imap\"\nhost = \"mail.c.example\"\n";
    let by_password = "user = \"archiver\"\npassword = { env = \"P\" }\n";
    let (t, problems) = tenant(&format!("{head}{by_password}security = \"starttls\"\nca = \"ca.pem\""));
    assert_eq!(problems, Vec::<String>::new());
    let t = t.unwrap();
    let SystemKind::Imap(imap) = &t.systems[&System::new("mail").unwrap()].kind else {
        panic!("it is a mail server");
    };
    assert_eq!(
        (imap.port, imap.security, imap.exact_sizes),
        (143, ImapSecurity::StartTls, true)
    );
    assert!(
        t.policy.workspace_mail.is_empty(),
        "any mail server is none of the workspace's"
    );
    let (told, problems) = tenant(&format!("{head}{by_password}of_workspace = true"));
    assert_eq!(problems, Vec::<String>::new());
    assert!(
        told.unwrap()
            .policy
            .workspace_mail
            .contains(&System::new("mail").unwrap())
    );
    assert_eq!(imap.ca.as_deref(), Some(Path::new("/w/ca.pem")));
    assert!(matches!(
        &imap.access,
        ImapAccess::Administrator { separator: None, .. }
    ));
    let by_token = "token_url = \"https://login.example/token\"\nclient_id = \"c\"\nclient_secret = { env = \"S\" }\nscope = \"s\"\n";
    assert_eq!(tenant(&format!("{head}{by_token}")).1, Vec::<String>::new());
    let access = |more: &str| {
        let (t, problems) = tenant(&format!("{head}{more}"));
        assert_eq!(problems, Vec::<String>::new(), "{more}");
        match t.unwrap().systems.remove(&System::new("mail").unwrap()).unwrap().kind {
            SystemKind::Imap(imap) => imap.access,
            other => panic!("it is a mail server: {other:?}"),
        }
    };
    let by_key = "key = { file = \"google.json\" }\n";
    assert!(matches!(
        access(by_key),
        ImapAccess::ServiceAccount { token_url, .. } if token_url == "https://oauth2.googleapis.com/token"
    ));
    assert!(matches!(
        access(&format!("{by_key}token_url = \"http://localhost:1/token\"")),
        ImapAccess::ServiceAccount { token_url, .. } if token_url == "http://localhost:1/token"
    ));
    let by_own = "mailbox = \"team@c.example\"\npassword = { env = \"P\" }\n";
    assert!(matches!(access(by_own), ImapAccess::Owner { mailbox, .. } if mailbox == "team@c.example"));
    for (more, says) in [
        (format!("{by_password}{by_token}"), "got both"),
        (format!("{by_password}{by_key}"), "got both"),
        (format!("{by_own}user = \"archiver\"\n"), "got both"),
        (
            format!("{by_own}separator = \"*\"\n"),
            "systems.mail.separator: unknown key",
        ),
        ("password = { env = \"P\" }\n".to_owned(), "systems.mail.user: missing"),
        (
            format!("{by_password}security = \"none\""),
            "for a server on this machine itself",
        ),
        (
            by_password.replace("{ env = \"P\" }", "\"hunter2\""),
            "secrets never stand in the configuration",
        ),
        (
            by_token.replace("https:", "http:"),
            "a base URL beginning with https://",
        ),
        (String::new(), "systems.mail.user: missing"),
        (format!("{by_password}port = 99999"), "systems.mail.port"),
    ] {
        let problems = tenant(&format!("{head}{more}")).1.join(" | ");
        assert!(
            problems.contains(says) && !problems.contains("hunter2"),
            "{more}: {problems}"
        );
    }
}

#[test]
fn mistakes_name_line_key_and_what_was_expected() {
    let head = "name = \"C\"\ntime_zone = \"UTC\"\n";
    let guid = "11111111-2222-3333-4444-555555555555";
    let graph = format!("[systems.m]\nkind = \"graph\"\ndirectory = \"{guid}\"\nclient_id = \"{guid}\"\n");
    let cases: Vec<(String, &str)> = vec![
        (
            "nmae = \"C\"\ntime_zone = \"UTC\"".into(),
            "contoso.toml: name: missing; expected the company's name | contoso.toml:1: nmae: unknown key; did you mean 'name'?",
        ),
        (
            format!("{head}[policy]\nhold_dayz = 3"),
            "contoso.toml:4: policy.hold_dayz: unknown key; did you mean 'hold_days'?",
        ),
        (
            format!("{head}[policy]\nlegal_hold = \"yes\""),
            "contoso.toml:4: policy.legal_hold: expected true or false, got 'yes'",
        ),
        (
            format!("{head}[policy]\nshared_credentials = [\"hunter\\n2\"]"),
            "contoso.toml:4: policy.shared_credentials: expected the name of a shared credential: one line of at most 128 characters, and never the credential itself",
        ),
        (
            format!("{head}[policy]\nshared_credentials = \"hunter2\""),
            "contoso.toml:4: policy.shared_credentials: expected a list in brackets",
        ),
        (
            format!("{head}[policy]\nmeetings = \"canel\""),
            "contoso.toml:4: policy.meetings: expected one of 'leave', 'cancel', 'hand_over', got 'canel'; did you mean 'cancel'?",
        ),
        (
            format!("{head}[policy.approvals]\noverdue_after = \"soon\""),
            "contoso.toml:4: policy.approvals.overdue_after: expected a length of time up to 2160h, such as \"90m\", \"24h\" or \"2d\", got 'soon'",
        ),
        (
            format!("{head}[policy.approvals]\noverdue_after = \"-1h\""),
            "contoso.toml:4: policy.approvals.overdue_after: expected a length of time up to 2160h, such as \"90m\", \"24h\" or \"2d\", got '-1h'",
        ),
        (
            format!("{head}[policy]\nskip = [\"mailbox.hide_from_address_list\"]"),
            "contoso.toml:4: policy.skip: 'mailbox.hide_from_address_list' is no kind of task; did you mean 'mailbox.hide_from_address_lists'?",
        ),
        (
            "name = \"C\"\ntime_zone = \"Europe/Berln\"".into(),
            "contoso.toml:2: time_zone: expected an IANA time zone, such as \"Europe/Berlin\", got 'Europe/Berln'",
        ),
        (
            format!("{head}weight = 0"),
            "contoso.toml:3: weight: expected a whole number from 1 to 1000, got 0",
        ),
        (
            format!("{head}working_hours = {{ from = \"18:00\" }}"),
            "contoso.toml:3: working_hours: the working day must begin ('from') before it ends ('to')",
        ),
        (
            format!("{head}[intake]\ndate_formats = [\"dd/mm/yyyy\", \"mm/dd/yyyy\"]"),
            "contoso.toml:4: intake.date_formats: 'dd/mm/yyyy' and 'mm/dd/yyyy' cannot both be accepted: 03/04/2026 would mean two days; keep one",
        ),
        (
            format!("{head}[intake.columns]\nmial = \"x\""),
            "contoso.toml:4: intake.columns.mial: unknown key; did you mean 'mail'?",
        ),
        (
            format!("{head}{graph}client_secret = \"hunter2\""),
            "contoso.toml:7: systems.m.client_secret: expected a reference, { env = \"NAME\" } or { file = \"path\" }, got a literal secret; secrets never stand in the configuration",
        ),
        (
            format!("{head}{graph}client_secret = {{ env = \"A\", file = \"b\" }}"),
            "contoso.toml:7: systems.m.client_secret: expected a reference, { env = \"NAME\" } or { file = \"path\" }, got both",
        ),
        (
            format!("{head}{graph}client_secret = {{ evn = \"A\" }}"),
            "contoso.toml:7: systems.m.client_secret: expected a reference, { env = \"NAME\" } or { file = \"path\" } | contoso.toml:7: systems.m.client_secret.evn: unknown key; did you mean 'env'?",
        ),
        (
            format!("{head}{graph}client_secret = {{ env = \"A\" }}\ngraph_url = \"http://graph.example\""),
            "contoso.toml:8: systems.m.graph_url: expected a base URL beginning with https:// (http:// only to 127.0.0.1, [::1] or localhost), without user, query or fragment, got 'http://graph.example'",
        ),
        (
            format!("{head}[systems.person]\nkind = \"ldap\""),
            "contoso.toml:3: systems.person: the name 'person' is taken by what humans do; choose another | contoso.toml:3: systems.person.directory: missing; expected the directory's id | contoso.toml:3: systems.person.client_id: missing; expected the application's id | contoso.toml:3: systems.person.client_secret: missing; expected { env = \"NAME\" } or { file = \"path\" } | contoso.toml:4: systems.person.kind: expected one of 'graph', 'google', 'imap', 'active_directory', 'scim', 'ninja', 'halo', 'connectwise', 'autotask', 'confluence', 'program', got 'ldap'",
        ),
        (
            format!("{head}[policy.licences.monthly_prices]\nE3 = 1.234"),
            "contoso.toml:4: policy.licences.monthly_prices.E3: expected a price a month with at most two decimals, such as 34.40, got 1.234",
        ),
        (
            format!("{head}policy = 3"),
            "contoso.toml:3: policy: expected a section, got 3",
        ),
    ];
    for (text, expected) in cases {
        let (_, problems) = tenant(&text);
        assert_eq!(problems.join(" | "), expected, "in:\n{text}");
    }
    assert_eq!(
        engine("queue = \"rabbit:\"").1,
        [
            "offboard.toml:1: queue: expected a queue's URL: \"memory:\", or such as \"amqps://rabbit.example:5671\" (who one is there stands in [connect], by reference), got 'rabbit:'"
        ]
    );
    assert_eq!(
        engine("ledger = \"redis://u:hunter2@h\"").1,
        [
            "offboard.toml:1: ledger: expected a ledger's URL, such as \"sqlite:data/ledger.db\" or \"rediss://redis.example:6379\" (who one is there stands in [connect], by reference), got a URL with a user in it"
        ]
    );
    assert_eq!(
        engine("[admission.credit]\nidentity = { urgent = 1 }")
            .0
            .admission
            .credit[&(Area::Identity, Lane::Urgent)],
        1
    );
}

#[test]
fn what_other_tools_may_see() {
    let (found, problems) = engine(
        r#"
        [telemetry]
        otlp = "https://collector.example:4318/"
        headers = { Authorization = { env = "OTLP" }, x-scope = { file = "secrets/scope" } }
        sample_ratio = 0.015
        listen = "0.0.0.0:9464"
        instance = "server-1"
        tenant_labels = 0
        service_names = { worker = "msp-worker" }
        "#,
    );
    assert_eq!(problems, Vec::<String>::new());
    let t = found.telemetry;
    assert_eq!(t.otlp.as_deref(), Some("https://collector.example:4318"));
    assert_eq!(t.headers["authorization"], SecretRef::Env("OTLP".into()));
    assert_eq!(t.headers["x-scope"], SecretRef::File("/w/secrets/scope".into()));
    assert_eq!((t.sample_ppm, t.tenant_labels), (Some(15_000), 0));
    assert_eq!(t.listen.unwrap().port(), 9464);
    assert_eq!(t.service_names[&Role::Worker], "msp-worker");
    assert_eq!(t.service_names[&Role::Closer], "offboard-closer");
    for (line, expected) in [
        (
            "otlp = \"http://h/v1/traces\"",
            "telemetry.otlp: expected a base URL beginning with https:// or http://, without user, query, fragment or /v1/…, got 'http://h/v1/traces'",
        ),
        (
            "sample_ratio = 1.5",
            "telemetry.sample_ratio: expected a share from 0 to 1 with at most six decimals, such as 0.01, got 1.5",
        ),
        (
            "listen = \"9464\"",
            "telemetry.listen: expected an address and a port, such as \"127.0.0.1:9464\", got '9464'",
        ),
        (
            "instance = \"a b\"",
            "telemetry.instance: expected a name of letters, digits and . _ - of at most 100 characters, got 'a b'",
        ),
        (
            "headers = { authorization = \"Bearer hunter2\" }",
            "telemetry.headers.authorization: expected a reference, { env = \"NAME\" } or { file = \"path\" }, got a literal secret; secrets never stand in the configuration",
        ),
        (
            "otlp = \"http://far.example:4318\"\nheaders = { authorization = { env = \"A\" } }",
            "telemetry.headers: secrets are sent over https:// alone, or to this machine; make 'otlp' such an address",
        ),
        (
            "service_names = { workers = \"w\" }",
            "telemetry.service_names.workers: unknown key; did you mean 'worker'?",
        ),
    ] {
        let (_, problems) = engine(&format!("[telemetry]\n{line}"));
        let line = line.lines().count() + 1;
        assert_eq!(problems, [format!("offboard.toml:{line}: {expected}")]);
    }
    // In the clear to a collector beside it, but without secrets.
    assert_eq!(
        engine("[telemetry]\notlp = \"http://collector:4318\"").1,
        Vec::<String>::new()
    );
}

#[test]
fn a_kind_that_a_departure_needs_cannot_be_skipped() {
    let (skippable, needed): (Vec<Kind>, Vec<Kind>) = Kind::ALL.iter().partition(|k| k.spec().skippable);
    for kind in needed {
        let (_, problems) = tenant(&format!(
            "name = \"C\"\ntime_zone = \"UTC\"\npolicy = {{ skip = [\"{kind}\"] }}"
        ));
        assert!(problems.concat().contains("may not be skipped"), "{kind}: {problems:?}");
    }
    for kind in skippable {
        let (read, problems) = tenant(&format!(
            "name = \"C\"\ntime_zone = \"UTC\"\npolicy = {{ skip = [\"{kind}\"] }}"
        ));
        assert_eq!(problems, [""; 0], "{kind}");
        assert_eq!(read.unwrap().policy.skip, [kind].into());
        let spec = kind.spec();
        // What looks for what only a person is asked about is read by nobody else.
        let looks_alone = [
            Kind::ProvePool,
            Kind::DiscoverApps,
            Kind::DiscoverAppsInWorkspace,
            Kind::DiscoverSoftware,
            Kind::DiscoverComputers,
        ];
        // One of them has the haste of what it looks ahead of.
        assert!(
            spec.urgency > offboard_domain::catalogue::Urgency::U0 || looks_alone.contains(&kind),
            "{kind} cuts access"
        );
        assert!(!kind.is_closing_round(), "{kind} proves");
        assert!(
            spec.writes || spec.area == Area::Person || looks_alone.contains(&kind),
            "{kind} is read by others"
        );
    }
}

#[test]
fn broken_toml_is_reported_with_its_line_and_without_its_text() {
    let (_, problems) = tenant("name = \"C\"\ntime_zone = \"UTC\"\nsecret = hunter2 hunter2\n[policy\n");
    assert!(
        problems
            .iter()
            .any(|p| p.starts_with("contoso.toml:3: not valid TOML:")),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|p| p.starts_with("contoso.toml:4: not valid TOML:")),
        "{problems:?}"
    );
    assert!(!problems.concat().contains("hunter2"), "{problems:?}");
    // What is left of such a line is no key.
    let told_twice = |p: &String| p.starts_with("contoso.toml:3: ") && p.contains("unknown key");
    assert!(!problems.iter().any(told_twice), "{problems:?}");
}

#[test]
fn all_files_are_loaded_and_all_their_mistakes_told() {
    let dir = tempfile::tempdir().unwrap();
    assert!(load(dir.path()).unwrap_err().to_string().contains("offboard init"));
    fs::write(dir.path().join(ENGINE_FILE), "\u{feff}[log]\nlevel = \"loud\"").unwrap();
    let tenants = dir.path().join(TENANTS_FOLDER);
    fs::create_dir(&tenants).unwrap();
    fs::write(tenants.join("acme.toml"), "name = 3").unwrap();
    fs::write(tenants.join("Bad Name.toml"), "").unwrap();
    fs::write(tenants.join("notes.txt"), "not a tenant").unwrap();
    let errors = load(dir.path()).unwrap_err();
    let text = errors.to_string();
    for part in [
        "level: expected a level",
        "acme.toml:1: name: expected a text",
        "time_zone: missing",
        "is not a valid tenant",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(errors.0.len(), 4, "{text}");

    fs::write(dir.path().join(ENGINE_FILE), "").unwrap();
    fs::write(tenants.join("acme.toml"), "name = \"A\"\ntime_zone = \"UTC\"").unwrap();
    fs::remove_file(tenants.join("Bad Name.toml")).unwrap();
    let loaded = load(dir.path()).unwrap();
    assert_eq!(loaded.engine, Engine::defaults(dir.path()));
    assert_eq!(
        loaded.tenants.keys().map(TenantId::as_str).collect::<Vec<_>>(),
        ["acme"]
    );
}

#[test]
fn a_tenants_broken_file_is_told_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(ENGINE_FILE), "").unwrap();
    let tenants = dir.path().join(TENANTS_FOLDER);
    fs::create_dir(&tenants).unwrap();
    fs::write(tenants.join("acme.toml"), "name = \"A\"\ntime_zone = \"UTC\"").unwrap();
    fs::write(tenants.join("beta.toml"), "name = \"B\"\ntime_zone = \"UT").unwrap();
    let read = load_what_reads(dir.path()).unwrap();
    let whole: Vec<_> = read.tenants.keys().map(TenantId::as_str).collect();
    let broken: Vec<_> = read.broken.keys().map(TenantId::as_str).collect();
    assert_eq!((whole, broken), (vec!["acme"], vec!["beta"]));
    let told = read.broken.values().next().unwrap().to_string();
    assert!(told.contains("beta.toml:2: not valid TOML"), "{told}");
    assert!(load(dir.path()).unwrap_err().to_string().contains("beta.toml:2"));
    assert_eq!(read.whole(), Err(load(dir.path()).unwrap_err()));
    // What is everybody's is not gone without, and neither is a file of nobody knows whom.
    fs::write(tenants.join("Bad Name.toml"), "").unwrap();
    assert_eq!(load_what_reads(dir.path()).unwrap_err(), load(dir.path()).unwrap_err());
    fs::remove_file(tenants.join("Bad Name.toml")).unwrap();
    fs::write(dir.path().join(ENGINE_FILE), "[log]\nlevel = \"loud\"").unwrap();
    assert_eq!(load_what_reads(dir.path()).unwrap_err(), load(dir.path()).unwrap_err());
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(ENGINE_FILE), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(
        load(dir.path())
            .unwrap_err()
            .to_string()
            .contains("larger than 1048576 bytes")
    );
}

#[test]
fn init_makes_a_folder_that_loads_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let created = init(&work).unwrap();
    assert!(created.kept.is_empty() && created.made.len() == 6, "{created:?}");
    assert_eq!(load(&work).unwrap().engine, Engine::defaults(&work));
    fs::write(work.join(ENGINE_FILE), "# mine").unwrap();
    fs::remove_file(work.join("keys/escrow.key")).unwrap();
    let key = fs::read(work.join("keys/signing.pem")).unwrap();
    let again = init(&work).unwrap();
    assert_eq!((again.made, again.kept.len()), (vec![work.join("keys/escrow.key")], 5));
    assert_eq!(fs::read_to_string(work.join(ENGINE_FILE)).unwrap(), "# mine");
    assert_eq!(fs::read(work.join("keys/signing.pem")).unwrap(), key);
}

#[cfg(unix)]
#[test]
fn what_init_makes_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    init(&work).unwrap();
    let mode = |p: &str| fs::metadata(work.join(p)).unwrap().permissions().mode() & 0o777;
    for folder in ["", "keys", "tenants", "data", "evidence"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in [
        "offboard.toml",
        "keys/signing.pem",
        "keys/master.key",
        "keys/escrow.key",
    ] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, "hunter2\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let reference = SecretRef::File(file.clone());
    let refused = reference.read().unwrap_err().to_string();
    assert!(
        refused.contains("mode 640") && refused.contains("chmod 600") && !refused.contains("hunter2"),
        "{refused}"
    );
    let text = format!(
        "{}\n",
        TENANT.replace(
            "{ env = \"OFFBOARD_CONTOSO_M365_SECRET\" }",
            &format!("{{ file = {:?} }}", file.display().to_string())
        )
    );
    assert!(tenant(&text).1.concat().contains("client_secret: "), "load says it too");

    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(reference.read().unwrap().expose(), "hunter2");
    assert_eq!(tenant(&text).1, Vec::<String>::new());
    fs::write(&file, " \n").unwrap();
    assert!(matches!(reference.read(), Err(SecretError::Empty(_))));
}

#[test]
fn a_secret_in_the_environment() {
    let reference = SecretRef::Env("X".into());
    assert_eq!(
        reference.read_with(|n| Some(format!("of {n}"))).unwrap().expose(),
        "of X"
    );
    assert!(reference.read_with(|_| None).is_err() && reference.read_with(|_| Some(" ".into())).is_err());
}

#[test]
fn a_certificate_stands_in_place_of_a_secret() {
    let with = |credential: &str| {
        tenant(&format!(
            "name = \"F\"\ntime_zone = \"Europe/Berlin\"\n[systems.m365]\nkind = \"graph\"\ndirectory = \"f.example\"\nclient_id = \"66666666-7777-8888-9999-00000000000f\"\n{credential}"
        ))
    };
    let (t, problems) = with("certificate = \"c.pem\"\ncertificate_key = { env = \"KEY\" }");
    assert_eq!(problems, Vec::<String>::new());
    let t = t.unwrap();
    let SystemKind::Graph(graph) = &t.systems[&System::new("m365").unwrap()].kind else {
        panic!("it is a graph system");
    };
    assert_eq!(
        graph.credential,
        GraphCredential::Certificate {
            certificate: "/w/c.pem".into(),
            key: SecretRef::Env("KEY".into())
        }
    );
    let wrong = |credential: &str| with(credential).1.concat();
    assert!(wrong("certificate = \"c.pem\"").contains("certificate_key: missing"));
    assert!(wrong("certificate_key = { env = \"KEY\" }").contains("certificate: missing"));
    let both = "client_secret = { env = \"A\" }\ncertificate = \"c.pem\"\ncertificate_key = { env = \"KEY\" }";
    assert!(wrong(both).contains("got both"), "{}", wrong(both));
}

#[test]
fn a_sites_name_is_refused_where_it_stands_if_no_queue_could_be_called_so() {
    let with = |site: &str| {
        let (read, problems) = tenant(&TENANT.replace("#site = \"berlin\"", &format!("site = \"{site}\"")));
        let systems = read.map(|t| t.systems);
        let read = systems.and_then(|s| s.into_values().find_map(|s| s.site));
        (read, problems.concat())
    };
    let longest = "a".repeat(SITE_MAX_CHARS);
    for site in ["b", "dc-2", &longest] {
        assert_eq!(with(site), (Some(site.to_owned()), String::new()));
    }
    for site in ["", "Berlin", "a.b", "-a", "a-", &format!("{longest}a")] {
        let (_, why) = with(site);
        assert!(why.contains("site") && why.contains("1 to 40 of a-z"), "{site}: {why}");
    }
}

#[test]
fn a_directory_on_the_premises_beside_the_cloud() {
    let with = |lines: &str| {
        tenant(&format!(
            "name = \"F\"\ntime_zone = \"Europe/Berlin\"\n[systems.ad]\nkind = \"active_directory\"\nsite = \"office\"\n{lines}"
        ))
    };
    let whole = "controllers = [\"dc1.f.example\", \"10.0.0.2:1636\"]\nuser = \"svc@f.example\"\npassword = { file = \"secrets/ad\" }\nca = \"ca.pem\"\n";
    let leavers = "leavers_unit = \"OU=Leavers,DC=f,DC=example\"\n";
    let (t, problems) = with(&format!("{whole}{leavers}leavers_unit_synchronised = true\n"));
    assert_eq!(problems, Vec::<String>::new());
    let t = t.unwrap();
    let system = &t.systems[&System::new("ad").unwrap()];
    assert_eq!(system.site.as_deref(), Some("office"));
    let SystemKind::ActiveDirectory(ad) = &system.kind else {
        panic!("{system:?}")
    };
    assert_eq!(
        *ad,
        DirectoryConfig {
            controllers: vec!["dc1.f.example".into(), "10.0.0.2:1636".into()],
            user: "svc@f.example".into(),
            password: SecretRef::File("/w/secrets/ad".into()),
            ca: Some("/w/ca.pem".into()),
            leavers_unit: Some("OU=Leavers,DC=f,DC=example".into()),
        }
    );
    let wrong = |lines: &str| with(lines).1.concat();
    assert!(wrong(&format!("{whole}{leavers}")).contains("leavers_unit_synchronised = true"));
    assert!(wrong(&format!("{whole}{leavers}leavers_unit_synchronised = false\n")).contains("deleted in the cloud"));
    assert!(wrong(&whole.replace("dc1.f.example", "ldap://dc1")).contains("host name"));
    assert!(wrong(&whole.replace("{ file = \"secrets/ad\" }", "\"hunter2\"")).contains("a literal secret"));
    for missing in ["controllers", "user", "password"] {
        let without: String = whole
            .lines()
            .filter(|l| !l.starts_with(missing))
            .map(|l| format!("{l}\n"))
            .collect();
        assert!(wrong(&without).contains(&format!("{missing}: missing")), "{missing}");
    }
}
