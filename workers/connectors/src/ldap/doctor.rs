//! `offboard doctor`: says before the first departure what would fail in it.
//! The directory itself says what the account that we sign in with may write
//! (`allowedAttributesEffective`), object by object; the first page of each sort
//! stands for all.

use super::LdapConnector;
use super::account::protection;
use super::entry::Entry;
use super::filter::{At, Filter};
use crate::{Answer, Call, Finding, Severity};
use offboard_domain::Kind;
use offboard_domain::assignment::CLOCK_MARGIN_MS;

/// Where the rights are described.
const PAGE: &str = "docs/connectors/active-directory.md";

/// What the account that we sign in with may write, and to what it may create.
const MAY_WRITE: &str = "allowedAttributesEffective";
const MAY_CREATE: &str = "allowedChildClassesEffective";

fn stops(kinds: &[Kind], finding: Finding) -> Finding {
    Finding {
        kinds: kinds.iter().copied().collect(),
        ..finding
    }
}

pub(super) async fn check(ldap: &LdapConnector, call: &mut Call) -> Vec<Finding> {
    let session = match ldap.wire.session(call).await {
        Ok(session) => session,
        Err(fault) => {
            let code = fault.code.as_deref().map(|c| format!(" ({c})")).unwrap_or_default();
            let what = format!("the domain cannot be used: {} fails{code}", fault.attempted);
            return vec![Finding::new(Severity::Problem, what, fault.detail)];
        }
    };
    let mut findings = vec![Finding::new(
        Severity::Fine,
        format!(
            "{} lets us in over TLS, with a certificate that holds for its name",
            session.controller.host
        ),
        "",
    )];
    findings.push(clock(session.ahead_ms));
    let domain = At::Name(session.domain);
    match rights(ldap, call, &domain).await {
        Ok(found) => findings.extend(found),
        Err(fault) => findings.push(Finding::new(
            Severity::Problem,
            "what the account may write cannot be found out",
            fault.detail,
        )),
    }
    findings
}

fn clock(ahead_ms: Option<i64>) -> Finding {
    match ahead_ms {
        None => Finding::new(
            Severity::Warning,
            "the domain controller does not say its time",
            "see that its clock and this machine's agree",
        ),
        Some(ahead_ms) if ahead_ms.abs() > CLOCK_MARGIN_MS => Finding::new(
            Severity::Problem,
            format!(
                "this machine's clock differs from the domain controller's by {} seconds",
                ahead_ms.abs() / 1_000
            ),
            "set the clock: whether the cloud was synchronised since a change is told by time",
        ),
        Some(_) => Finding::new(
            Severity::Fine,
            "this machine's clock agrees with the domain controller's",
            "",
        ),
    }
}

async fn rights(ldap: &LdapConnector, call: &mut Call, domain: &At) -> Answer<Vec<Finding>> {
    let mut findings = Vec::new();
    let wanted = [
        "objectGUID",
        "objectSid",
        "adminCount",
        "isCriticalSystemObject",
        "userAccountControl",
        MAY_WRITE,
    ];
    let accounts = ldap.wire.some(call, domain, &Filter::people(), &wanted).await?;
    let groups = Filter::equals("objectCategory", "group");
    let groups = ldap.wire.some(call, domain, &groups, &wanted).await?;
    // Rights are delegated by unit, and not every unit holds people who leave:
    // what may be written of one of them is taken for delegated.
    let ordinary = |of: Vec<Entry>| -> Vec<Entry> { of.into_iter().filter(|e| protection(e).is_none()).collect() };
    let (accounts, groups) = (ordinary(accounts), ordinary(groups));
    let may = |of: &[Entry], attribute: &str| of.iter().any(|e| e.has(MAY_WRITE, attribute));
    match accounts.is_empty() {
        true => findings.push(Finding::new(
            Severity::Problem,
            "no account of a person can be seen in the domain",
            format!("give the account that Offboard signs in with the right to read the domain ({PAGE})"),
        )),
        false => {
            let write =
                |attribute: &str, kinds: &[Kind]| lacking(may(&accounts, attribute), "accounts", attribute, kinds);
            findings.extend(write("userAccountControl", &[Kind::DisableOnPremises]));
            findings.extend(groups_of_one(ldap, call, &accounts).await?);
            // Only who has another primary group than everybody needs to be freed of it.
            let primary = write("primaryGroupID", &[Kind::RemoveGroupsOnPremises]);
            findings.extend(primary.map(|finding| Finding {
                severity: Severity::Warning,
                ..finding
            }));
            // A move writes `name` too, of which not every directory tells: the schema has it
            // as the system's own, and Samba leaves such out.
            if ldap.wire.leavers_unit.is_some() {
                findings.extend(write("cn", &[Kind::MoveToLeaversUnit]));
            }
            match ldap.has_exchange(call).await? {
                true => findings.extend(write("msExchHideFromAddressLists", &[Kind::HideOnPremises])),
                false => findings.push(stops(
                    &[Kind::HideOnPremises],
                    Finding::new(
                        Severity::Warning,
                        "the domain's schema has no Exchange attributes, so nobody can be hidden from address lists here",
                        "if mailboxes are in the cloud, extend the schema with Exchange's (setup /PrepareSchema), or have the synchronisation set it by a rule; without mailboxes nothing is to be done",
                    ),
                )),
            }
            findings.push(Finding::new(
                Severity::Fine,
                "the right to reset passwords is not told by the directory without trying it",
                format!("see that it is delegated as {PAGE} says"),
            ));
        }
    }
    if !groups.is_empty() {
        let may = may(&groups, "member");
        findings.extend(lacking(may, "groups", "member", &[Kind::RemoveGroupsOnPremises]));
    }
    let computers = Filter::equals("objectCategory", "computer");
    let computers = ordinary(ldap.wire.some(call, domain, &computers, &wanted).await?);
    if !computers.is_empty() {
        let may = may(&computers, "userAccountControl");
        findings.extend(lacking(
            may,
            "computers",
            "userAccountControl",
            &[Kind::DisableComputer],
        ));
    }
    findings.extend(leavers_unit(ldap, call).await?);
    let missing = findings.iter().any(|f| f.severity == Severity::Problem);
    if !missing {
        findings.push(Finding::new(
            Severity::Fine,
            "every right that the directory tells of is delegated",
            "",
        ));
    }
    Ok(findings)
}

/// Whether the groups of an ordinary account can be read: without them nothing is written to
/// any. A search tells them of nobody, so one account is read by itself.
async fn groups_of_one(ldap: &LdapConnector, call: &mut Call, accounts: &[Entry]) -> Answer<Option<Finding>> {
    let Some(guid) = accounts.iter().find_map(Entry::guid) else {
        return Ok(None);
    };
    let read = ldap.wire.read(call, &At::Guid(guid), &["tokenGroups"]).await?;
    // Gone in between, it says nothing.
    Ok(read.as_ref().and_then(untold_groups))
}

fn untold_groups(account: &Entry) -> Option<Finding> {
    if account.sids("tokenGroups").next().is_some() {
        return None;
    }
    let kinds = [
        Kind::DisableOnPremises,
        Kind::ResetPasswordOnPremises,
        Kind::HideOnPremises,
        Kind::RemoveGroupsOnPremises,
        Kind::MoveToLeaversUnit,
    ];
    let what = "tokenGroups of an ordinary account cannot be read, so it is not known of anybody whether he administers the domain, and nothing is written";
    let how = format!("delegate the right to read it on the units that hold accounts, as {PAGE} says");
    Some(stops(&kinds, Finding::new(Severity::Problem, what, how)))
}

fn lacking(may: bool, of: &str, attribute: &str, kinds: &[Kind]) -> Option<Finding> {
    (!may).then(|| {
        let what = format!("the account that Offboard signs in with may not write {attribute} of {of}");
        let how = format!("delegate it on the units that hold them, as {PAGE} says");
        stops(kinds, Finding::new(Severity::Problem, what, how))
    })
}

async fn leavers_unit(ldap: &LdapConnector, call: &mut Call) -> Answer<Option<Finding>> {
    let Some(unit) = &ldap.wire.leavers_unit else {
        return Ok(Some(Finding::new(
            Severity::Fine,
            "accounts stay where they are: no unit for leavers is configured",
            "",
        )));
    };
    let kinds = [Kind::MoveToLeaversUnit];
    let seen = ldap.wire.read(call, &At::Name(unit.clone()), &[MAY_CREATE]).await?;
    let wrong = match seen {
        None => Finding::new(
            Severity::Problem,
            "the leavers' unit is not there, or may not be seen",
            "correct `leavers_unit`, or let the account that Offboard signs in with read it",
        ),
        Some(unit) if !unit.has(MAY_CREATE, "user") => Finding::new(
            Severity::Problem,
            "the account that Offboard signs in with may not create accounts in the leavers' unit, so it can move none there",
            format!("delegate it on that unit, as {PAGE} says"),
        ),
        Some(_) => return Ok(None),
    };
    Ok(Some(stops(&kinds, wrong)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_whose_groups_are_not_told_stops_every_write() {
        let finding = untold_groups(&Entry::default()).unwrap();
        assert_eq!(finding.severity, Severity::Problem);
        assert!(finding.kinds.contains(&Kind::DisableOnPremises), "{finding:?}");
        assert!(
            finding.what.contains("tokenGroups") && finding.how_to_mend.contains(PAGE),
            "{finding:?}"
        );
    }
}
