//! Exchange's admin endpoint: cmdlets by name, with parameters as a client
//! sends them and objects as PowerShell would show them.
//!
//! The cmdlets' rows are JSON objects here, because their names *are* the
//! interface: Exchange publishes no other description of them.

mod folders;
mod groups;
mod habits;
mod mailbox;
mod mobile;
mod permissions;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::model::Mailbox;
use super::{Caller, Cx, Op, Reply, Tenant, VendorError, World};

/// A cmdlet's parameters by name.
pub type Parameters = Map<String, Value>;

/// What a cmdlet gives back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CmdletOutput {
    /// The objects.
    pub rows: Vec<Value>,
    /// What PowerShell would print in yellow.
    pub warnings: Vec<String>,
}

/// Parameters that any cmdlet takes and that change nothing here.
const COMMON: [&str; 6] = [
    "Confirm",
    "ErrorAction",
    "WarningAction",
    "Force",
    "ResultSize",
    "Verbose",
];

impl World {
    /// Runs a cmdlet. Refusals carry the short name of the exception as their code.
    pub fn invoke(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        cmdlet: &str,
        parameters: &Parameters,
    ) -> Reply<CmdletOutput> {
        let reads = cmdlet.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case("get-"));
        let op = if reads { Op::CmdletRead } else { Op::CmdletWrite };
        let parameters = Given::new(parameters);
        let about = ["Identity", "Mailbox", "Member", "Trustee", "User"]
            .iter()
            .filter_map(|name| parameters.text(name))
            .collect::<Vec<_>>();
        let key = format!("{} {}", cmdlet.to_ascii_lowercase(), about.join(" "));
        self.gate(caller, now_ms, op, &key, |tenant, cx| {
            tenant.run_cmdlet(cx, cmdlet, &parameters)
        })
    }
}

impl Tenant {
    fn run_cmdlet(&mut self, cx: &Cx, cmdlet: &str, given: &Given) -> Result<CmdletOutput, VendorError> {
        match cmdlet.to_ascii_lowercase().as_str() {
            "get-mailbox" => self.get_mailbox(cx, given),
            "get-recipient" => self.get_person(cx, given, true),
            "get-user" => self.get_person(cx, given, false),
            "set-mailbox" => self.set_mailbox(cx, given),
            "get-mailboxstatistics" => self.get_mailbox_statistics(cx, given),
            "get-casmailbox" => self.get_cas_mailbox(cx, given),
            "set-casmailbox" => self.set_cas_mailbox(cx, given),
            "get-inboxrule" => self.get_inbox_rule(cx, given),
            "remove-inboxrule" => self.remove_inbox_rule(cx, given),
            "get-mailboxautoreplyconfiguration" => self.get_auto_reply(cx, given),
            "set-mailboxautoreplyconfiguration" => self.set_auto_reply_configuration(cx, given),
            "remove-calendarevents" => self.remove_calendar_events(cx, given),
            "get-mailboxpermission" => self.get_mailbox_permission(cx, given),
            "add-mailboxpermission" => self.add_mailbox_permission(cx, given),
            "remove-mailboxpermission" => self.remove_mailbox_permission(cx, given),
            "get-recipientpermission" => self.get_recipient_permission(cx, given),
            "add-recipientpermission" => self.add_recipient_permission(cx, given),
            "remove-recipientpermission" => self.remove_recipient_permission(cx, given),
            "get-mailboxfolderstatistics" => self.get_mailbox_folder_statistics(cx, given),
            "get-mailboxfolderpermission" => self.get_mailbox_folder_permission(cx, given),
            "remove-mailboxfolderpermission" => self.remove_mailbox_folder_permission(cx, given),
            "get-mobiledevice" => self.get_mobile_device(cx, given),
            "get-mobiledevicestatistics" => self.get_mobile_device_statistics(cx, given),
            "clear-mobiledevice" => self.clear_mobile_device(cx, given),
            "remove-mobiledevice" => self.remove_mobile_device(cx, given),
            "get-distributiongroup" => self.get_distribution_group(cx, given),
            "get-distributiongroupmember" => self.get_distribution_group_member(cx, given),
            "set-distributiongroup" => self.set_distribution_group(cx, given),
            "remove-distributiongroupmember" => self.remove_distribution_group_member(cx, given),
            _ => Err(VendorError::cmdlet(
                400,
                "CommandNotFoundException",
                format!(
                    "The term '{cmdlet}' is not recognized as the name of a cmdlet, function, script file, or operable program."
                ),
            )),
        }
    }

    /// The mailbox that an identity names, as a replica shows it.
    fn mailbox_seen(&self, cx: &Cx, identity: &str) -> Result<&Mailbox, VendorError> {
        let found = self.mailboxes.at(identity, cx.as_of).or_else(|| {
            self.mailboxes
                .iter_at(cx.as_of)
                .map(|(_, mailbox)| mailbox)
                .find(|mailbox| mailbox.is_called(identity))
        });
        found
            .filter(|mailbox| mailbox.lost_ms.is_none())
            .ok_or_else(|| VendorError::no_recipient(identity))
    }

    /// The owner's id of the mailbox that an identity truly names.
    fn mailbox_id(&self, identity: &str) -> Result<String, VendorError> {
        let found = self.mailboxes.get(identity).or_else(|| {
            self.mailboxes
                .iter()
                .map(|(_, mailbox)| mailbox)
                .find(|mailbox| mailbox.is_called(identity))
        });
        found
            .filter(|mailbox| mailbox.lost_ms.is_none())
            .map(|mailbox| mailbox.owner.clone())
            .ok_or_else(|| VendorError::no_recipient(identity))
    }

    /// The person that a trustee's identity names.
    fn trustee_id(&self, identity: &str) -> Result<String, VendorError> {
        self.person(identity)
            .map(|person| person.id.clone())
            .or_else(|| self.mailbox_id(identity).ok())
            .ok_or_else(|| VendorError::no_recipient(identity))
    }

    /// A list of people after a change: a list replaces, a hash table of `add` and `remove` changes.
    fn changed_list(&self, value: &Value, before: &BTreeSet<String>) -> Result<BTreeSet<String>, VendorError> {
        let named = |value: Option<&Value>| {
            let names = value.map(Given::texts).unwrap_or_default();
            names
                .iter()
                .map(|name| self.trustee_id(name))
                .collect::<Result<BTreeSet<_>, _>>()
        };
        let Some(table) = value.as_object() else {
            return named(Some(value));
        };
        let key = |wanted: &str| {
            table
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value)
        };
        let (add, remove) = (named(key("add"))?, named(key("remove"))?);
        Ok(before
            .union(&add)
            .filter(|one| !remove.contains(*one))
            .cloned()
            .collect())
    }

    fn upn_of(&self, id: &str) -> String {
        self.people
            .get(id)
            .map_or_else(|| format!("S-1-5-21-{id}"), |person| person.upn.clone())
    }

    /// The mailboxes that a cmdlet without an identity is about, or the one with it.
    fn mailboxes_about(&self, cx: &Cx, identity: Option<&str>) -> Result<Vec<&Mailbox>, VendorError> {
        match identity {
            Some(identity) => Ok(vec![self.mailbox_seen(cx, identity)?]),
            None => Ok(self
                .mailboxes
                .iter_at(cx.as_of)
                .map(|(_, mailbox)| mailbox)
                .filter(|mailbox| mailbox.lost_ms.is_none())
                .collect()),
        }
    }
}

impl Mailbox {
    fn is_called(&self, identity: &str) -> bool {
        [&self.owner, &self.upn, &self.alias, &self.exchange_guid]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(identity))
    }
}

/// A cmdlet's parameters, found without regard to case.
#[derive(Debug)]
struct Given<'a> {
    given: &'a Parameters,
}

impl<'a> Given<'a> {
    fn new(given: &'a Parameters) -> Self {
        Self { given }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.given
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    fn required(&self, name: &str) -> Result<&'a str, VendorError> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| {
            VendorError::cmdlet(
                400,
                "ParameterBindingException",
                format!("Cannot process command because of one or more missing mandatory parameters: {name}."),
            )
        })
    }

    /// A switch or boolean: true, "true", "$true", or as PowerShell's switch object.
    fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => Some(text.trim_start_matches('$').eq_ignore_ascii_case("true")),
            Value::Object(object) => object.get("IsPresent").and_then(Value::as_bool),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// One or several texts.
    fn texts(value: &Value) -> Vec<String> {
        match value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::String(text) if !text.is_empty() => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    /// Refuses parameters that the cmdlet does not have.
    fn only(&self, known: &[&str]) -> Result<(), VendorError> {
        let unknown = self
            .given
            .keys()
            .find(|key| !known.iter().chain(&COMMON).any(|name| name.eq_ignore_ascii_case(key)));
        match unknown {
            None => Ok(()),
            Some(name) => Err(VendorError::cmdlet(
                400,
                "ParameterBindingException",
                format!("A parameter cannot be found that matches parameter name '{name}'."),
            )),
        }
    }
}

fn done() -> CmdletOutput {
    CmdletOutput::default()
}

fn rows(rows: Vec<Value>) -> CmdletOutput {
    CmdletOutput {
        rows,
        warnings: Vec::new(),
    }
}

fn warned(warning: String) -> CmdletOutput {
    CmdletOutput {
        rows: Vec::new(),
        warnings: vec![warning],
    }
}

fn nothing_changed(identity: &str) -> CmdletOutput {
    warned(format!(
        "The command completed successfully but no settings of '{identity}' have been modified."
    ))
}

fn time(ms: Option<i64>) -> Value {
    ms.map_or(Value::Null, |ms| json!(crate::iso(ms)))
}
