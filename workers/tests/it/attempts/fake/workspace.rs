//! The primitives of a workspace.

use super::state::{CANARY, LEAVER, SUCCESSOR, State};
use super::{Fake, fault};
use async_trait::async_trait;
use offboard_connectors::{
    Absence, Answer, Call, Consent, FileTransfer, FileTransfers, Known, Laptop, Laptops, MailChange, Member,
    MemberChange, MemberHolds, Phone, Phones, SharedDrives, Workspace, WorkspaceMail, WorkspaceMailSettings,
};
use offboard_domain::{FaultClass, ObjectId};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The leaver's and the successor's account there.
pub(crate) const HIS: &str = "w-leaver";
pub(crate) const BOSS: &str = "w-boss";

const TRANSFER_MS: i64 = 40 * 60_000;
const PHONE_MS: i64 = 15 * 60_000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MemberRow {
    pub(crate) address: String,
    pub(crate) suspended: bool,
    pub(crate) administrator: bool,
    pub(crate) second_factor: bool,
    pub(crate) enforced: bool,
    pub(crate) has_mail: bool,
    pub(crate) manager: Option<String>,
    pub(crate) grants: BTreeSet<String>,
    pub(crate) app_passwords: BTreeSet<String>,
    pub(crate) codes: u32,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) licences: BTreeSet<String>,
    pub(crate) passwords: u32,
    pub(crate) sign_outs: u32,
    pub(crate) mail: MailRow,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct MailRow {
    pub(crate) reply: Option<String>,
    pub(crate) forwards_to: Option<String>,
    pub(crate) filters: BTreeSet<String>,
    pub(crate) delegates: BTreeSet<String>,
}

/// What there is in the workspace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Office {
    pub(crate) members: BTreeMap<String, MemberRow>,
    /// Accounts that are listed as deleted, and when that was.
    pub(crate) deleted: BTreeMap<String, i64>,
    /// The company, where that is shown.
    pub(crate) company: Option<String>,
    /// Whom the service acts for.
    pub(crate) acting: Option<String>,
    /// From, to, when, and how far.
    pub(crate) transfers: Vec<(String, String, i64, &'static str)>,
    /// Whether the next transfers fail.
    pub(crate) transfers_fail: bool,
    /// Phones, how they stand, and when they were told.
    pub(crate) handhelds: BTreeMap<String, (&'static str, Option<i64>)>,
    /// Laptops, whom each is noted as, and whether it is disabled.
    pub(crate) laptops: BTreeMap<String, (String, bool)>,
    /// Shared drives, and who manages each.
    pub(crate) drives: BTreeMap<String, BTreeSet<String>>,
}

impl Office {
    pub(crate) fn rich() -> Self {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        let row = |who: &str, manager: Option<&str>| MemberRow {
            address: format!("{who}@example.com"),
            suspended: false,
            administrator: false,
            second_factor: true,
            enforced: false,
            has_mail: true,
            manager: manager.map(|m| format!("{m}@example.com")),
            grants: set(&["app-a", "app-b"]),
            app_passwords: set(&["3", "7"]),
            codes: 4,
            groups: set(&["g-a", "g-b"]),
            licences: set(&["P/1", "P/2"]),
            passwords: 0,
            sign_outs: 0,
            mail: MailRow {
                forwards_to: Some(format!("{CANARY}@elsewhere.example")),
                filters: set(&["f-1"]),
                ..MailRow::default()
            },
        };
        Self {
            members: [(HIS, row(LEAVER, Some(SUCCESSOR))), (BOSS, row(SUCCESSOR, None))]
                .map(|(id, row)| (id.to_owned(), row))
                .into(),
            deleted: BTreeMap::new(),
            company: None,
            acting: None,
            transfers: Vec::new(),
            transfers_fail: false,
            laptops: ["l-1", "l-2"]
                .map(|id| (id.to_owned(), (format!("{LEAVER}@example.com"), false)))
                .into(),
            drives: [("d-1", set(&[HIS])), ("d-2", set(&[HIS, BOSS])), ("d-3", set(&[HIS]))]
                .map(|(id, by)| (id.to_owned(), by))
                .into(),
            handhelds: ["p-1", "p-2"].map(|id| (id.to_owned(), ("APPROVED", None))).into(),
        }
    }

    pub(crate) fn time_passes(&mut self, now_ms: i64) {
        for (_, _, at, status) in &mut self.transfers {
            if *at + TRANSFER_MS <= now_ms && *status == "inProgress" {
                *status = if self.transfers_fail { "failed" } else { "completed" };
            }
        }
        for (status, told) in self.handhelds.values_mut() {
            if told.is_some_and(|at| at + PHONE_MS <= now_ms) {
                *status = "ACCOUNT_WIPED";
            }
        }
    }

    /// Everything but times, and but how often what is harmless was done.
    pub(crate) fn shape(&mut self) {
        for row in self.members.values_mut() {
            row.passwords = row.passwords.min(1);
            row.sign_outs = row.sign_outs.min(1);
        }
        self.transfers.iter_mut().for_each(|t| t.2 = 0);
        self.handhelds.values_mut().for_each(|h| h.1 = None);
    }
}

fn member(id: &str, row: &MemberRow, company: Option<&String>) -> Member {
    Member {
        id: id.into(),
        company: company.cloned(),
        address: row.address.clone(),
        aliases: vec![format!("{CANARY}@{id}.example")],
        employee_ids: Vec::new(),
        suspended: row.suspended,
        archived: false,
        administrator: row.administrator,
        second_factor: row.second_factor,
        second_factor_enforced: row.enforced,
        has_mail: row.has_mail,
        manager: row.manager.clone(),
        whole: json!({"id": id, "primaryEmail": row.address, "nick": CANARY}),
    }
}

fn held(row: &mut MemberRow, sort: MemberHolds) -> &mut BTreeSet<String> {
    match sort {
        MemberHolds::Grants => &mut row.grants,
        MemberHolds::AppPasswords => &mut row.app_passwords,
        MemberHolds::Groups => &mut row.groups,
        MemberHolds::Licences => &mut row.licences,
        MemberHolds::BackupCodes => panic!("codes are taken by a change"),
    }
}

impl Fake {
    async fn write_member(
        &self,
        call: &mut Call,
        id: &ObjectId,
        what: &str,
        f: impl FnOnce(&mut MemberRow),
    ) -> Answer<()> {
        self.write(call, &format!("{what} {id}"), |s, _| {
            if let Some(row) = s.office.members.get_mut(&id.0) {
                f(row);
            }
        })
        .await
    }

    fn is_open(&self, id: &ObjectId) -> bool {
        self.now().office.members.get(&id.0).is_some_and(|row| !row.suspended)
    }
}

#[async_trait]
impl Workspace for Fake {
    async fn find(&self, call: &mut Call, who: &Known) -> Answer<Vec<Member>> {
        self.read(call, "members", |s| {
            let company = s.office.company.as_ref();
            let all = s.office.members.iter().map(|(id, row)| member(id, row, company));
            all.filter(|m| who.names.iter().any(|name| m.answers_to(name)))
                .collect()
        })
        .await
    }

    async fn member(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Member>> {
        let of = |s: &State| {
            let row = s.office.members.get(&id.0);
            row.map(|row| member(&id.0, row, s.office.company.as_ref()))
        };
        self.read(call, "member", of).await
    }

    async fn absence(&self, call: &mut Call, id: &ObjectId) -> Answer<Absence> {
        self.read(call, "absence", |s| Absence {
            deleted: s.office.deleted.contains_key(&id.0),
            deleted_ms: s.office.deleted.get(&id.0).copied(),
            company: s.office.company.clone(),
        })
        .await
    }

    fn acts_for(&self, member: &Member) -> bool {
        self.now().office.acting.as_deref() == Some(member.id.0.as_str())
    }

    async fn has_other_administrator(&self, call: &mut Call, id: &ObjectId) -> Answer<bool> {
        self.read(call, "administrators", |s| {
            let mut all = s.office.members.iter();
            all.any(|(other, row)| *other != id.0 && row.administrator && !row.suspended)
        })
        .await
    }

    async fn change(&self, call: &mut Call, id: &ObjectId, change: &MemberChange) -> Answer<()> {
        let needs_open = matches!(
            change,
            MemberChange::InvalidateBackupCodes | MemberChange::TurnOffSecondFactor
        );
        if needs_open && !self.is_open(id) {
            return Err(fault(FaultClass::Blocked, "change"));
        }
        match change {
            MemberChange::Password(_) => self.write_member(call, id, "Password", |m| m.passwords += 1).await,
            MemberChange::SignOut => self.write_member(call, id, "SignOut", |m| m.sign_outs += 1).await,
            MemberChange::Suspend => self.write_member(call, id, "Suspend", |m| m.suspended = true).await,
            MemberChange::InvalidateBackupCodes => self.write_member(call, id, "Codes", |m| m.codes = 0).await,
            MemberChange::TurnOffSecondFactor => {
                self.write_member(call, id, "SecondFactor", |m| m.second_factor = false)
                    .await
            }
        }
    }

    async fn held(&self, call: &mut Call, of: &Member, sort: MemberHolds) -> Answer<Vec<String>> {
        self.read(call, "held", |s| {
            let Some(mut row) = s.office.members.get(&of.id.0).cloned() else {
                return Vec::new();
            };
            match sort {
                MemberHolds::BackupCodes => (0..row.codes).map(|n| n.to_string()).collect(),
                _ => held(&mut row, sort).iter().cloned().collect(),
            }
        })
        .await
    }

    async fn consents(&self, call: &mut Call, of: &Member) -> Answer<Vec<Consent>> {
        self.read(call, "consents", |s| {
            let row = s.office.members.get(&of.id.0);
            let all = row.into_iter().flat_map(|row| &row.grants);
            all.map(|client| Consent {
                client: client.as_str().into(),
                name: Some(format!("Tool {client}")),
            })
            .collect()
        })
        .await
    }

    async fn take(&self, call: &mut Call, of: &Member, sort: MemberHolds, what: &str) -> Answer<()> {
        self.write_member(call, &of.id, &format!("Take {what}"), |m| {
            held(m, sort).remove(what);
        })
        .await
    }
}

#[async_trait]
impl WorkspaceMail for Fake {
    async fn mail_settings(&self, call: &mut Call, of: &Member) -> Answer<WorkspaceMailSettings> {
        if !self.is_open(&of.id) {
            return Err(fault(FaultClass::Transient, "mail settings"));
        }
        self.read(call, "mail", |s| {
            let mail = s
                .office
                .members
                .get(&of.id.0)
                .map(|row| row.mail.clone())
                .unwrap_or_default();
            WorkspaceMailSettings {
                reply: mail.reply,
                keeps_copy: mail.forwards_to.is_some(),
                forwards_to: mail.forwards_to,
                forwarding_filters: mail.filters.into_iter().collect(),
                delegates: mail.delegates.into_iter().collect(),
                whole: json!({"filters": [CANARY]}),
            }
        })
        .await
    }

    async fn change_mail(&self, call: &mut Call, of: &Member, change: &MailChange) -> Answer<()> {
        if !self.is_open(&of.id) {
            return Err(fault(FaultClass::Blocked, "mail settings"));
        }
        self.write_member(call, &of.id, "Mail", |m| match change {
            MailChange::Reply { text } => m.mail.reply = Some(format!("<p>{text}</p>")),
            MailChange::ForwardTo(to) => {
                m.mail.forwards_to = Some(to.address.to_uppercase());
                m.mail.filters.clear();
            }
            MailChange::StopForwarding => {
                m.mail.forwards_to = None;
                m.mail.filters.clear();
            }
            MailChange::LetIn(who) => {
                m.mail.delegates.insert(who.address.clone());
            }
        })
        .await
    }
}

#[async_trait]
impl SharedDrives for Fake {
    async fn managed_alone(&self, call: &mut Call, member: &Member) -> Answer<Vec<ObjectId>> {
        self.read(call, "drives", |s| {
            let all = s.office.drives.iter();
            let his = all.filter(|(_, by)| by.len() == 1 && by.contains(&member.id.0));
            his.map(|(id, _)| ObjectId(id.clone())).collect()
        })
        .await
    }

    async fn let_manage(&self, call: &mut Call, drive: &ObjectId, who: &Member) -> Answer<()> {
        self.write(call, &format!("Manage {drive} {}", who.id), |s, _| {
            if let Some(by) = s.office.drives.get_mut(&drive.0) {
                by.insert(who.id.0.clone());
            }
        })
        .await
    }
}

#[async_trait]
impl FileTransfers for Fake {
    async fn transfers(&self, call: &mut Call, from: &ObjectId, to: &ObjectId) -> Answer<Vec<FileTransfer>> {
        self.read(call, "transfers", |s| {
            let all = s.office.transfers.iter().enumerate().rev();
            let ours = all.filter(|(_, (a, b, ..))| *a == from.0 && *b == to.0);
            ours.map(|(n, (_, _, at, status))| FileTransfer {
                id: format!("t-{n}"),
                status: (*status).to_owned(),
                requested_ms: Some(*at),
            })
            .collect()
        })
        .await
    }

    async fn transfer(&self, call: &mut Call, from: &ObjectId, to: &ObjectId) -> Answer<()> {
        self.write(call, &format!("Transfer {from} {to}"), |s, now_ms| {
            s.office
                .transfers
                .push((from.0.clone(), to.0.clone(), now_ms, "inProgress"));
        })
        .await
    }
}

fn phone(id: &str, status: &str) -> Phone {
    Phone {
        id: id.into(),
        status: status.to_owned(),
        owners: vec![format!("{LEAVER}@example.com")],
        serial: None,
        whole: json!({"name": CANARY}),
    }
}

#[async_trait]
impl Phones for Fake {
    async fn phones(&self, call: &mut Call, of: &Member) -> Answer<Vec<Phone>> {
        self.read(call, "phones", |s| {
            let his = s.office.handhelds.iter().filter(|_| of.id.0 == HIS);
            his.map(|(id, (status, _))| phone(id, status)).collect()
        })
        .await
    }

    async fn phone(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Phone>> {
        self.read(call, "phone", |s| {
            s.office.handhelds.get(&id.0).map(|(status, _)| phone(&id.0, status))
        })
        .await
    }

    async fn wipe_account(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("WipeAccount {id}"), |s, now_ms| {
            if let Some(handheld) = s.office.handhelds.get_mut(&id.0) {
                *handheld = ("ACCOUNT_WIPING", Some(now_ms));
            }
        })
        .await
    }
}

fn laptop(id: &str, (noted, disabled): &(String, bool)) -> Laptop {
    Laptop {
        id: id.into(),
        status: if *disabled { "DISABLED" } else { "ACTIVE" }.to_owned(),
        serial: (id == "l-1").then(|| "5CG1111".to_owned()),
        noted: Some(noted.clone()).filter(|noted| !noted.is_empty()),
    }
}

#[async_trait]
impl Laptops for Fake {
    async fn laptops(&self, call: &mut Call, of: &Member) -> Answer<Vec<Laptop>> {
        self.read(call, "laptops", |s| {
            let all = s.office.laptops.iter().map(|(id, row)| laptop(id, row));
            all.filter(|l| l.is_noted_as(of)).collect()
        })
        .await
    }

    async fn laptop(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Laptop>> {
        self.read(call, "laptop", |s| {
            s.office.laptops.get(&id.0).map(|row| laptop(&id.0, row))
        })
        .await
    }

    async fn disable_laptop(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("Disable {id}"), |s, _| {
            if let Some((_, disabled)) = s.office.laptops.get_mut(&id.0) {
                *disabled = true;
            }
        })
        .await
    }
}
