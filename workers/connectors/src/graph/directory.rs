//! Entra: accounts, roles, methods, grants, groups.

use super::GraphConnector;
use super::api::{Api, Ask};
use super::fault::NOT_LICENSED;
use super::groups::{self, Way, gone_is_fine};
use super::path::{Deletable, Filter, Path, Side};
use super::permission::{
    DISABLE, Need, PASSWORD, READ_APP_ROLES, READ_APPLICATIONS, READ_ELIGIBLE_ROLES, READ_GRANTS, READ_METHODS,
    READ_ROLES, READ_USERS, REVOKE, WRITE_APP_ROLES, WRITE_ELIGIBLE_ROLES, WRITE_GRANTS, WRITE_METHODS, WRITE_ROLES,
};
use super::read::{id_in, text_in, time_ms};
use crate::area::directory::{says_otherwise, smtp_in};
use crate::{
    Account, AccountChange, Answer, Application, Call, Directory, ELIGIBLE_ROLES, Found, Held, Holding, MethodSort,
    OwnedSort, RoleOrigin,
};
use async_trait::async_trait;
use offboard_domain::departure::PersonRef;
use offboard_domain::{Fault, FaultClass, ObjectId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The role that can do everything, by its published template id.
pub(super) const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
/// The published id of every mobile phone method: it goes after the others.
const MOBILE_PHONE: &str = "3179e48a-750b-4051-897c-87b9720928f7";
/// The published id of every alternate mobile phone method.
const ALTERNATE_MOBILE_PHONE: &str = "b6332ec1-7057-4abe-9331-3d72feddfe41";

/// Why an eligible role is taken, for the vendor's own audit log.
const JUSTIFICATION: &str = "The person leaves the company.";

const ACCOUNT_FIELDS: &str = "id,userPrincipalName,mail,proxyAddresses,displayName,employeeId,accountEnabled,userType,onPremisesSyncEnabled,onPremisesSecurityIdentifier,onPremisesLastSyncDateTime,signInSessionsValidFromDateTime,lastPasswordChangeDateTime";

/// Which of the two lists of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Held now.
    Held,
    /// To be activated by the account itself (Privileged Identity Management).
    Eligible,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    user_principal_name: String,
    mail: Option<String>,
    proxy_addresses: Option<Vec<String>>,
    display_name: Option<String>,
    employee_id: Option<String>,
    account_enabled: Option<bool>,
    user_type: Option<String>,
    on_premises_sync_enabled: Option<bool>,
    on_premises_security_identifier: Option<String>,
    on_premises_last_sync_date_time: Option<String>,
    sign_in_sessions_valid_from_date_time: Option<String>,
    last_password_change_date_time: Option<String>,
    #[serde(default)]
    manager: Value,
}

impl User {
    /// Whether the request that gave its id says of it what is not so.
    fn is_otherwise_in(&self, person: &PersonRef) -> bool {
        let mut addresses = vec![self.user_principal_name.as_str()];
        addresses.extend(self.mail.as_deref());
        addresses.extend(self.proxy_addresses.iter().flatten().filter_map(|p| smtp_in(p)));
        let numbers: Vec<&str> = self.employee_id.as_deref().into_iter().collect();
        says_otherwise(person, &addresses, &numbers)
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        let guest = user.user_type.as_deref() == Some("Guest");
        let proxies = user.proxy_addresses.iter().flatten();
        let addresses = proxies.filter_map(|p| smtp_in(p)).map(str::to_owned).collect();
        Self {
            addresses,
            id: ObjectId(user.id),
            user_principal_name: user.user_principal_name,
            display_name: user.display_name,
            employee_id: user.employee_id,
            // What was not read is not proven: it counts as enabled.
            enabled: user.account_enabled.unwrap_or(true),
            synced: user.on_premises_sync_enabled.unwrap_or(false),
            guest,
            has_mailbox: !guest && user.mail.is_some(),
            mail: user.mail,
            sessions_valid_from_ms: user.sign_in_sessions_valid_from_date_time.as_deref().and_then(time_ms),
            password_changed_ms: user.last_password_change_date_time.as_deref().and_then(time_ms),
            manager_id: id_in(&user.manager["id"]),
            on_premises_security_id: user.on_premises_security_identifier,
            synced_at_ms: user.on_premises_last_sync_date_time.as_deref().and_then(time_ms),
        }
    }
}

/// The directories that Microsoft's own applications come from.
const MICROSOFTS: [&str; 2] = [
    "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
    "72f988bf-86f1-41af-91ab-2d7cd011db47",
];

const APPLICATION_FIELDS: &str = "id,appId,displayName,appOwnerOrganizationId,verifiedPublisher";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServicePrincipal {
    id: String,
    app_id: String,
    display_name: Option<String>,
    app_owner_organization_id: Option<String>,
    #[serde(default)]
    verified_publisher: Value,
}

impl ServicePrincipal {
    /// As it is to a connector that signs in as this application.
    fn known_to(self, ours: &str) -> Application {
        let owner = self.app_owner_organization_id.unwrap_or_default();
        let microsofts = MICROSOFTS.iter().any(|id| owner.eq_ignore_ascii_case(id));
        Application {
            id: ObjectId(self.id),
            of_the_platform: microsofts || self.app_id.eq_ignore_ascii_case(ours),
            app_id: self.app_id,
            name: self.display_name.filter(|name| !name.is_empty()),
            publisher: text_in(&self.verified_publisher["displayName"]),
        }
    }
}

impl Api {
    pub(super) async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Account> {
        Ok(self.user(call, id).await?.into())
    }

    async fn user(&self, call: &mut Call, id: &ObjectId) -> Answer<User> {
        let path = Path::user(&id.0)
            .select(ACCOUNT_FIELDS)
            .with("$expand", "manager($select=id)");
        let ask = Ask::get(path, READ_USERS);
        let body = self.send(call, &ask).await?.body;
        self.shaped(&ask, body)
    }

    /// The ids of the accounts that a filter finds.
    pub(super) async fn ids_where(&self, call: &mut Call, filter: &Filter) -> Answer<BTreeSet<ObjectId>> {
        let ask = Ask::get(
            Path::at("users").filter(filter).select("id").top(AMBIGUITY_SEEN),
            READ_USERS,
        );
        let body = self.send(call, &ask).await?.body;
        Ok(body["value"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|u| id_in(&u["id"]))
            .collect())
    }

    /// The accounts that these names belong to: sign-in names, or the names that
    /// are shown, when there is no `@` in one. Names of no account, and names that
    /// are shown for several, are left out.
    pub(super) async fn accounts_named(
        &self,
        call: &mut Call,
        names: &BTreeSet<String>,
    ) -> Answer<BTreeMap<String, ObjectId>> {
        let names: Vec<&String> = names.iter().collect();
        let asks: Vec<Ask> = names
            .iter()
            .map(|name| {
                let filter = if name.contains('@') {
                    Filter::eq("userPrincipalName", name)
                } else {
                    Filter::eq("displayName", name)
                };
                Ask::get(
                    Path::at("users").filter(&filter).select("id").top(AMBIGUITY_SEEN),
                    READ_USERS,
                )
            })
            .collect();
        let mut found = BTreeMap::new();
        for (name, answer) in names.into_iter().zip(self.batch(call, &asks).await) {
            let body = answer?.body;
            if let [only] = body["value"].as_array().map_or(&[][..], Vec::as_slice)
                && let Some(id) = id_in(&only["id"])
            {
                found.insert(name.clone(), id);
            }
        }
        Ok(found)
    }

    /// Roles that are held, and roles that may be activated; the tenant that has
    /// no licence for the second has none of them, and the call notes it.
    async fn roles(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Held>> {
        let mut ways = vec![(id.clone(), RoleOrigin::Direct)];
        // Whoever is in, or owns, a group that can hold roles is privileged too.
        let groups = self.groups_of(call, id).await?;
        ways.extend(
            groups
                .into_iter()
                .filter(|g| g.role_assignable)
                .map(|g| (g.id.clone(), RoleOrigin::Member(g.id))),
        );
        let owned = self.owned_by(call, id).await?;
        ways.extend(
            owned
                .iter()
                .filter_map(groups::of)
                .filter(|g| g.role_assignable)
                .map(|g| (g.id.clone(), RoleOrigin::Owner(g.id))),
        );
        let mut licensed = true;
        let mut found = Vec::new();
        for (principal, origin) in ways {
            let mut given = self.roles_given_to(call, &principal, &origin, Standing::Held).await?;
            if licensed {
                match self.roles_given_to(call, &principal, &origin, Standing::Eligible).await {
                    Ok(eligible) => given.extend(eligible),
                    Err(fault) if fault.code.as_deref() == Some(NOT_LICENSED) => {
                        licensed = false;
                        call.note_unlicensed(ELIGIBLE_ROLES);
                    }
                    Err(fault) => return Err(fault),
                }
            }
            if given.is_empty() && origin != RoleOrigin::Direct {
                given.push(Held::Role {
                    id: principal,
                    role: None,
                    scope: "/".into(),
                    origin,
                    eligible: false,
                    administrator: false,
                    last_administrator: false,
                });
            }
            found.extend(given);
        }
        let administers = |held: &Held| {
            matches!(
                held,
                Held::Role {
                    administrator: true,
                    eligible: false,
                    ..
                }
            )
        };
        if found.iter().any(administers) && !self.another_administrator(call, id).await? {
            for held in &mut found {
                if let Held::Role {
                    administrator: true,
                    eligible: false,
                    last_administrator,
                    ..
                } = held
                {
                    *last_administrator = true;
                }
            }
        }
        Ok(found)
    }

    async fn roles_given_to(
        &self,
        call: &mut Call,
        principal: &ObjectId,
        origin: &RoleOrigin,
        standing: Standing,
    ) -> Answer<Vec<Held>> {
        let eligible = standing == Standing::Eligible;
        let (list, need) = match standing {
            Standing::Held => ("directory/roleAssignments", READ_ROLES),
            Standing::Eligible => ("directory/roleEligibilitySchedules", READ_ELIGIBLE_ROLES),
        };
        let path = Path::at("roleManagement")
            .then(list)
            .filter(&Filter::eq("principalId", &principal.0));
        let mut found: Vec<Held> = self
            .list(call, Ask::get(path, need))
            .await?
            .iter()
            // A schedule that was taken back may still be listed, and gives nothing.
            .filter(|a| a["status"] != "Revoked")
            .filter_map(|a| {
                let role = id_in(&a["roleDefinitionId"])?;
                Some(Held::Role {
                    id: id_in(&a["id"])?,
                    // To own a group gives none of its roles.
                    administrator: role.0 == GLOBAL_ADMINISTRATOR && !matches!(origin, RoleOrigin::Owner(_)),
                    role: Some(role),
                    scope: text_in(&a["directoryScopeId"]).unwrap_or_else(|| "/".into()),
                    origin: origin.clone(),
                    eligible,
                    last_administrator: false,
                })
            })
            .collect();
        found.sort_by(|a, b| a.id().cmp(b.id()));
        Ok(found)
    }

    /// Whether somebody else who may sign in can do everything, directly or by a
    /// group, and stays. An application that holds the role is nobody: it lets no
    /// person in again.
    async fn another_administrator(&self, call: &mut Call, but: &ObjectId) -> Answer<bool> {
        let path = Path::at("directoryRoles").select("id,roleTemplateId");
        let roles = self.list(call, Ask::get(path, READ_ROLES)).await?;
        let role = roles
            .iter()
            .find(|r| r["roleTemplateId"] == GLOBAL_ADMINISTRATOR)
            .and_then(|r| id_in(&r["id"]));
        let Some(role) = role else { return Ok(false) };
        let path = Path::at("directoryRoles")
            .id(&role.0)
            .then("members")
            .select("id,accountEnabled");
        let members = self.list(call, Ask::get(path, READ_ROLES)).await?;
        // What does not say that it is a person is not taken for one.
        let leaving = call.leaving().clone();
        let stands = |m: &Value| {
            let person = m["@odata.type"] == "#microsoft.graph.user" && m["accountEnabled"] == true;
            person && m["id"] != but.0.as_str() && !leaving.iter().any(|id| m["id"] == id.0.as_str())
        };
        if members.iter().any(stands) {
            return Ok(true);
        }
        for group in members
            .iter()
            .filter(|m| m["@odata.type"] == "#microsoft.graph.group")
            .filter_map(|m| id_in(&m["id"]))
        {
            let path = Path::at("groups")
                .id(&group.0)
                .then("members")
                .select("id,accountEnabled");
            if self
                .list(call, Ask::get(path, super::permission::READ_GROUPS))
                .await?
                .iter()
                .any(stands)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn methods(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Held>> {
        let ask = Ask::get(Path::user(&id.0).then("authentication/methods"), READ_METHODS);
        let mut found: Vec<(u8, Held)> = self
            .list(call, ask)
            .await?
            .iter()
            .filter_map(|m| {
                let id = id_in(&m["id"])?;
                let sort = method_sort(m["@odata.type"].as_str().unwrap_or(""))?;
                let rank = match (sort, id.0.as_str()) {
                    (MethodSort::Phone, MOBILE_PHONE) => 3,
                    (MethodSort::Phone, ALTERNATE_MOBILE_PHONE) => 2,
                    (MethodSort::Phone, _) => 1,
                    _ => 0,
                };
                Some((
                    rank,
                    Held::Method {
                        last: rank == 3,
                        id,
                        sort,
                    },
                ))
            })
            .collect();
        found.sort_by(|(ra, a), (rb, b)| ra.cmp(rb).then_with(|| a.id().cmp(b.id())));
        Ok(found.into_iter().map(|(_, held)| held).collect())
    }

    async fn grants(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Held>> {
        let ask = Ask::get(Path::user(&id.0).then("oauth2PermissionGrants"), READ_GRANTS);
        let mut found: Vec<Held> = self
            .list(call, ask)
            .await?
            .iter()
            .filter(|g| g["consentType"] == "Principal" && g["principalId"] == id.0.as_str())
            .filter_map(|g| {
                Some(Held::Grant {
                    id: id_in(&g["id"])?,
                    client: id_in(&g["clientId"])?,
                    resource: id_in(&g["resourceId"])?,
                    scopes: g["scope"]
                        .as_str()
                        .unwrap_or("")
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect(),
                })
            })
            .collect();
        found.sort_by(|a, b| a.id().cmp(b.id()));
        Ok(found)
    }

    /// Those of the account itself, or those of its groups: both are listed with it.
    async fn app_roles(&self, call: &mut Call, id: &ObjectId, own: bool) -> Answer<Vec<Held>> {
        let ask = Ask::get(Path::user(&id.0).then("appRoleAssignments"), READ_APP_ROLES);
        let mut found: Vec<Held> = self
            .list(call, ask)
            .await?
            .iter()
            // What his groups were given is not his to lose.
            .filter(|a| (a["principalId"] == id.0.as_str()) == own)
            .filter_map(|a| {
                Some(Held::AppRole {
                    id: id_in(&a["id"])?,
                    application: id_in(&a["resourceId"])?,
                    role: id_in(&a["appRoleId"])?,
                    group: id_in(&a["principalId"]).filter(|_| !own),
                })
            })
            .collect();
        found.sort_by(|a, b| a.id().cmp(b.id()));
        Ok(found)
    }

    async fn ownerships(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Held>> {
        let mut owned = self.owned_by(call, id).await?;
        owned.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
        let group_ids: Vec<ObjectId> = owned.iter().filter_map(groups::of).map(|g| g.id).collect();
        let counts = self
            .other_owners(call, &group_ids.iter().collect::<Vec<_>>(), id)
            .await?;
        let others: BTreeMap<&ObjectId, u32> = group_ids.iter().zip(counts).collect();
        Ok(owned
            .iter()
            .filter_map(|o| {
                let id = id_in(&o["id"])?;
                let group = groups::of(o);
                let sort = match o["@odata.type"].as_str() {
                    _ if group.is_some() => OwnedSort::Group,
                    Some("#microsoft.graph.application" | "#microsoft.graph.servicePrincipal") => {
                        OwnedSort::Application
                    }
                    _ => OwnedSort::Other,
                };
                Some(Held::Ownership {
                    other_owners: others.get(&id).copied().unwrap_or(0),
                    sort,
                    group,
                    id,
                })
            })
            .collect())
    }

    /// A person is protected while he holds a role, and for a while after: the
    /// directory forgets it only slowly. So when he is refused as protected and
    /// a read shows that he holds none any more, the refusal will pass by
    /// itself. A read may lag as well, so a role is believed only when it shows
    /// every time.
    async fn reconsidered(&self, call: &mut Call, id: &ObjectId, fault: Fault) -> Fault {
        if fault.class != FaultClass::Blocked || fault.status != Some(403) {
            return fault;
        }
        for _look in 0..PROTECTED_LOOKS {
            match self.roles(call, id).await {
                Ok(roles) if roles.is_empty() => {
                    return Fault {
                        class: FaultClass::Transient,
                        detail: "the directory still protects the account, though it holds no role any more; it is tried again".into(),
                        ..fault
                    };
                }
                Ok(_) => {}
                // What cannot be found out leaves the refusal as it was.
                Err(_) => return fault,
            }
        }
        fault
    }

    /// The one request to Graph that removes it, when one does; none when it
    /// takes another way.
    fn removal(&self, id: &ObjectId, held: &Held) -> Answer<Option<Ask>> {
        let delete = |what: Deletable, need: Need| {
            Ask::delete(&what, need).ok_or_else(|| {
                self.fault_in(
                    "DELETE /users/{id}/authentication/{collection}/{id}",
                    FaultClass::Unsupported,
                    "this sort of sign-in method is not known to this version; remove it by hand",
                )
            })
        };
        let user = || id.0.clone();
        Ok(Some(match held {
            Held::Role {
                role: Some(role),
                scope,
                origin: RoleOrigin::Direct,
                eligible: true,
                ..
            } => Ask::post(
                Path::at("roleManagement").then("directory/roleEligibilityScheduleRequests"),
                WRITE_ELIGIBLE_ROLES,
                Some(json!({
                    "action": "adminRemove",
                    "principalId": id.0,
                    "roleDefinitionId": role.0,
                    "directoryScopeId": scope,
                    "justification": JUSTIFICATION,
                })),
            ),
            Held::Role {
                id: assignment,
                origin: RoleOrigin::Direct,
                ..
            } => delete(
                Deletable::Role {
                    assignment: assignment.0.clone(),
                },
                WRITE_ROLES,
            )?,
            Held::Role {
                origin: RoleOrigin::Member(group),
                ..
            } => delete(
                Deletable::Member(super::path::MemberRef::new(&group.0, Side::Members, &id.0)),
                WRITE_ROLES,
            )?,
            Held::Role {
                origin: RoleOrigin::Owner(group),
                ..
            } => delete(
                Deletable::Member(super::path::MemberRef::new(&group.0, Side::Owners, &id.0)),
                WRITE_ROLES,
            )?,
            Held::Method { id: method, sort, .. } => delete(
                Deletable::Method {
                    user: user(),
                    sort: *sort,
                    method: method.0.clone(),
                },
                WRITE_METHODS,
            )?,
            Held::Grant { id: grant, .. } => delete(Deletable::Grant { grant: grant.0.clone() }, WRITE_GRANTS)?,
            Held::AppRole { id: assignment, .. } => delete(
                Deletable::AppRole {
                    user: user(),
                    assignment: assignment.0.clone(),
                },
                WRITE_APP_ROLES,
            )?,
            Held::Membership { group } => match self.way_out(group, Side::Members, id)? {
                Way::Graph(ask) => *ask,
                Way::Exchange(_) => return Ok(None),
            },
            Held::Ownership { group: Some(group), .. } => match self.way_out(group, Side::Owners, id)? {
                Way::Graph(ask) => *ask,
                Way::Exchange(_) => return Ok(None),
            },
            Held::Ownership { group: None, .. } => {
                return Err(self.fault_in(
                    "DELETE /applications/{id}/owners/{id}/$ref",
                    FaultClass::Unsupported,
                    "applications are handed over by a person, who also renews the credentials that the owner knew",
                ));
            }
        }))
    }
}

/// How often a role must show before a refusal is put down to it.
const PROTECTED_LOOKS: u32 = 3;
/// More than one is ambiguous; a few more are worth naming.
const AMBIGUITY_SEEN: u32 = 5;

/// What sort a method is; none for the password, which is no removable method.
fn method_sort(odata_type: &str) -> Option<MethodSort> {
    Some(
        match odata_type.strip_prefix("#microsoft.graph.").unwrap_or(odata_type) {
            "passwordAuthenticationMethod" => return None,
            "emailAuthenticationMethod" => MethodSort::Email,
            "phoneAuthenticationMethod" => MethodSort::Phone,
            "fido2AuthenticationMethod" => MethodSort::Fido2,
            "microsoftAuthenticatorAuthenticationMethod" => MethodSort::Authenticator,
            "softwareOathAuthenticationMethod" => MethodSort::SoftwareOath,
            "temporaryAccessPassAuthenticationMethod" => MethodSort::TemporaryPass,
            "windowsHelloForBusinessAuthenticationMethod" => MethodSort::WindowsHello,
            "platformCredentialAuthenticationMethod" => MethodSort::Platform,
            "externalAuthenticationMethod" => MethodSort::External,
            _ => MethodSort::Other,
        },
    )
}

#[async_trait]
impl Directory for GraphConnector {
    async fn find(&self, call: &mut Call, person: &PersonRef) -> Answer<Found> {
        if let Some(id) = &person.object_id {
            return match self.api.user(call, id).await {
                Ok(user) if user.is_otherwise_in(person) => Ok(Found::Ambiguous {
                    ids: vec![ObjectId(user.id)],
                }),
                Ok(user) => Ok(Found::One(Box::new(user.into()))),
                Err(fault) if fault.class == FaultClass::Absent => Ok(Found::Nobody),
                Err(fault) => Err(fault),
            };
        }
        let mut answers: Vec<BTreeSet<ObjectId>> = Vec::new();
        let given = |name: &Option<String>| {
            name.as_deref()
                .map(str::trim)
                .filter(|n| !n.is_empty())
                .map(str::to_owned)
        };
        if let Some(upn) = given(&person.user_principal_name) {
            answers.push(self.api.ids_where(call, &Filter::eq("userPrincipalName", &upn)).await?);
        }
        if let Some(mail) = given(&person.mail) {
            let mut ids = self.api.ids_where(call, &Filter::eq("mail", &mail)).await?;
            if ids.is_empty() {
                // An earlier name's address is still one of his.
                ids = self
                    .api
                    .ids_where(call, &Filter::any("proxyAddresses", &format!("smtp:{mail}")))
                    .await?;
            }
            answers.push(ids);
        }
        if let Some(number) = given(&person.employee_id) {
            answers.push(self.api.ids_where(call, &Filter::eq("employeeId", &number)).await?);
        }
        let met: BTreeSet<ObjectId> = answers.iter().flatten().cloned().collect();
        let agreed = answers.iter().all(|ids| ids.len() == 1);
        match met.first() {
            None => Ok(Found::Nobody),
            Some(id) if met.len() == 1 && agreed => Ok(Found::One(Box::new(self.api.account(call, id).await?))),
            Some(_) => Ok(Found::Ambiguous {
                ids: met.into_iter().collect(),
            }),
        }
    }

    async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Account> {
        self.api.account(call, id).await
    }

    async fn set(&self, call: &mut Call, id: &ObjectId, change: &AccountChange) -> Answer<()> {
        let user = Path::user(&id.0);
        let ask = match change {
            AccountChange::Disable => Ask::patch(user, DISABLE, json!({"accountEnabled": false})),
            AccountChange::Password(password) => Ask::patch(
                user,
                PASSWORD,
                json!({"passwordProfile": {"password": password.expose(), "forceChangePasswordNextSignIn": true}}),
            ),
            AccountChange::RevokeSessions => Ask::post(user.then("revokeSignInSessions"), REVOKE, None),
        };
        match self.api.send(call, &ask).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(self.api.reconsidered(call, id, fault).await),
        }
    }

    async fn holdings(&self, call: &mut Call, id: &ObjectId, what: Holding) -> Answer<Vec<Held>> {
        match what {
            Holding::Roles => self.api.roles(call, id).await,
            Holding::Methods => self.api.methods(call, id).await,
            Holding::Grants => self.api.grants(call, id).await,
            Holding::AppRoles => self.api.app_roles(call, id, true).await,
            Holding::GroupAppRoles => self.api.app_roles(call, id, false).await,
            Holding::Memberships => Ok(self
                .api
                .groups_of(call, id)
                .await?
                .into_iter()
                .map(|group| Held::Membership { group })
                .collect()),
            Holding::Ownerships => self.api.ownerships(call, id).await,
        }
    }

    async fn remove(&self, call: &mut Call, id: &ObjectId, held: &Held) -> Answer<()> {
        match self.api.removal(id, held)? {
            Some(ask) => match gone_is_fine(self.api.send(call, &ask).await.map(|_| ())) {
                Err(fault) if matches!(held, Held::Method { .. }) => Err(self.api.reconsidered(call, id, fault).await),
                done => done,
            },
            None => match held {
                Held::Membership { group } => self.api.leave(call, group, Side::Members, id).await,
                Held::Ownership { group: Some(group), .. } => self.api.leave(call, group, Side::Owners, id).await,
                _ => Ok(()),
            },
        }
    }

    async fn remove_all(&self, call: &mut Call, id: &ObjectId, held: &[Held]) -> Vec<Answer<()>> {
        let mut answers: Vec<Option<Answer<()>>> = vec![None; held.len()];
        let mut batched: Vec<(usize, Ask)> = Vec::new();
        for (i, one) in held.iter().enumerate() {
            match self.api.removal(id, one) {
                // The order of methods matters; a batch has none.
                Ok(Some(ask)) if !matches!(one, Held::Method { .. }) => batched.push((i, ask)),
                Ok(_) => {}
                Err(fault) => answers[i] = Some(Err(fault)),
            }
        }
        let asks: Vec<Ask> = batched.iter().map(|(_, ask)| ask.clone()).collect();
        for ((i, _), answer) in batched.iter().zip(self.api.batch(call, &asks).await) {
            answers[*i] = Some(gone_is_fine(answer.map(|_| ())));
        }
        let mut all = Vec::with_capacity(held.len());
        for (one, answer) in held.iter().zip(answers) {
            all.push(match answer {
                Some(answer) => answer,
                None => self.remove(call, id, one).await,
            });
        }
        all
    }

    async fn add_owner(&self, call: &mut Call, group: &ObjectId, owner: &ObjectId) -> Answer<()> {
        self.api.own(call, group, owner).await
    }

    async fn applications(&self, call: &mut Call, ids: &[ObjectId]) -> Answer<Vec<Application>> {
        let ask = |id: &ObjectId| {
            let path = Path::at("servicePrincipals").id(&id.0).select(APPLICATION_FIELDS);
            Ask::get(path, READ_APPLICATIONS)
        };
        let asks: Vec<Ask> = ids.iter().map(ask).collect();
        let mut found = Vec::new();
        for (ask, answer) in asks.iter().zip(self.api.batch(call, &asks).await) {
            match answer {
                Ok(reply) => found.push(self.api.shaped::<ServicePrincipal>(ask, reply.body)?),
                Err(fault) if fault.class == FaultClass::Absent => {}
                Err(fault) => return Err(fault),
            }
        }
        let ours = self.api.client_id.as_str();
        Ok(found.into_iter().map(|one| one.known_to(ours)).collect())
    }
}
