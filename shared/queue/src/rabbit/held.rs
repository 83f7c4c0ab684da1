//! What a broker holds against what it should hold: queues, exchanges,
//! bindings, policies and rights, from the definitions that the broker itself
//! exports (`rabbitmqctl export_definitions`).
//!
//! No order of AMQP shows bindings or policies, and the broker's own interface
//! shows them to its administrators alone, whose password has no place in this
//! program. So an administrator exports, and this compares. Where a binding is
//! missing an order comes back as unroutable; where a policy is, nothing is
//! seen until something dies and is lost.

use super::standing::Finding;
use super::topology::Topology;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const IMPORT: &str =
    "import the definitions that `offboard topology` prints (deploy/rabbitmq); what is right stays as it is";

/// What a broker has of one sort, and how it is named and compared.
struct Sort {
    /// Where it stands in the definitions.
    key: &'static str,
    /// Its name in a sentence.
    called: &'static str,
    /// What says which one it is.
    names: &'static [&'static str],
    /// What must be as it should be.
    compared: &'static [&'static str],
}

const SORTS: &[Sort] = &[
    Sort {
        key: "exchanges",
        called: "exchanges",
        names: &["name"],
        compared: &["type", "durable", "auto_delete", "internal"],
    },
    Sort {
        key: "queues",
        called: "queues",
        names: &["name"],
        compared: &["durable", "auto_delete", "arguments"],
    },
    Sort {
        key: "bindings",
        called: "bindings",
        names: &["source", "destination", "destination_type", "routing_key", "arguments"],
        compared: &[],
    },
    Sort {
        key: "policies",
        called: "policies",
        names: &["name"],
        compared: &["pattern", "apply-to", "priority", "definition"],
    },
    Sort {
        key: "permissions",
        called: "users' rights",
        names: &["user"],
        compared: &["configure", "write", "read"],
    },
    Sort {
        key: "topic_permissions",
        called: "users' rights on topics",
        names: &["user", "exchange"],
        compared: &["write", "read"],
    },
];

impl Topology {
    /// Compares what a broker has exported with what it should hold.
    ///
    /// # Errors
    /// What the text is instead of definitions.
    pub fn compare(&self, exported: &str) -> Result<Vec<Finding>, String> {
        let exported: Value =
            serde_json::from_str(exported).map_err(|e| format!("these are no definitions of a broker: {e}"))?;
        let Some(exported) = exported.as_object().filter(|e| e.contains_key("queues")) else {
            return Err("these are no definitions of a broker: they name no queues".to_owned());
        };
        let wanted = self.definitions().map_err(|e| e.to_string())?;
        let mut findings: Vec<Finding> = SORTS
            .iter()
            .map(|sort| {
                let held = self.ours(exported, sort.key);
                let wanted = wanted[sort.key].as_array().map_or(&[][..], Vec::as_slice);
                sort.finding(wanted, &held)
            })
            .collect();
        findings.extend(self.other_policies(exported, &wanted));
        findings.extend(self.other_bindings(exported, &wanted));
        Ok(findings)
    }

    /// What the broker has of a sort in this virtual host. An export of one
    /// virtual host alone does not name it.
    fn ours<'a>(&self, exported: &'a Map<String, Value>, key: &str) -> Vec<&'a Value> {
        let all = exported.get(key).and_then(Value::as_array).into_iter().flatten();
        all.filter(|v| v.get("vhost").is_none_or(|vhost| *vhost == *self.vhost))
            .collect()
    }

    /// On a queue only one policy holds: the one of the highest priority.
    fn other_policies(&self, exported: &Map<String, Value>, wanted: &Value) -> Option<Finding> {
        let named = names(wanted, "policies");
        let others = self.ours(exported, "policies").into_iter().filter(|policy| {
            let priority = policy.get("priority").and_then(Value::as_i64).unwrap_or(0);
            !named.contains(text(policy, "name")) && priority >= 0
        });
        let others: Vec<&str> = others.map(|policy| text(policy, "name")).collect();
        (!others.is_empty()).then(|| Finding::Warning {
            what: format!(
                "other policies may hold instead of these, for on a queue only one holds: {}",
                others.join(", ")
            ),
            next: "give them a pattern that fits no name beginning with ob.v1, or a priority below 0".to_owned(),
        })
    }

    /// Who binds a queue of his own reads along.
    fn other_bindings(&self, exported: &Map<String, Value>, wanted: &Value) -> Option<Finding> {
        let exchanges = names(wanted, "exchanges");
        let queues = names(wanted, "queues");
        let others = self.ours(exported, "bindings").into_iter().filter(|binding| {
            exchanges.contains(text(binding, "source")) && !queues.contains(text(binding, "destination"))
        });
        let others: Vec<String> = others
            .map(|b| format!("{} to {}", text(b, "source"), text(b, "destination")))
            .collect();
        (!others.is_empty()).then(|| Finding::Warning {
            what: format!(
                "what is published is copied to queues that are not ours: {}",
                others.join(", ")
            ),
            next: "find out who reads them, and remove the bindings that nobody can explain".to_owned(),
        })
    }
}

impl Sort {
    fn finding(&self, wanted: &[Value], held: &[&Value]) -> Finding {
        let (mut missing, mut differ) = (Vec::new(), Vec::new());
        for one in wanted {
            match held.iter().find(|h| self.same(one, h, self.names)) {
                None => missing.push(self.name(one)),
                Some(held) if !self.same(one, held, self.compared) => differ.push(self.name(one)),
                Some(_) => {}
            }
        }
        if missing.is_empty() && differ.is_empty() {
            return Finding::Fine(format!("all {} {} are as they should be", wanted.len(), self.called));
        }
        let lacks = (!missing.is_empty()).then(|| format!("the broker lacks {}: {}", self.called, missing.join(", ")));
        let others = (!differ.is_empty())
            .then(|| format!("{} that are not as they should be: {}", self.called, differ.join(", ")));
        Finding::Problem {
            what: lacks.into_iter().chain(others).collect::<Vec<_>>().join("; "),
            next: IMPORT.to_owned(),
        }
    }

    /// What is absent, empty or no is the same thing.
    fn same(&self, one: &Value, other: &Value, in_keys: &[&str]) -> bool {
        in_keys.iter().all(|key| match (one.get(key), other.get(key)) {
            (Some(one), Some(other)) => one == other || (empty(one) && empty(other)),
            (Some(alone), None) | (None, Some(alone)) => empty(alone),
            (None, None) => true,
        })
    }

    fn name(&self, one: &Value) -> String {
        match self.key {
            "bindings" => format!(
                "{} to {} by {}",
                text(one, "source"),
                text(one, "destination"),
                text(one, "routing_key")
            ),
            "topic_permissions" | "permissions" => text(one, "user").to_owned(),
            _ => text(one, "name").to_owned(),
        }
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Number(n) => n.as_i64() == Some(0),
        Value::Bool(true) => false,
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn names<'a>(wanted: &'a Value, key: &str) -> BTreeSet<&'a str> {
    let all = wanted[key].as_array().into_iter().flatten();
    all.map(|v| text(v, "name")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn broker() -> (Topology, Value) {
        let mut topology = Topology::new("offboard");
        topology.report_shards = 2;
        topology.sites.insert("hq".to_owned(), topology.areas.clone());
        let mut held = topology.definitions().unwrap();
        // What a broker exports beside it.
        held["rabbit_version"] = json!("3.10.8");
        for (key, other) in [
            ("queues", json!({ "name": "else", "vhost": "other", "durable": false })),
            (
                "policies",
                json!({ "name": "else", "vhost": "other", "pattern": ".*", "priority": 9 }),
            ),
        ] {
            held[key].as_array_mut().unwrap().push(other);
        }
        (topology, held)
    }

    fn of<'a>(held: &'a mut Value, key: &str, name: &str) -> &'a mut Value {
        let all = held[key].as_array_mut().unwrap().iter_mut();
        let mut fits = all.filter(|v| ["name", "destination", "user"].iter().any(|k| v[*k] == name));
        fits.next().unwrap()
    }

    fn problems(topology: &Topology, held: &Value) -> Vec<String> {
        let found = topology.compare(&held.to_string()).unwrap();
        let said = found.into_iter().filter_map(|f| match f {
            Finding::Fine(_) => None,
            Finding::Warning { what, .. } | Finding::Problem { what, .. } => Some(what),
        });
        said.collect()
    }

    #[test]
    fn what_was_imported_is_as_it_should_be() {
        let (topology, mut held) = broker();
        assert_eq!(problems(&topology, &held), [""; 0]);
        // As a broker writes it that adds what is empty, and leaves it out.
        of(&mut held, "queues", "ob.v1.dead")["exclusive"] = json!(false);
        of(&mut held, "exchanges", "ob.v1.assignments")
            .as_object_mut()
            .unwrap()
            .remove("arguments");
        assert_eq!(problems(&topology, &held), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_missing_or_different_is_named() {
        type Harm = fn(&mut Value);
        let harms: &[(Harm, &str)] = &[
            (
                |h| of(h, "bindings", "ob.v1.sealing")["routing_key"] = json!("else"),
                "lacks bindings: ob.v1.assignments to ob.v1.sealing",
            ),
            (
                |h| {
                    let all = h["bindings"].as_array_mut().unwrap();
                    all.retain(|b| b["destination"] != "ob.v1.expired");
                },
                "lacks bindings: ob.v1.dead-letters to ob.v1.expired by expired",
            ),
            (
                |h| of(h, "policies", "offboard-reports")["definition"]["dead-letter-exchange"] = json!("else"),
                "policies that are not as they should be: offboard-reports",
            ),
            (
                |h| of(h, "policies", "offboard-dead")["pattern"] = json!("^ob"),
                "policies that are not as they should be: offboard-dead",
            ),
            (
                |h| of(h, "policies", "offboard-sealing")["name"] = json!("mine"),
                "lacks policies: offboard-sealing",
            ),
            (
                |h| of(h, "policies", "offboard-sealing")["name"] = json!("mine"),
                "other policies may hold instead of these",
            ),
            (
                |h| of(h, "queues", "ob.v1.reports.1")["arguments"] = json!({ "x-queue-type": "classic" }),
                "queues that are not as they should be: ob.v1.reports.1",
            ),
            (
                |h| of(h, "exchanges", "ob.v1.dead")["type"] = json!("direct"),
                "exchanges that are not as they should be: ob.v1.dead",
            ),
            (
                |h| of(h, "permissions", "offboard-worker")["write"] = json!(".*"),
                "users' rights that are not as they should be: offboard-worker",
            ),
            (
                |h| {
                    let spy = json!({
                        "vhost": "offboard", "source": "ob.v1.assignments", "destination": "spy",
                        "destination_type": "queue", "routing_key": "ob.v1.identity.urgent", "arguments": {},
                    });
                    h["bindings"].as_array_mut().unwrap().push(spy);
                },
                "copied to queues that are not ours: ob.v1.assignments to spy",
            ),
        ];
        for (harm, expected) in harms {
            let (topology, mut held) = broker();
            harm(&mut held);
            let said = problems(&topology, &held);
            assert!(said.iter().any(|s| s.contains(expected)), "{expected}: {said:?}");
        }
    }

    #[test]
    fn what_is_no_definitions_is_said() {
        let (topology, _) = broker();
        for text in ["", "[]", "{}", "Exporting definitions in JSON to standard output"] {
            assert!(topology.compare(text).is_err(), "{text}");
        }
    }
}
