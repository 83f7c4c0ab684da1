//! What reads these files for real reads them here, where it is installed; where it is
//! not, the tests' output says so. And whether it is or not, a key that nobody knows
//! is found: systemd and Compose's older versions read over one, and an engine of
//! clusters refuses it when it is too late.

use crate::deploy::files::{deploy, read, root, under, yaml};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Whether a program is installed, and is what is called so here. Said past the
/// harness, which keeps to itself what a test that passes has printed.
fn is_installed(program: &str, args: &[&str]) -> bool {
    let there = Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|o| o.status.success());
    if !there {
        let said = format!(
            "`{program} {}` fails: what it reads was not read by it\n",
            args.join(" ")
        );
        std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    there
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The units as they would lie on a machine that has the program, with a key misspelt.
fn units(dir: &Path, (key, misspelt): (&str, &str)) {
    for path in under(&deploy().join("systemd")) {
        let to = dir.join(path.strip_prefix("deploy/systemd").unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let text = read(&path).replace("/usr/local/bin/offboard", env!("CARGO_BIN_EXE_offboard"));
        fs::write(to, text.replace(key, misspelt)).unwrap();
    }
}

fn verified(dir: &Path, unit: &str) -> Output {
    Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(dir.join(unit))
        // With what is beside it, before what the machine has.
        .env("SYSTEMD_UNIT_PATH", format!("{}:", dir.display()))
        .output()
        .unwrap()
}

#[test]
fn systemd_takes_every_unit() {
    // The option is systemd's from 250 on.
    let Ok(help) = Command::new("systemd-analyze").arg("--help").output() else {
        is_installed("systemd-analyze", &["--help"]);
        return;
    };
    if !said(&help).contains("--recursive-errors") {
        let old = "`systemd-analyze` is older than 250: the units were not read by it\n";
        std::io::stderr().write_all(old.as_bytes()).unwrap();
        return;
    }
    let all = [
        "offboard-serve.service",
        "offboard-dispatcher.service",
        "offboard-closer.service",
        "offboard-worker@identity.service",
        "offboard-worker@device.service",
        "offboard-site@headquarters.service",
    ];
    let dir = tempfile::tempdir().unwrap();
    units(dir.path(), ("", ""));
    for unit in all {
        let verified = verified(dir.path(), unit);
        assert!(verified.status.success(), "{unit}: {}", said(&verified));
    }
    // What holds for all of them is read with each.
    let dir = tempfile::tempdir().unwrap();
    units(dir.path(), ("ProtectHostname=", "ProtectHostnam="));
    for unit in all {
        let verified = verified(dir.path(), unit);
        assert!(!verified.status.success(), "{unit}");
        assert!(said(&verified).contains("ProtectHostnam"), "{}", said(&verified));
    }
}

#[test]
fn compose_takes_its_file() {
    if !is_installed("docker", &["compose", "version"]) {
        return;
    }
    let read = Command::new("docker")
        .args(["compose", "-f", "deploy/compose.yaml", "--profile", "*", "config", "-q"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", said(&read));
}

#[test]
fn kustomize_renders_every_object() {
    if !is_installed("kubectl", &["kustomize", "--help"]) {
        return;
    }
    let rendered = Command::new("kubectl")
        .args(["kustomize", "deploy/k8s"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(rendered.status.success(), "{}", said(&rendered));
    let text = String::from_utf8(rendered.stdout).unwrap();
    let of = |documents: &[Value]| -> BTreeSet<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let documents = documents.iter();
        documents
            .map(|d| (text(&d["kind"]), text(&d["metadata"]["name"])))
            .collect()
    };
    let rendered: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let applied = yaml("deploy/k8s/kustomization.yaml")[0]["resources"].clone();
    let applied: Vec<Value> = applied
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|file| yaml(Path::new("deploy/k8s").join(file.as_str().unwrap())))
        .collect();
    assert!(applied.len() > 30, "{}", applied.len());
    assert_eq!(of(&rendered), of(&applied));
}

/// What may stand under what, each with its keys; `[]` is an item of a list, `.*`
/// whatever has a name of its own. One that is added here was looked up first.
type Keys = [(&'static str, &'static str)];

/// <https://docs.docker.com/reference/compose-file/>.
const COMPOSE: &Keys = &[
    ("", "name networks secrets services volumes x-role x-worker"),
    ("build", "context dockerfile"),
    ("depends_on.*", "condition"),
    ("env_file[]", "path required"),
    ("healthcheck", "disable interval retries start_period test timeout"),
    ("logging", "driver options"),
    ("networks.*", "internal"),
    ("options", "max-file max-size"),
    ("secrets.*", "file"),
    ("secrets[]", "source target"),
    (
        "services.*",
        "build cap_drop command depends_on env_file environment healthcheck hostname image logging \
         mem_limit networks ports profiles pull_policy read_only restart secrets security_opt \
         stop_grace_period stop_signal tmpfs user volumes",
    ),
];

/// Where the names are ours.
const COMPOSE_NAMES: &[&str] = &[
    "depends_on",
    "environment",
    "networks",
    "secrets",
    "services",
    "volumes",
];

/// <https://kubernetes.io/docs/reference/kubernetes-api/>, and KEDA's and the
/// Prometheus operator's own.
const KUBERNETES: &Keys = &[
    (
        "",
        "apiVersion automountServiceAccountToken data images kind metadata namespace resources spec stringData type",
    ),
    ("advanced", "horizontalPodAutoscalerConfig"),
    ("authenticationRef", "name"),
    ("behavior", "scaleDown scaleUp"),
    ("capabilities", "drop"),
    ("configMap", "name"),
    (
        "containers[]",
        "args envFrom image livenessProbe name ports readinessProbe resources securityContext volumeMounts",
    ),
    ("egress[]", "ports to"),
    ("emptyDir", "medium sizeLimit"),
    ("envFrom[]", "secretRef"),
    ("fallback", "failureThreshold replicas"),
    ("from[]", "namespaceSelector"),
    ("horizontalPodAutoscalerConfig", "behavior"),
    ("httpGet", "path port"),
    ("images[]", "name newName newTag"),
    ("ingress[]", "from ports"),
    (
        "initContainers[]",
        "args image name resources securityContext volumeMounts",
    ),
    ("ipBlock", "cidr except"),
    ("labelSelector", "matchLabels"),
    ("limits", "cpu memory"),
    ("livenessProbe", "failureThreshold httpGet periodSeconds timeoutSeconds"),
    ("matchExpressions[]", "key operator values"),
    // An object's, and what a trigger of KEDA's is told.
    (
        "metadata",
        "labels name namespace mode protocol queueName value vhostName",
    ),
    ("namespaceSelector", "matchLabels"),
    ("persistentVolumeClaim", "claimName"),
    ("podMetricsEndpoints[]", "interval path port"),
    ("podSelector", "matchExpressions matchLabels"),
    ("policies[]", "periodSeconds type value"),
    ("ports[]", "containerPort name port protocol"),
    ("projected", "defaultMode sources"),
    (
        "readinessProbe",
        "failureThreshold httpGet periodSeconds timeoutSeconds",
    ),
    ("requests", "cpu memory storage"),
    ("resources", "limits requests"),
    ("rollingUpdate", "maxSurge maxUnavailable"),
    ("scaleDown", "policies stabilizationWindowSeconds"),
    ("scaleTargetRef", "name"),
    ("scaleUp", "stabilizationWindowSeconds"),
    ("seccompProfile", "type"),
    ("secret", "name"),
    ("secretRef", "name"),
    ("secretTargetRef[]", "key name parameter"),
    (
        "securityContext",
        "allowPrivilegeEscalation capabilities fsGroup fsGroupChangePolicy readOnlyRootFilesystem runAsGroup \
         runAsNonRoot runAsUser seccompProfile",
    ),
    ("selector", "matchLabels"),
    ("sources[]", "configMap secret"),
    (
        "spec",
        "accessModes advanced automountServiceAccountToken containers egress enableServiceLinks fallback ingress \
         initContainers jobLabel maxReplicaCount maxUnavailable minReadySeconds minReplicaCount \
         podMetricsEndpoints podSelector policyTypes pollingInterval replicas resources revisionHistoryLimit \
         scaleTargetRef secretTargetRef securityContext selector serviceAccountName strategy template \
         terminationGracePeriodSeconds topologySpreadConstraints triggers volumes",
    ),
    ("strategy", "rollingUpdate type"),
    ("template", "metadata spec"),
    ("to[]", "ipBlock namespaceSelector podSelector"),
    (
        "topologySpreadConstraints[]",
        "labelSelector maxSkew topologyKey whenUnsatisfiable",
    ),
    ("triggers[]", "authenticationRef metadata name type"),
    ("volumeMounts[]", "mountPath name readOnly"),
    ("volumes[]", "configMap emptyDir name persistentVolumeClaim projected"),
];

/// Where the names are ours.
const KUBERNETES_NAMES: &[&str] = &["annotations", "data", "labels", "matchLabels", "stringData"];

/// Every key below one, or below the document if that is empty, that is not known there.
fn unknown(known: &Keys, names: &[&str], under: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) if names.contains(&under) => {
            let under = format!("{under}.*");
            map.values().flat_map(|v| unknown(known, names, &under, v)).collect()
        }
        Value::Object(map) => {
            let here = known.iter().find(|(of, _)| *of == under);
            let is_known = |key: &str| here.is_some_and(|(_, keys)| keys.split_whitespace().any(|k| k == key));
            let mut found = Vec::new();
            for (key, value) in map {
                // What was merged stands in its place.
                if key == "<<" {
                    continue;
                }
                if !is_known(key) {
                    found.push(format!("{under}: {key}"));
                }
                // What several services have is a part of a service.
                let below = if under.is_empty() && key.starts_with("x-") {
                    "services.*"
                } else {
                    key.as_str()
                };
                found.extend(unknown(known, names, below, value));
            }
            found
        }
        Value::Array(items) => {
            let under = format!("{under}[]");
            items.iter().flat_map(|v| unknown(known, names, &under, v)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_key_of_compose_and_of_the_manifests_is_one() {
    let none: [&str; 0] = [];
    for document in yaml("deploy/compose.yaml") {
        assert_eq!(unknown(COMPOSE, COMPOSE_NAMES, "", &document), none);
    }
    let manifests: Vec<PathBuf> = under(&deploy().join("k8s"))
        .into_iter()
        .filter(|p| p.extension().is_some_and(|x| x == "yaml"))
        .collect();
    assert!(manifests.len() > 10, "{manifests:?}");
    for path in manifests {
        for document in yaml(&path) {
            let found = unknown(KUBERNETES, KUBERNETES_NAMES, "", &document);
            assert_eq!(found, none, "{}", path.display());
        }
    }
}

#[test]
fn a_key_that_is_none_would_be_found() {
    let parsed = |text: &str| -> Value { serde_saphyr::from_multiple(text).unwrap().remove(0) };
    let compose = read("deploy/compose.yaml").replace("start_period: 75s", "start_perod: 75s");
    let found = unknown(COMPOSE, COMPOSE_NAMES, "", &parsed(&compose));
    assert!(found.contains(&"healthcheck: start_perod".to_owned()), "{found:?}");
    let dispatcher = read("deploy/k8s/dispatcher.yaml").replace("readinessProbe:", "readinesProbe:");
    let found = unknown(KUBERNETES, KUBERNETES_NAMES, "", &parsed(&dispatcher));
    assert_eq!(found[0], "containers[]: readinesProbe", "{found:?}");
}
