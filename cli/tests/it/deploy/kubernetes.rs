//! The manifests: what can be known of them without a cluster.

use crate::deploy::commands::accepted;
use crate::deploy::compose::longest_attempt_s;
use crate::deploy::configuration::{loaded, queues};
use crate::deploy::files::{deploy, read, texts, under, yaml};
use crate::deploy::operations::{how_systems_are_asked, named_behind};
use offboard_cli::args::{Command, Keys};
use offboard_domain::{Area, Lane};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What there is, and in which version of the interface.
const KNOWN: [(&str, &str); 13] = [
    ("Namespace", "v1"),
    ("ServiceAccount", "v1"),
    ("ConfigMap", "v1"),
    ("Secret", "v1"),
    ("PersistentVolumeClaim", "v1"),
    ("Deployment", "apps/v1"),
    ("PodDisruptionBudget", "policy/v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("ScaledObject", "keda.sh/v1alpha1"),
    ("TriggerAuthentication", "keda.sh/v1alpha1"),
    ("PodMonitor", "monitoring.coreos.com/v1"),
    ("Kustomization", "kustomize.config.k8s.io/v1beta1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2"),
];

/// Every object of the folder.
fn objects() -> Vec<Value> {
    let files = under(&deploy().join("k8s"));
    let files = files.iter().filter(|p| p.extension().is_some_and(|x| x == "yaml"));
    files.flat_map(yaml).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    objects().into_iter().filter(|o| o["kind"] == kind).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn names(kind: &str) -> BTreeSet<String> {
    of_kind(kind).iter().map(|o| name(o).to_owned()).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

/// Every container of a pod, those that begin it included.
fn containers(deployment: &Value) -> impl Iterator<Item = &Value> {
    let pod = pod(deployment);
    list(&pod["initContainers"]).chain(list(&pod["containers"]))
}

/// Whether every label of a selector is one of these.
fn selects(selector: &Value, labels: &Value) -> bool {
    let matched = selector["matchLabels"].as_object();
    let matched = matched.is_none_or(|m| m.iter().all(|(k, v)| labels[k] == *v));
    let expressed = list(&selector["matchExpressions"]).all(|e| {
        assert_eq!(e["operator"], "In");
        list(&e["values"]).any(|v| labels[e["key"].as_str().unwrap()] == *v)
    });
    matched && expressed
}

#[test]
fn every_object_is_of_a_kind_that_there_is_and_has_a_name_of_its_own() {
    let mut seen = BTreeSet::new();
    for object in objects() {
        let kind = object["kind"].as_str().unwrap();
        let version = object["apiVersion"].as_str().unwrap();
        assert!(KNOWN.contains(&(kind, version)), "{kind} {version}");
        if kind == "Kustomization" {
            continue;
        }
        assert!(
            seen.insert((kind.to_owned(), name(&object).to_owned())),
            "{kind} {}",
            name(&object)
        );
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name(&object).chars().all(fine));
        if kind != "Namespace" {
            assert_eq!(object["metadata"]["namespace"], "offboard", "{}", name(&object));
        }
    }
    assert!(seen.len() > 40, "{}", seen.len());
}

#[test]
fn everything_is_applied_but_what_says_that_it_is_not() {
    let kustomization = &yaml("deploy/k8s/kustomization.yaml")[0];
    let applied: BTreeSet<String> = texts(&kustomization["resources"]).into_iter().collect();
    let there: BTreeSet<String> = under(&deploy().join("k8s"))
        .into_iter()
        .filter(|p| p.extension().is_some_and(|x| x == "yaml"))
        .map(|p| p.strip_prefix("deploy/k8s").unwrap().display().to_string())
        .filter(|p| !["kustomization.yaml", "secrets.example.yaml", "monitoring.yaml"].contains(&&p[..]))
        .collect();
    assert_eq!(applied, there);
    // The image that every pod names is the one that is put in its place.
    let placed = kustomization["images"][0]["name"].as_str().unwrap();
    for deployment in of_kind("Deployment") {
        for container in containers(&deployment) {
            assert_eq!(container["image"], placed);
        }
    }
}

#[test]
fn selectors_find_what_they_mean() {
    let deployments = of_kind("Deployment");
    for deployment in &deployments {
        let what = name(deployment);
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert!(selects(&deployment["spec"]["selector"], labels), "{what}");
        for spread in list(&pod(deployment)["topologySpreadConstraints"]) {
            assert!(selects(&spread["labelSelector"], labels), "{what}");
        }
        // And nobody else's pods: each selector finds its own alone.
        let found = deployments.iter().filter(|d| {
            selects(
                &deployment["spec"]["selector"],
                &d["spec"]["template"]["metadata"]["labels"],
            )
        });
        assert_eq!(found.count(), 1, "{what}");
        assert!(
            list(&pod(deployment)["topologySpreadConstraints"]).count() > 0,
            "{what}"
        );
    }
    for budget in of_kind("PodDisruptionBudget") {
        let of: Vec<&str> = deployments
            .iter()
            .filter(|d| {
                selects(
                    &budget["spec"]["selector"],
                    &d["spec"]["template"]["metadata"]["labels"],
                )
            })
            .map(name)
            .collect();
        assert_eq!(of, [name(&budget)]);
    }
    // The closer is one by design: a budget would only hold up a node's emptying.
    assert_eq!(names("PodDisruptionBudget").len(), deployments.len() - 1);
}

#[test]
fn every_reference_leads_somewhere() {
    let (maps, secrets, claims, accounts) = (
        names("ConfigMap"),
        names("Secret"),
        names("PersistentVolumeClaim"),
        names("ServiceAccount"),
    );
    let mut used = BTreeSet::new();
    let mut referred = |kind: &str, among: &BTreeSet<String>, to: &Value| {
        let to = to.as_str().unwrap();
        assert!(among.contains(to), "there is no {kind} {to}");
        used.insert((kind.to_owned(), to.to_owned()));
    };
    for deployment in of_kind("Deployment") {
        let pod = pod(&deployment);
        referred("ServiceAccount", &accounts, &pod["serviceAccountName"]);
        let mut volumes = BTreeSet::new();
        for volume in list(&pod["volumes"]) {
            volumes.insert(volume["name"].as_str().unwrap());
            let projected = list(&volume["projected"]["sources"]);
            for source in std::iter::once(volume).chain(projected) {
                for (key, kind, among) in [("configMap", "ConfigMap", &maps), ("secret", "Secret", &secrets)] {
                    if let Some(of) = source.get(key) {
                        referred(kind, among, of.get("name").or_else(|| of.get("secretName")).unwrap());
                    }
                }
            }
            if let Some(claim) = volume.get("persistentVolumeClaim") {
                referred("PersistentVolumeClaim", &claims, &claim["claimName"]);
            }
        }
        let mut mounted = BTreeSet::new();
        for container in containers(&deployment) {
            for mount in list(&container["volumeMounts"]) {
                assert!(volumes.contains(mount["name"].as_str().unwrap()), "{mount}");
                mounted.insert(mount["name"].as_str().unwrap());
            }
            for from in list(&container["envFrom"]) {
                referred("Secret", &secrets, &from["secretRef"]["name"]);
            }
        }
        assert_eq!(mounted, volumes, "{}", name(&deployment));
    }
    for trigger in of_kind("TriggerAuthentication") {
        for secret in list(&trigger["spec"]["secretTargetRef"]) {
            referred("Secret", &secrets, &secret["name"]);
            let held = of_kind("Secret")
                .into_iter()
                .find(|s| s["metadata"]["name"] == secret["name"])
                .unwrap();
            assert!(
                held["stringData"].get(secret["key"].as_str().unwrap()).is_some(),
                "{secret}"
            );
        }
    }
    // And nothing is there for nobody.
    for (kind, all) in [
        ("ConfigMap", maps),
        ("Secret", secrets),
        ("PersistentVolumeClaim", claims),
        ("ServiceAccount", accounts),
    ] {
        for name in all {
            assert!(
                used.contains(&(kind.to_owned(), name.clone())),
                "nobody uses {kind} {name}"
            );
        }
    }
    for claim in of_kind("PersistentVolumeClaim") {
        assert_eq!(texts(&claim["spec"]["accessModes"]), ["ReadWriteMany"]);
    }
}

#[test]
fn every_pod_has_no_more_than_it_needs() {
    for account in of_kind("ServiceAccount") {
        assert_eq!(account["automountServiceAccountToken"], false);
    }
    for deployment in of_kind("Deployment") {
        let what = name(&deployment);
        let pod = pod(&deployment);
        assert_eq!(pod["automountServiceAccountToken"], false, "{what}");
        for shared in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(pod[shared].is_null(), "{what}");
        }
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true, "{what}");
        for id in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert!(context[id].as_u64().unwrap() > 0, "{what}: {id}");
        }
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{what}");
        for container in containers(&deployment) {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{what}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{what}");
            assert_eq!(texts(&context["capabilities"]["drop"]), ["ALL"], "{what}");
            assert!(context["capabilities"]["add"].is_null() && context["privileged"].is_null());
            for bound in ["requests", "limits"] {
                for of in ["cpu", "memory"] {
                    assert!(container["resources"][bound][of].is_string(), "{what}: {bound} {of}");
                }
            }
            // No entrypoint but the image's.
            assert!(container["command"].is_null(), "{what}");
        }
    }
    let enforced = &of_kind("Namespace")[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(enforced, "restricted");
}

/// What a deployment runs.
fn runs(deployment: &Value) -> Command {
    accepted(&texts(&pod(deployment)["containers"][0]["args"]), name(deployment))
}

#[test]
fn every_command_is_one_and_every_role_is_there() {
    let mut areas = BTreeSet::new();
    let (mut dispatchers, mut closers) = (0, 0);
    for deployment in of_kind("Deployment") {
        let what = name(&deployment).to_owned();
        let spec = &deployment["spec"];
        match runs(&deployment) {
            Command::Worker { areas: its, site: None } => {
                assert_eq!(what, format!("offboard-worker-{}", its[0]));
                assert!(
                    spec["replicas"].is_null(),
                    "KEDA says how many, and an apply would undo it"
                );
                let grace = pod(&deployment)["terminationGracePeriodSeconds"].as_i64().unwrap();
                assert!(grace > longest_attempt_s(), "{what}: {grace}");
                areas.extend(its);
            }
            Command::Dispatcher => {
                dispatchers += 1;
                assert!(spec["replicas"].as_u64().unwrap() > 1);
            }
            Command::Closer => {
                closers += 1;
                assert_eq!(spec["replicas"], 1);
                assert_eq!(spec["strategy"]["type"], "Recreate");
            }
            other => panic!("{what}: {other:?}"),
        }
        // The keys are made the pod's own where the configuration looks for them.
        let init = &pod(&deployment)["initContainers"][0];
        let Command::Keys {
            what: Keys::Copy { from, to },
        } = accepted(&texts(&init["args"]), &what)
        else {
            panic!("{what}")
        };
        let at = |path: &std::path::Path, container: &Value| {
            let mounts: Vec<Value> = list(&container["volumeMounts"]).cloned().collect();
            let mount = mounts
                .into_iter()
                .find(|m| path.starts_with(m["mountPath"].as_str().unwrap()));
            mount.unwrap()["name"].as_str().unwrap().to_owned()
        };
        assert_eq!(at(&from, init), "mounted");
        assert_eq!(at(&to, init), "keys");
        assert_eq!(at(&to, &pod(&deployment)["containers"][0]), "keys");
        let memory = list(&pod(&deployment)["volumes"])
            .find(|v| v["name"] == "keys")
            .unwrap();
        assert_eq!(memory["emptyDir"]["medium"], "Memory");
    }
    assert_eq!(areas, Area::MACHINES.iter().copied().collect());
    assert_eq!((dispatchers, closers), (1, 1));
}

/// The configuration of a deployment.
fn configuration(deployment: &Value) -> String {
    let volume = list(&pod(deployment)["volumes"])
        .find(|v| v["name"] == "configuration")
        .unwrap();
    let map = of_kind("ConfigMap")
        .into_iter()
        .find(|m| m["metadata"]["name"] == volume["configMap"]["name"]);
    map.unwrap()["data"]["offboard.toml"].as_str().unwrap().to_owned()
}

#[test]
fn probes_ask_where_the_process_answers() {
    // What the program serves.
    let served = read("dispatcher/src/http.rs");
    for deployment in of_kind("Deployment") {
        let what = name(&deployment);
        let listen = loaded(what, &configuration(&deployment), &[])
            .engine
            .telemetry
            .listen
            .unwrap();
        assert!(listen.ip().is_unspecified(), "{what}");
        let container = &pod(&deployment)["containers"][0];
        let port = &container["ports"][0];
        assert_eq!(port["containerPort"], listen.port(), "{what}");
        for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["path"], path, "{what}");
            assert_eq!(get["port"], port["name"], "{what}");
            assert!(served.contains(&format!(".route(\"{path}\"")), "{path}");
        }
        // A loop hangs after three minutes; a probe that is impatient beyond it kills nothing sooner.
        assert!(
            container["livenessProbe"]["failureThreshold"].as_u64().unwrap() >= 3,
            "{what}"
        );
    }
    let endpoint = &of_kind("PodMonitor")[0]["spec"]["podMetricsEndpoints"][0];
    assert_eq!(
        (&endpoint["port"], &endpoint["path"]),
        (&Value::from("health"), &Value::from("/metrics"))
    );
    assert!(served.contains(".route(\"/metrics\""));
    // The alerts look for this job.
    let labels = &of_kind("Deployment")[0]["spec"]["template"]["metadata"]["labels"];
    assert_eq!(
        labels[of_kind("PodMonitor")[0]["spec"]["jobLabel"].as_str().unwrap()],
        "offboard"
    );
}

/// The keys of the secret of a deployment.
fn keys(deployment: &Value) -> BTreeSet<String> {
    let mounted = list(&pod(deployment)["volumes"])
        .find(|v| v["name"] == "mounted")
        .unwrap();
    let secret = list(&mounted["projected"]["sources"])
        .find_map(|s| s.get("secret"))
        .unwrap();
    let secret = of_kind("Secret")
        .into_iter()
        .find(|s| s["metadata"]["name"] == secret["name"])
        .unwrap();
    secret["stringData"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_role_has_its_keys_and_no_others() {
    for deployment in of_kind("Deployment") {
        let what = name(&deployment);
        let expected: BTreeSet<String> = match runs(&deployment) {
            Command::Worker { areas, .. } => {
                let names = queues();
                let own = names
                    .iter()
                    .filter(|q| areas.iter().any(|a| q.contains(&format!(".{a}."))));
                let escrow = areas.contains(&Area::Device).then(|| "escrow.key".to_owned());
                own.map(|q| format!("{q}.key"))
                    .chain(["queue.password".to_owned()])
                    .chain(escrow)
                    .collect()
            }
            Command::Dispatcher => ["master.key", "dispatch.key", "ledger.password", "queue.password"]
                .map(str::to_owned)
                .into(),
            _ => ["master.key", "signing.pem", "ledger.password", "queue.password"]
                .map(str::to_owned)
                .into(),
        };
        assert_eq!(keys(&deployment), expected, "{what}");
        // And what the configuration points at is among them.
        let mut there: BTreeSet<String> = expected;
        there.insert("authority.pem".to_owned());
        for file in configuration(&deployment)
            .split('"')
            .filter_map(|t| t.strip_prefix("/run/offboard/keys/"))
        {
            assert!(there.contains(file), "{what}: {file}");
        }
    }
    let signers: Vec<String> = of_kind("Secret")
        .iter()
        .filter(|s| s["stringData"].get("signing.pem").is_some())
        .map(|s| name(s).to_owned())
        .collect();
    assert_eq!(signers, ["offboard-closer"]);
}

#[test]
fn people_can_verify_evidence_where_they_ask_and_cannot_write_it() {
    for deployment in of_kind("Deployment") {
        let what = name(&deployment);
        let is_for_people = matches!(runs(&deployment), Command::Dispatcher);
        let mounted = list(&pod(&deployment)["volumes"]).find(|v| v["name"] == "mounted");
        let mut sources = list(&mounted.unwrap()["projected"]["sources"]);
        let public = sources.any(|s| s["secret"]["name"] == "offboard-public-keys");
        assert_eq!(public, is_for_people, "{what}");
        if !is_for_people {
            continue;
        }
        let text = configuration(&deployment);
        let evidence = text.split("evidence = \"").nth(1).unwrap().split('"').next().unwrap();
        let mount = list(&pod(&deployment)["containers"][0]["volumeMounts"]).find(|m| m["mountPath"] == evidence);
        let mount = mount.unwrap_or_else(|| panic!("{what}: {evidence} is not mounted"));
        assert_eq!(mount["readOnly"], true, "{what}");
        let volume = list(&pod(&deployment)["volumes"]).find(|v| v["name"] == mount["name"]);
        let claim = &volume.unwrap()["persistentVolumeClaim"]["claimName"];
        assert_eq!(claim, "offboard-evidence", "{what}");
    }
    // And the page makes what is mounted.
    let page = read("deploy/k8s/README.md");
    assert!(page.contains("create secret generic offboard-public-keys --from-file=keys/public\n"));
}

#[test]
fn workers_follow_the_queues_of_their_area_and_never_go_to_none() {
    let scaled = of_kind("ScaledObject");
    assert_eq!(scaled.len(), Area::MACHINES.len());
    let deployments = of_kind("Deployment");
    let admission = offboard_runtime::config::Admission::default();
    let mut followed = BTreeSet::new();
    for object in scaled {
        let what = name(&object).to_owned();
        let spec = &object["spec"];
        let target = deployments
            .iter()
            .find(|d| d["metadata"]["name"] == spec["scaleTargetRef"]["name"])
            .unwrap();
        let Command::Worker { areas, .. } = runs(target) else {
            panic!("{what}")
        };
        let area = areas[0];
        let (least, most) = (
            spec["minReplicaCount"].as_u64().unwrap(),
            spec["maxReplicaCount"].as_u64().unwrap(),
        );
        assert!(least >= 1, "{what}: under work that runs there is always one");
        assert!(spec["idleReplicaCount"].is_null(), "{what}");
        assert!(spec["fallback"]["replicas"].as_u64().unwrap() >= least, "{what}");
        let prefetch = loaded(&what, &configuration(target), &[]).engine.admission.prefetch;
        for trigger in list(&spec["triggers"]) {
            assert_eq!(trigger["type"], "rabbitmq");
            assert!(names("TriggerAuthentication").contains(trigger["authenticationRef"]["name"].as_str().unwrap()));
            let metadata = &trigger["metadata"];
            // Over HTTP it counts what is being worked at, too.
            assert_eq!(
                (&metadata["protocol"], &metadata["mode"]),
                (&"http".into(), &"QueueLength".into())
            );
            assert_eq!(metadata["vhostName"], "offboard");
            assert!(metadata["excludeUnacknowledged"].is_null());
            let queue = metadata["queueName"].as_str().unwrap();
            let lane = if queue.ends_with(".urgent") {
                Lane::Urgent
            } else {
                Lane::Normal
            };
            assert_eq!(queue, format!("ob.v1.{area}.{}", lane.word()));
            // As many as a worker has hands for; and beyond the credit nobody has work.
            let hands = u32::from(if lane == Lane::Urgent { prefetch } else { prefetch / 2 });
            assert_eq!(metadata["value"], hands.to_string(), "{what}");
            assert!(
                u64::from(admission.credit[&(area, lane)].div_ceil(hands)) <= most,
                "{what}"
            );
            followed.insert(queue.to_owned());
        }
    }
    assert_eq!(followed, queues().into_iter().collect());
}

#[test]
fn the_areas_files_differ_by_the_areas_name_alone() {
    let of = |area: &Area| read(format!("deploy/k8s/workers/{area}.yaml")).replace(area.word(), "AREA");
    let first = of(&Area::MACHINES[0]);
    for area in Area::MACHINES {
        assert_eq!(of(area), first, "{area}");
    }
}

/// The ports that each deployment's pods reach under these policies.
fn reaches(policies: &[Value]) -> BTreeMap<String, BTreeSet<u64>> {
    let mut reaches: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for deployment in of_kind("Deployment") {
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        let ports = reaches.entry(name(&deployment).to_owned()).or_default();
        for policy in policies.iter().filter(|p| selects(&p["spec"]["podSelector"], labels)) {
            for rule in list(&policy["spec"]["egress"]) {
                assert!(list(&rule["to"]).count() > 0, "to everybody: {rule}");
                ports.extend(list(&rule["ports"]).map(|p| p["port"].as_u64().unwrap()));
            }
        }
    }
    reaches
}

#[test]
fn nobody_reaches_anybody_but_as_is_said() {
    let policies = of_kind("NetworkPolicy");
    let all = policies.iter().find(|p| name(p) == "nothing").unwrap();
    assert_eq!(texts(&all["spec"]["policyTypes"]), ["Ingress", "Egress"]);
    assert_eq!(all["spec"]["podSelector"], serde_json::json!({}));
    assert!(all["spec"]["ingress"].is_null() && all["spec"]["egress"].is_null());
    let (names, broker, ledger, vendors) = (53, 5671, 6379, 443);
    for (deployment, ports) in reaches(&policies) {
        let expected = if deployment.contains("worker") {
            [names, broker, vendors]
        } else {
            [names, broker, ledger]
        };
        assert_eq!(ports, expected.into(), "{deployment}");
    }
    // The ports are those of the addresses.
    let text = configuration(&of_kind("Deployment")[0]);
    assert!(text.contains(&format!(":{ledger}\"")) && text.contains(&format!(":{broker}/")));
    let scraped = policies.iter().find(|p| name(p) == "scraped").unwrap();
    assert_eq!(scraped["spec"]["ingress"][0]["ports"][0]["port"], 9464);
}

/// What `doctor` needs for a client's systems is where the page says to run it, and not where
/// orders are given.
#[test]
fn a_clients_systems_are_asked_where_its_secrets_and_a_way_out_are() {
    let vendors = 443;
    let named = named_behind(&how_systems_are_asked(), "exec deploy/");
    let reached = reaches(&of_kind("NetworkPolicy"));
    for deployment in of_kind("Deployment") {
        let what = name(&deployment);
        let container = &pod(&deployment)["containers"][0];
        let secrets = list(&container["envFrom"]).any(|f| f["secretRef"]["name"] == "offboard-tenants");
        assert_eq!(secrets, reached[what].contains(&vendors), "{what}");
        let clients = list(&container["volumeMounts"]).any(|m| m["mountPath"] == "/etc/offboard/tenants");
        if what == named {
            assert!(secrets && clients, "{what}");
        }
    }
    assert!(reached.contains_key(&named), "{named}");
}

/// The documents of a file with those that stand in it as comments. A sentence has one
/// blank after its `#`, YAML none or the blanks that it needs.
fn with_what_is_commented(path: &str) -> Vec<Value> {
    let is_yaml = |rest: &&str| !rest.starts_with(' ') || rest.starts_with("  ");
    let text = read(path);
    let lines = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(is_yaml).unwrap_or(line));
    serde_saphyr::from_multiple(&lines.collect::<Vec<_>>().join("\n")).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn what_is_commented_opens_a_way_for_whom_it_says_and_nobody_else() {
    let (collector, imap, bucket) = (4318, 993, 443);
    let before = reaches(&of_kind("NetworkPolicy"));
    let opened = with_what_is_commented("deploy/k8s/network.yaml");
    for policy in &opened {
        assert_eq!(policy["metadata"]["namespace"], "offboard", "{policy}");
        assert!(KNOWN.contains(&("NetworkPolicy", policy["apiVersion"].as_str().unwrap())));
    }
    let opened = reaches(&opened);
    assert_eq!(opened.len(), before.len());
    for (deployment, ports) in opened {
        let more: BTreeSet<u64> = ports.difference(&before[&deployment]).copied().collect();
        let expected = match &deployment[..] {
            "offboard-worker-mailbox" => vec![collector, imap],
            worker if worker.contains("worker") => vec![collector],
            _ => vec![collector, bucket],
        };
        assert_eq!(more, expected.into_iter().collect(), "{deployment}");
    }
    // The ports are those of the pages.
    for deployment in of_kind("Deployment") {
        let text = configuration(&deployment);
        assert!(text.contains("#otlp = ") && text.contains(&format!(":{collector}\"")));
    }
    assert!(read("docs/connectors/imap.md").contains(&format!("\n#port = {imap}\n")));
    let page = read("deploy/k8s/README.md");
    let (_, yours) = page.split_once("## Yours to change").unwrap();
    let (yours, _) = yours.split_once("\n## ").unwrap();
    for word in ["`otlp`", "IMAP", "bucket"] {
        assert!(yours.contains(word), "{word}");
    }
}
