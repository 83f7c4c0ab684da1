//! Accounts and groups of the domain, as the areas know them.

use super::LdapConnector;
use super::entry::Entry;
use super::fault::{Refused, code, is_of_another_domain};
use super::filter::{At, Filter};
use super::id::{Guid, Sid};
use super::session::{Change, MANY};
use crate::area::directory::{says_otherwise, smtp_in};
use crate::{
    Account, AccountChange, Answer, Application, Call, Directory, Found, Group, GroupNature, Held, Holding, Protection,
};
use async_trait::async_trait;
use ldap3::Scope;
use offboard_domain::departure::PersonRef;
use offboard_domain::{FaultClass, ObjectId};
use offboard_runtime::Secret;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The bits of `userAccountControl` ([MS-ADTS] 2.2.16).
pub(super) mod control_bits {
    /// It may not sign in.
    pub(crate) const DISABLED: i64 = 0x2;
    /// A domain controller.
    pub(crate) const SERVER_TRUST: i64 = 0x2000;
    /// A read-only domain controller.
    pub(crate) const PARTIAL_SECRETS: i64 = 0x0400_0000;
}

/// Set: a group for access. Not set: one for mail alone.
const GROUP_IS_SECURITY: i64 = 0x8000_0000;

/// Relative ids below this are of accounts that come with every domain; the
/// first that is given to a person is 1000.
const FIRST_RELATIVE_ID: u32 = 1_000;

/// Groups of the domain whose members administer it: Domain, Schema and
/// Enterprise Admins, Domain Controllers, read-only ones, Group Policy
/// Creator Owners, Key and Enterprise Key Admins.
const ADMINISTERING: &[u32] = &[498, 512, 516, 518, 519, 520, 521, 526, 527];
/// The same of the groups that every machine has: Administrators, Account,
/// Server, Print and Backup Operators, Replicator.
const ADMINISTERING_BUILT_IN: &[u32] = &[544, 548, 549, 550, 551, 552];

/// The longest `sAMAccountName` of a person, by Microsoft's documentation of the attribute.
const ACCOUNT_NAME_CHARS: usize = 20;

/// The group that everybody of a domain is in.
const DOMAIN_USERS: u32 = 513;

const ACCOUNT: &[&str] = &[
    "objectClass",
    "objectGUID",
    "objectSid",
    "userPrincipalName",
    "sAMAccountName",
    "mail",
    "proxyAddresses",
    "displayName",
    "employeeID",
    "userAccountControl",
    "pwdLastSet",
    "manager",
    "adminCount",
    "isCriticalSystemObject",
];

/// What is read besides where a request says more than an id: where some keep HR's number.
const COMPARED: &[&str] = &["employeeNumber"];

/// By what an account is named.
pub(super) fn place(id: &ObjectId) -> Option<At> {
    Guid::parse(&id.0)
        .map(At::Guid)
        .or_else(|| Sid::parse(&id.0).map(At::Sid))
}

impl LdapConnector {
    /// Reads an account of a person, with more than what everybody asks for.
    pub(super) async fn person(&self, call: &mut Call, id: &ObjectId, more: &[&str]) -> Answer<Entry> {
        const READ: &str = "read {account}";
        let absent = || {
            self.wire
                .fault(FaultClass::Absent, READ, "there is no such account in the directory")
        };
        let at = place(id).ok_or_else(absent)?;
        let attributes: Vec<&str> = ACCOUNT.iter().chain(more).copied().collect();
        let entry = self.wire.read(call, &at, &attributes).await?.ok_or_else(absent)?;
        let is_person = entry.has("objectClass", "user") && !entry.has("objectClass", "computer");
        if is_person { Ok(entry) } else { Err(absent()) }
    }

    /// Reads an account for a write to it: one that is protected is refused,
    /// also when it was not yet when the plan was made.
    pub(super) async fn unprotected(&self, call: &mut Call, id: &ObjectId, more: &[&str]) -> Answer<Entry> {
        let entry = self.person(call, id, &[more, &["tokenGroups"]].concat()).await?;
        self.must_tell_groups(&entry)?;
        match protection(&entry) {
            None => Ok(entry),
            Some(protection) => Err(self
                .wire
                .fault(FaultClass::Blocked, "write {account}", protection.advice())),
        }
    }

    /// Everybody is in some group: where none is told, it is not known whether the
    /// account administers the domain.
    pub(super) fn must_tell_groups(&self, entry: &Entry) -> Answer<()> {
        if entry.sids("tokenGroups").next().is_some() {
            return Ok(());
        }
        let detail = "tokenGroups cannot be read, so it is not known whether the account administers the domain; delegate the right that docs/connectors/active-directory.md names";
        Err(self
            .wire
            .fault(FaultClass::Denied, "read {account} tokenGroups", detail))
    }

    async fn matching(&self, call: &mut Call, filter: Filter) -> Answer<Vec<Entry>> {
        let domain = At::Name(self.wire.session(call).await?.domain);
        let people = Filter::all(&[Filter::people(), filter]);
        self.wire.search(call, &domain, Scope::Subtree, &people, ACCOUNT).await
    }

    /// Whoever has no name of his may be he all the same: where an account is not
    /// synchronised, the name that it signs in with there (`sAMAccountName`) is often the
    /// first part of an address. As often that is a namesake, so a person says it.
    async fn perhaps(&self, call: &mut Call, person: &PersonRef) -> Answer<Vec<ObjectId>> {
        let names = [&person.user_principal_name, &person.mail].into_iter().flatten();
        let first_parts: BTreeSet<String> = names.filter_map(|name| first_part(name)).collect();
        if first_parts.is_empty() {
            return Ok(Vec::new());
        }
        let filters: Vec<Filter> = first_parts
            .iter()
            .map(|name| Filter::equals("sAMAccountName", name))
            .collect();
        let found = self.matching(call, Filter::one_of(&filters)).await?;
        Ok(found.iter().filter_map(account).map(|a| a.id).collect())
    }

    async fn disable(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        const DISABLE: &str = "modify {account} userAccountControl";
        let entry = self.unprotected(call, id, &[]).await?;
        self.switch_off(call, DISABLE, &entry).await
    }

    /// Sets the bit that keeps an account, a person's or a computer's, out.
    pub(super) async fn switch_off(&self, call: &mut Call, attempted: &'static str, entry: &Entry) -> Answer<()> {
        let unreadable = || {
            let detail =
                "userAccountControl cannot be read; delegate the right that docs/connectors/active-directory.md names";
            self.wire.fault(FaultClass::Denied, attempted, detail)
        };
        let now = entry.int("userAccountControl").ok_or_else(unreadable)?;
        let at = entry.guid().map(At::Guid).ok_or_else(unreadable)?;
        let off = now | control_bits::DISABLED;
        if off == now {
            return Ok(());
        }
        let swap = Change::Swap("userAccountControl", now.to_string(), off.to_string());
        self.done(attempted, self.wire.modify(call, attempted, &at, vec![swap]).await?)
    }

    /// A new password. It leaves this function on the encrypted wire alone.
    async fn reset(&self, call: &mut Call, id: &ObjectId, password: &Secret) -> Answer<()> {
        const RESET: &str = "modify {account} unicodePwd";
        let entry = self.unprotected(call, id, &[]).await?;
        let at = entry.guid().map_or_else(|| place(id), |guid| Some(At::Guid(guid)));
        let at = at.ok_or_else(|| self.wire.fault(FaultClass::Absent, RESET, "there is no such account"))?;
        // [MS-ADTS] 3.1.1.3.1.5.1: in quotation marks, as UTF-16.
        let quoted = Zeroizing::new(format!("\"{}\"", password.expose()));
        let wide: Vec<u8> = quoted.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let set = Change::Set("unicodePwd", Some(wide));
        match self.wire.modify(call, RESET, &at, vec![set]).await? {
            Err(refused) if refused.rc == code::UNWILLING => {
                let detail = "the directory's password policy refuses a long random password; look at the policy that applies to the account";
                Err(offboard_domain::Fault {
                    code: Some(refused.code()),
                    ..self.wire.fault(FaultClass::Blocked, RESET, detail)
                })
            }
            answered => self.done(RESET, answered),
        }
    }

    pub(super) fn done(&self, attempted: &'static str, answered: Result<(), Refused>) -> Answer<()> {
        answered.map_err(|refused| self.wire.refused(attempted, &refused))
    }

    async fn memberships(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Held>> {
        let member_of = format!("memberOf{MANY}");
        let entry = self.person(call, id, &[&member_of, "primaryGroupID"]).await?;
        let (mut groups, mut unseen) = (Vec::new(), Vec::new());
        for guid in entry.linked("memberOf") {
            match self.group(call, &At::Guid(guid)).await? {
                Some(group) => groups.push(group),
                None => unseen.push(guid),
            }
        }
        if !unseen.is_empty() {
            // What went in between is listed no more; what is listed still, we may not see.
            let again = self.person(call, id, &[&member_of]).await?;
            let listed: BTreeSet<Guid> = again.linked("memberOf").collect();
            let hidden = unseen.into_iter().filter(|guid| listed.contains(guid));
            groups.extend(hidden.map(|guid| unseen_group(guid.object_id())));
        }
        // The primary group is in no list. Everybody's is the domain's own,
        // which gives nothing and cannot be left.
        let primary = entry.int("primaryGroupID").and_then(|n| u32::try_from(n).ok());
        if let (Some(primary), Some(sid)) = (primary.filter(|n| *n != DOMAIN_USERS), entry.sid()) {
            let sid = sid.sibling(primary);
            let group = self.group(call, &At::Sid(sid.clone())).await?;
            groups.push(group.unwrap_or_else(|| unseen_group(ObjectId(sid.to_string()))));
        }
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        groups.dedup_by(|a, b| a.id == b.id);
        Ok(groups.into_iter().map(|group| Held::Membership { group }).collect())
    }

    /// Reads a group; none when it went in between, when we may not see it, and when
    /// another domain has it.
    async fn group(&self, call: &mut Call, at: &At) -> Answer<Option<Group>> {
        let names = [
            "objectGUID",
            "objectSid",
            "cn",
            "groupType",
            "mail",
            "adminCount",
            "isCriticalSystemObject",
        ];
        let read = match self.wire.read(call, at, &names).await {
            Err(fault) if is_of_another_domain(&fault) => return Ok(None),
            read => read?,
        };
        let Some(entry) = read else { return Ok(None) };
        let Some(guid) = entry.guid() else { return Ok(None) };
        let security = entry.int("groupType").is_none_or(|t| t & GROUP_IS_SECURITY != 0);
        let nature = match (security, entry.text("mail").is_some()) {
            (true, true) => GroupNature::MailEnabledSecurity,
            (true, false) => GroupNature::Security,
            (false, _) => GroupNature::DistributionList,
        };
        Ok(Some(Group {
            id: guid.object_id(),
            name: entry.text("cn").map(str::to_owned),
            nature,
            dynamic: false,
            synced: false,
            role_assignable: entry.int("adminCount") == Some(1) || entry.sid().is_some_and(|s| administers(&s)),
            gives_skus: Vec::new(),
        }))
    }

    async fn leave(&self, call: &mut Call, id: &ObjectId, group: &Group) -> Answer<()> {
        const LEAVE: &str = "modify {group} member";
        let entry = self.unprotected(call, id, &["primaryGroupID"]).await?;
        if group.role_assignable {
            let detail = "the group administers the domain, or is protected by it; take the person out of it by hand";
            return Err(self.wire.fault(FaultClass::Blocked, LEAVE, detail));
        }
        let gone = || {
            self.wire
                .fault(FaultClass::Absent, LEAVE, "the account or the group is not there")
        };
        let account = entry.guid().ok_or_else(gone)?;
        let at = place(&group.id).ok_or_else(gone)?;
        self.free_primary(call, &entry, &at).await?;
        let take = Change::Take("member", At::Guid(account).to_string());
        match self.wire.modify(call, LEAVE, &at, vec![take]).await? {
            Ok(()) => Ok(()),
            // Servers differ in how they say that he is no member (16, 53), and
            // say the same of other things; so it is looked at.
            Err(refused) => {
                let still = self
                    .memberships(call, id)
                    .await?
                    .iter()
                    .any(|held| *held.id() == group.id);
                if still { self.done(LEAVE, Err(refused)) } else { Ok(()) }
            }
        }
    }

    /// The primary group cannot be left; so another is made it first: the
    /// domain's own, of which everybody is a member.
    async fn free_primary(&self, call: &mut Call, entry: &Entry, group: &At) -> Answer<()> {
        const FREE: &str = "modify {account} primaryGroupID";
        let (Some(primary), Some(sid)) = (entry.int("primaryGroupID"), entry.sid()) else {
            return Ok(());
        };
        let Some(relative) = u32::try_from(primary).ok().filter(|n| *n != DOMAIN_USERS) else {
            return Ok(());
        };
        let primary = self.group(call, &At::Sid(sid.sibling(relative))).await?;
        let (Some(primary), Some(account)) = (primary, entry.guid()) else {
            return Ok(());
        };
        if place(&primary.id).as_ref() != Some(group) {
            return Ok(());
        }
        let everybody = At::Sid(sid.sibling(DOMAIN_USERS));
        let join = Change::Add("member", At::Guid(account).to_string());
        match self.wire.modify(call, FREE, &everybody, vec![join]).await? {
            Err(refused) if !matches!(refused.rc, code::ENTRY_EXISTS | code::VALUE_EXISTS) => {
                return self.done(FREE, Err(refused));
            }
            _ => {}
        }
        let set = Change::Set("primaryGroupID", Some(DOMAIN_USERS.to_string().into_bytes()));
        self.done(FREE, self.wire.modify(call, FREE, &At::Guid(account), vec![set]).await?)
    }
}

/// A group of which no more is known than that he is in it. What it gives is not
/// known either, and it cannot be changed from here: it is a person's.
fn unseen_group(id: ObjectId) -> Group {
    Group {
        id,
        name: None,
        nature: GroupNature::Security,
        dynamic: false,
        synced: false,
        role_assignable: true,
        gives_skus: Vec::new(),
    }
}

/// What stands before the sign of an address, as far as a `sAMAccountName` can have it.
fn first_part(name: &str) -> Option<String> {
    let (first, _) = name.trim().rsplit_once('@')?;
    (!first.is_empty()).then(|| first.chars().take(ACCOUNT_NAME_CHARS).collect())
}

/// Why the account must not be touched, if it must not.
pub(super) fn protection(entry: &Entry) -> Option<Protection> {
    let built_in = entry.sid().is_none_or(|s| s.relative() < FIRST_RELATIVE_ID);
    if built_in || entry.is_true("isCriticalSystemObject") {
        return Some(Protection::BuiltIn);
    }
    if entry.sids("tokenGroups").any(|s| administers(&s)) {
        return Some(Protection::Administers);
    }
    (entry.int("adminCount") == Some(1)).then_some(Protection::Marked)
}

fn administers(group: &Sid) -> bool {
    (group.is_of_a_domain() && ADMINISTERING.contains(&group.relative()))
        || (group.is_built_in() && ADMINISTERING_BUILT_IN.contains(&group.relative()))
}

fn account(entry: &Entry) -> Option<Account> {
    let owned = |name: &str| entry.text(name).map(str::to_owned);
    let name = owned("userPrincipalName")
        .or_else(|| owned("sAMAccountName"))
        .unwrap_or_default();
    Some(Account {
        id: entry.guid()?.object_id(),
        user_principal_name: name,
        mail: owned("mail"),
        addresses: entry
            .texts("proxyAddresses")
            .filter_map(smtp_in)
            .map(str::to_owned)
            .collect(),
        display_name: owned("displayName"),
        employee_id: owned("employeeID"),
        // What was not read is not proven: it counts as enabled.
        enabled: entry
            .int("userAccountControl")
            .is_none_or(|c| c & control_bits::DISABLED == 0),
        synced: false,
        guest: false,
        has_mailbox: entry.text("mail").is_some(),
        sessions_valid_from_ms: None,
        password_changed_ms: entry.windows_time_ms("pwdLastSet"),
        manager_id: entry.linked("manager").next().map(Guid::object_id),
        on_premises_security_id: entry.sid().map(|s| s.to_string()),
        synced_at_ms: None,
    })
}

/// Whether the request that gave its id says of it what is not so.
fn is_otherwise_in(person: &PersonRef, entry: &Entry) -> bool {
    let mut addresses: Vec<&str> = entry.texts("userPrincipalName").collect();
    addresses.extend(entry.texts("mail"));
    addresses.extend(entry.texts("proxyAddresses").filter_map(smtp_in));
    let mut numbers: Vec<&str> = entry.texts("employeeID").collect();
    numbers.extend(entry.texts("employeeNumber"));
    says_otherwise(person, &addresses, &numbers)
}

#[async_trait]
impl Directory for LdapConnector {
    async fn find(&self, call: &mut Call, person: &PersonRef) -> Answer<Found> {
        if let Some(id) = &person.object_id {
            return match self.person(call, id, COMPARED).await {
                Ok(entry) => Ok(match account(&entry) {
                    None => Found::Nobody,
                    Some(account) if is_otherwise_in(person, &entry) => Found::Ambiguous { ids: vec![account.id] },
                    Some(account) => Found::One(Box::new(account)),
                }),
                Err(fault) if fault.class == FaultClass::Absent || is_of_another_domain(&fault) => Ok(Found::Nobody),
                Err(fault) => Err(fault),
            };
        }
        let mut filters = Vec::new();
        if let Some(name) = &person.user_principal_name {
            filters.push(Filter::equals("userPrincipalName", name));
        }
        if let Some(mail) = &person.mail {
            let proxy = Filter::equals("proxyAddresses", &format!("smtp:{mail}"));
            filters.push(Filter::one_of(&[Filter::equals("mail", mail), proxy]));
        }
        if let Some(number) = &person.employee_id {
            let also = Filter::equals("employeeNumber", number);
            filters.push(Filter::one_of(&[Filter::equals("employeeID", number), also]));
        }
        let (mut met, mut nowhere) = (BTreeMap::new(), false);
        for filter in filters {
            let found = self.matching(call, filter).await?;
            nowhere |= found.is_empty();
            met.extend(found.iter().filter_map(account).map(|a| (a.id.clone(), a)));
        }
        if met.is_empty() {
            let perhaps = self.perhaps(call, person).await?;
            if !perhaps.is_empty() {
                return Ok(Found::Ambiguous { ids: perhaps });
            }
        }
        Ok(match met.len() {
            0 => Found::Nobody,
            1 if !nowhere => met
                .into_values()
                .next()
                .map_or(Found::Nobody, |account| Found::One(Box::new(account))),
            _ => Found::Ambiguous {
                ids: met.into_keys().collect(),
            },
        })
    }

    async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Account> {
        let entry = self.person(call, id, &[]).await?;
        account(&entry).ok_or_else(|| {
            let detail = "the account's objectGUID cannot be read; delegate the right to read all properties";
            self.wire.fault(FaultClass::Denied, "read {account}", detail)
        })
    }

    async fn set(&self, call: &mut Call, id: &ObjectId, change: &AccountChange) -> Answer<()> {
        match change {
            AccountChange::Disable => self.disable(call, id).await,
            AccountChange::Password(password) => self.reset(call, id, password).await,
            AccountChange::RevokeSessions => {
                let detail = "a domain keeps no sessions that could be revoked: its tickets run out by themselves (ten hours, unless configured otherwise)";
                Err(self.wire.fault(FaultClass::Unsupported, "revoke sessions", detail))
            }
        }
    }

    async fn holdings(&self, call: &mut Call, id: &ObjectId, what: Holding) -> Answer<Vec<Held>> {
        match what {
            Holding::Memberships => self.memberships(call, id).await,
            // A domain has none of these: who administers it, does so by groups.
            Holding::Roles
            | Holding::Methods
            | Holding::Grants
            | Holding::AppRoles
            | Holding::GroupAppRoles
            | Holding::Ownerships => Ok(Vec::new()),
        }
    }

    async fn remove(&self, call: &mut Call, id: &ObjectId, held: &Held) -> Answer<()> {
        match held {
            Held::Membership { group } => self.leave(call, id, group).await,
            Held::Role { .. }
            | Held::Method { .. }
            | Held::Grant { .. }
            | Held::AppRole { .. }
            | Held::Ownership { .. } => {
                let detail = "a domain has nothing of this sort";
                Err(self.wire.fault(FaultClass::Unsupported, "remove {held}", detail))
            }
        }
    }

    async fn add_owner(&self, _call: &mut Call, _group: &ObjectId, _owner: &ObjectId) -> Answer<()> {
        let detail = "groups of a domain have no owners that a departure would need";
        Err(self.wire.fault(FaultClass::Unsupported, "add owner", detail))
    }

    async fn applications(&self, _call: &mut Call, _ids: &[ObjectId]) -> Answer<Vec<Application>> {
        let detail = "a domain gives nobody applications";
        Err(self.wire.fault(FaultClass::Unsupported, "list applications", detail))
    }
}
