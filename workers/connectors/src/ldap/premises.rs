//! What only a domain has: an account's place and protection, and computers.

use super::LdapConnector;
use super::account::{control_bits, place, protection};
use super::entry::Entry;
use super::fault::is_of_another_domain;
use super::filter::{At, Filter, Name};
use super::id::Guid;
use super::session::{Change, MANY};
use crate::{Answer, Call, Computer, Footing, Premises};
use async_trait::async_trait;
use ldap3::Scope;
use offboard_domain::{FaultClass, ObjectId};

/// The property of Exchange's extension of the schema.
const HIDE: &str = "msExchHideFromAddressLists";

impl LdapConnector {
    /// Whether the domain's schema has Exchange's attributes.
    pub(super) async fn has_exchange(&self, call: &mut Call) -> Answer<bool> {
        let schema = At::Name(self.wire.session(call).await?.schema);
        let named = Filter::equals("lDAPDisplayName", HIDE);
        let found = self
            .wire
            .search(call, &schema, Scope::OneLevel, &named, &["cn"])
            .await?;
        Ok(!found.is_empty())
    }

    /// Whether the account is where those of leavers are kept: the directory
    /// itself is asked, so that no two spellings of a name are compared.
    async fn among_leavers(&self, call: &mut Call, unit: &Name, account: &str) -> Answer<bool> {
        const LOOK: &str = "search {leavers' unit}";
        let at = At::Name(unit.clone());
        let named = Filter::equals("sAMAccountName", account);
        match self
            .wire
            .search(call, &at, Scope::Subtree, &named, &["objectGUID"])
            .await
        {
            Ok(found) => Ok(!found.is_empty()),
            Err(fault) if fault.class == FaultClass::Absent => {
                let detail =
                    "the leavers' unit is not there, or may not be seen; look at `leavers_unit` in the configuration";
                Err(self.wire.fault(FaultClass::Denied, LOOK, detail))
            }
            Err(fault) => Err(fault),
        }
    }
}

fn computer(entry: &Entry) -> Option<Computer> {
    let bits = entry.int("userAccountControl");
    let controls = bits.is_some_and(|b| b & (control_bits::SERVER_TRUST | control_bits::PARTIAL_SECRETS) != 0);
    // Services run as these, on any number of machines; in the schema they are computers.
    let runs_services = SERVICE_ACCOUNTS.iter().any(|class| entry.has("objectClass", class));
    let system = entry.text("operatingSystem").unwrap_or_default();
    entry.has("objectClass", "computer").then_some(())?;
    Some(Computer {
        id: entry.guid()?.object_id(),
        name: entry.text("cn").map(str::to_owned),
        // What was not read is not proven: it counts as enabled.
        enabled: bits.is_none_or(|b| b & control_bits::DISABLED == 0),
        server: controls || runs_services || system.to_ascii_lowercase().contains("server"),
    })
}

/// Managed service accounts, of one machine, of several, and those that replace others.
const SERVICE_ACCOUNTS: [&str; 3] = [
    "msDS-ManagedServiceAccount",
    "msDS-GroupManagedServiceAccount",
    "msDS-DelegatedManagedServiceAccount",
];

const COMPUTER: &[&str] = &[
    "objectClass",
    "objectGUID",
    "cn",
    "userAccountControl",
    "operatingSystem",
];

#[async_trait]
impl Premises for LdapConnector {
    async fn footing(&self, call: &mut Call, id: &ObjectId) -> Answer<Footing> {
        let entry = self.person(call, id, &["tokenGroups", HIDE]).await?;
        self.must_tell_groups(&entry)?;
        let hidden = match entry.is_true(HIDE) {
            true => Some(true),
            false => self.has_exchange(call).await?.then_some(false),
        };
        let among_leavers = match (&self.wire.leavers_unit, entry.text("sAMAccountName")) {
            (Some(unit), Some(name)) => Some(self.among_leavers(call, unit, name).await?),
            _ => None,
        };
        Ok(Footing {
            security_id: entry.sid().map(|s| s.to_string()).unwrap_or_default(),
            place: plain(&entry.name).to_owned(),
            protected: protection(&entry),
            hidden,
            among_leavers,
        })
    }

    async fn hide(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        const HIDING: &str = "modify {account} msExchHideFromAddressLists";
        let entry = self.unprotected(call, id, &[]).await?;
        let at = entry.guid().map(At::Guid);
        let at = at.ok_or_else(|| self.wire.fault(FaultClass::Absent, HIDING, "there is no such account"))?;
        let set = Change::Set(HIDE, Some(b"TRUE".to_vec()));
        match self.wire.modify(call, HIDING, &at, vec![set]).await? {
            // Servers differ in how they say that they do not know an attribute.
            Err(_) if !self.has_exchange(call).await? => {
                let detail = "the directory's schema has no Exchange attributes";
                Err(self.wire.fault(FaultClass::Unsupported, HIDING, detail))
            }
            answered => self.done(HIDING, answered),
        }
    }

    async fn move_to_leavers(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        const MOVE: &str = "move {account}";
        let Some(unit) = &self.wire.leavers_unit else {
            let detail = "no unit for leavers is configured; add `leavers_unit` to the system";
            return Err(self.wire.fault(FaultClass::Unsupported, MOVE, detail));
        };
        let entry = self.unprotected(call, id, &[]).await?;
        let name = Name::parse(plain(&entry.name));
        let (Some(guid), Some(account), Some(name)) = (entry.guid(), entry.text("sAMAccountName"), name) else {
            return Err(self
                .wire
                .fault(FaultClass::Denied, MOVE, "the account's own properties cannot be read"));
        };
        if self.among_leavers(call, unit, account).await? {
            return Ok(());
        }
        let moved = self
            .wire
            .relocate(call, MOVE, &At::Guid(guid), name.first(), unit)
            .await?;
        self.done(MOVE, moved)
    }

    async fn computers(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Computer>> {
        let managed = format!("managedObjects{MANY}");
        let entry = self.person(call, id, &[&managed]).await?;
        let mut computers = Vec::new();
        for guid in entry.linked("managedObjects") {
            match self.computer(call, &guid.object_id()).await {
                // That domain is a system of its own, which finds it by its id.
                Err(fault) if is_of_another_domain(&fault) => {}
                computer => computers.extend(computer?),
            }
        }
        computers.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(computers)
    }

    async fn find_computer(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Computer>> {
        let Some(guid) = Guid::parse(&id.0) else {
            return Ok(None);
        };
        // Searched for below the domain, and not named: of a name that another domain
        // has, a controller says where to ask instead.
        let domain = At::Name(self.wire.session(call).await?.domain);
        let that = Filter::all(&[Filter::equals("objectClass", "computer"), Filter::guid(&guid)]);
        let found = self.wire.search(call, &domain, Scope::Subtree, &that, COMPUTER).await?;
        Ok(found.iter().find(|e| e.guid() == Some(guid)).and_then(computer))
    }

    async fn computer(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Computer>> {
        let Some(guid) = Guid::parse(&id.0) else {
            return Ok(None);
        };
        let entry = self.wire.read(call, &At::Guid(guid), COMPUTER).await?;
        Ok(entry.as_ref().and_then(computer))
    }

    async fn disable_computer(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        const DISABLE: &str = "modify {computer} userAccountControl";
        let gone = || {
            self.wire
                .fault(FaultClass::Absent, DISABLE, "there is no such computer in the domain")
        };
        let at = place(id).ok_or_else(gone)?;
        let entry = self.wire.read(call, &at, COMPUTER).await?.ok_or_else(gone)?;
        match computer(&entry) {
            None => Err(gone()),
            Some(computer) if computer.server => {
                let detail = "it serves others; it was not disabled, decide by hand who looks after it now";
                Err(self.wire.fault(FaultClass::Blocked, DISABLE, detail))
            }
            Some(_) => self.switch_off(call, DISABLE, &entry).await,
        }
    }
}

/// A name without the ids that stand before it.
fn plain(name: &str) -> &str {
    name.rsplit_once(">;").map_or(name, |(_, plain)| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(classes: &[&str], control: &str, system: &str) -> Option<Computer> {
        let mut entry = Entry::default();
        entry.take("objectClass", classes.iter().map(|c| c.as_bytes().to_vec()).collect());
        entry.take("objectGUID", vec![vec![7; 16]]);
        entry.take("userAccountControl", vec![control.into()]);
        entry.take("operatingSystem", vec![system.into()]);
        computer(&entry)
    }

    #[test]
    fn what_serves_others_is_nobodys_computer() {
        let computer = ["top", "person", "organizationalPerson", "user", "computer"];
        let with = |class: &'static str| [&computer[..], &[class]].concat();
        for (classes, control, system, server) in [
            (computer.to_vec(), "4096", "Windows 11 Enterprise", false),
            (computer.to_vec(), "4096", "Windows Server 2025 Standard", true),
            (computer.to_vec(), "532480", "", true),
            (computer.to_vec(), "83890176", "", true),
            (with("msDS-GroupManagedServiceAccount"), "4096", "", true),
            (with("msDS-ManagedServiceAccount"), "4096", "", true),
            (with("msds-delegatedmanagedserviceaccount"), "4096", "", true),
        ] {
            let read = read(&classes, control, system).unwrap();
            assert_eq!(read.server, server, "{classes:?} {control} {system}");
        }
        assert_eq!(read(&["top", "person", "user"], "512", ""), None);
    }
}
