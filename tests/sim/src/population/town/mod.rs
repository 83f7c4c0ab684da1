//! A tenant built by hand.

mod belongings;

use std::collections::{BTreeMap, BTreeSet};

use crate::world::catalogue::{
    self, EXCHANGE_ADMINISTRATOR, GRAPH_PERMISSIONS, PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
};
use crate::world::model::{
    App, AppAssignment, DeviceOwner, Drive, DynamicRule, Grant, Group, GroupKind, Mailbox, Method, MethodKind, OnPrem,
    Person, PhoneKind, Principal, Reach, RoleAssignment, SignIn,
};
use crate::world::{Dice, Tenant, World};

/// The client id of the application that every built tenant knows.
pub const ADMIN_APP: &str = "0ff0b0a2-d000-4000-8000-00000000a991";
/// Its secret.
pub const ADMIN_APP_SECRET: &str = "simulated-secret-of-no-worth";
/// The thumbprint of its certificate.
pub const ADMIN_APP_CERTIFICATE: &str = "c2ltdWxhdGVkLXRodW1icHJpbnQ";

const DAY_MS: i64 = 86_400_000;
const GIB: u64 = 1024 * 1024 * 1024;

/// How a person is made; start from [`PersonSpec::named`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSpec {
    /// The given name, which also makes the address.
    pub given: String,
    /// The department.
    pub department: String,
    /// Direct licences.
    pub licenses: Vec<&'static str>,
    /// Whether an on-premises directory masters the account.
    pub synced: bool,
    /// Break-glass.
    pub protected: bool,
    /// Whether there is a mailbox.
    pub mailbox: bool,
    /// How big it is.
    pub mailbox_bytes: u64,
    /// Whether the OneDrive was provisioned.
    pub drive: bool,
    /// The manager's id.
    pub manager: Option<String>,
}

impl PersonSpec {
    /// An employee with Microsoft 365 E3, a mailbox of two gibibytes and a OneDrive.
    #[must_use]
    pub fn named(given: &str) -> Self {
        Self {
            given: given.to_owned(),
            department: "Sales".to_owned(),
            licenses: vec![catalogue::E3],
            synced: false,
            protected: false,
            mailbox: true,
            mailbox_bytes: 2 * GIB,
            drive: true,
            manager: None,
        }
    }
}

/// How a device is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSpec {
    /// Its system: `Windows`, `iOS` or `macOS`.
    pub os: &'static str,
    /// Whose it is.
    pub owner: DeviceOwner,
    /// When it can be reached.
    pub reach: Reach,
    /// Whether keys are kept for it: with Windows a BitLocker key and a local
    /// administrator's password, with Apple's the code that lifts the activation lock.
    pub keys: bool,
    /// Whether Autopilot knows it.
    pub autopilot: bool,
}

impl DeviceSpec {
    /// A company laptop that is online, with keys and Autopilot.
    #[must_use]
    pub fn company() -> Self {
        Self {
            os: "Windows",
            owner: DeviceOwner::Company,
            reach: Reach::Online,
            keys: true,
            autopilot: true,
        }
    }

    /// A company telephone that is online, with an activation lock.
    #[must_use]
    pub fn company_phone() -> Self {
        Self {
            os: "iOS",
            autopilot: false,
            ..Self::company()
        }
    }

    /// A company Mac that is online, with an activation lock. Nobody is told the key
    /// of its disk.
    #[must_use]
    pub fn mac() -> Self {
        Self {
            os: "macOS",
            ..Self::company_phone()
        }
    }

    /// Somebody's own telephone, online. The company has no lock on it.
    #[must_use]
    pub fn personal() -> Self {
        Self {
            os: "iOS",
            owner: DeviceOwner::Personal,
            reach: Reach::Online,
            keys: false,
            autopilot: false,
        }
    }
}

/// A tenant under construction, in a world.
#[derive(Debug)]
pub struct Town<'a> {
    world: &'a mut World,
    tenant: String,
    dice: Dice,
    now: i64,
}

impl<'a> Town<'a> {
    /// Founds a tenant in `world`: with the administrator application, all its permissions, and a
    /// pool of a hundred of each SKU. `short` makes its domains: `{short}.example`, `{short}.onmicrosoft.com`.
    pub fn found(world: &'a mut World, short: &str, now_ms: i64) -> Self {
        let dice = world.dice();
        let id = dice.guid("tenant", short);
        let mut tenant = Tenant::new(
            &id,
            &format!("{short} Ltd"),
            &format!("{short}.example"),
            short,
            world.cruelty(),
        );
        tenant.pool = catalogue::SKUS.iter().map(|sku| (sku.id.to_owned(), 100)).collect();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        tenant.apps.insert(
            ADMIN_APP.to_owned(),
            App {
                client_id: ADMIN_APP.to_owned(),
                secret: ADMIN_APP_SECRET.to_owned(),
                secret_expires_ms: None,
                certificate: Some(ADMIN_APP_CERTIFICATE.to_owned()),
                principal: dice.guid("service principal", short),
                name: "Offboard".to_owned(),
                graph_roles: set(GRAPH_PERMISSIONS),
                exchange_roles: set(&["Exchange.ManageAsApp"]),
                sharepoint_roles: set(&["Sites.FullControl.All"]),
                entra_roles: set(&[EXCHANGE_ADMINISTRATOR]),
            },
        );
        world.add_tenant(tenant);
        Self {
            world,
            tenant: id,
            dice,
            now: now_ms,
        }
    }

    /// The tenant's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.tenant
    }

    /// The tenant, for what this builder has no function for.
    ///
    /// # Panics
    /// Never: the tenant was founded by this builder.
    pub fn tenant(&mut self) -> &mut Tenant {
        self.world
            .tenant_mut(&self.tenant)
            .expect("the tenant was founded by this builder")
    }

    fn guid(&self, what: &str, key: &str) -> String {
        self.dice.guid(what, &format!("{}/{key}", self.tenant))
    }

    /// Lets the administrator application act on administrators too.
    pub fn trust_app_with_administrators(&mut self) {
        if let Some(app) = self.tenant().apps.get_mut(ADMIN_APP) {
            app.entra_roles
                .insert(PRIVILEGED_AUTHENTICATION_ADMINISTRATOR.to_owned());
        }
    }

    /// Registers the certificate with this thumbprint (`x5t` or `x5t#S256`, as the client's assertion names it).
    pub fn register_certificate(&mut self, thumbprint: &str) {
        if let Some(app) = self.tenant().apps.get_mut(ADMIN_APP) {
            app.certificate = Some(thumbprint.to_owned());
        }
    }

    /// Takes a permission from the administrator application.
    pub fn withhold(&mut self, permission: &str) {
        if let Some(app) = self.tenant().apps.get_mut(ADMIN_APP) {
            app.graph_roles.remove(permission);
            app.exchange_roles.remove(permission);
            app.sharepoint_roles.remove(permission);
        }
    }

    /// Adds a person; gives his object id.
    pub fn person(&mut self, spec: &PersonSpec) -> String {
        let (now, dice) = (self.now, self.dice);
        let id = self.guid("person", &spec.given);
        let mark = format!("{:08x}", dice.roll("canary", &id, 0) & 0xffff_ffff);
        let canary = format!("Canary-{mark}");
        let alias = format!("{}.{}", spec.given.to_lowercase(), canary.to_lowercase());
        let on_prem_password_age = 40 * DAY_MS;
        let tenant = self.tenant();
        let upn = format!("{alias}@{}", tenant.domain);
        let person = Person {
            id: id.clone(),
            upn: upn.clone(),
            display_name: format!("{} {canary}", spec.given),
            given_name: spec.given.clone(),
            surname: canary.clone(),
            mail: spec.mailbox.then(|| upn.clone()),
            mail_nickname: alias.clone(),
            job_title: Some("Clerk".to_owned()),
            department: Some(spec.department.clone()),
            employee_id: Some(format!("E-{mark}")),
            mobile_phone: Some(phone(&mark, 0)),
            user_type: "Member",
            usage_location: "DE".to_owned(),
            account_enabled: true,
            show_in_address_list: None,
            created_ms: now - 900 * DAY_MS,
            employee_leave_ms: None,
            sessions_valid_from_ms: now - on_prem_password_age,
            password_changed_ms: now - on_prem_password_age,
            last_sign_in_ms: Some(now - DAY_MS / 2),
            on_prem: spec.synced.then(|| OnPrem {
                enabled: true,
                sam: spec.given.to_lowercase(),
                sid: format!(
                    "S-1-5-21-1004336348-1177238915-682003330-{}",
                    dice.roll("sid", &id, 0) % 90_000 + 1_000
                ),
                dn: format!(
                    "CN={} {canary},OU=Staff,DC={},DC=local",
                    spec.given,
                    tenant.name.replace(' ', "")
                ),
                immutable_id: format!("{mark}AAAAAAAAAAAAAA=="),
                last_sync_ms: now - DAY_MS / 48,
                changed: false,
            }),
            manager: spec.manager.clone(),
            direct_licenses: spec.licenses.iter().map(|sku| (*sku).to_owned()).collect(),
            group_licenses: BTreeMap::new(),
            disabled_plans: BTreeMap::new(),
            methods: Vec::new(),
            default_method: None,
            protected: spec.protected,
            canary: canary.clone(),
        };
        let sign_in = SignIn {
            id: dice.guid("sign-in", &id),
            user: id.clone(),
            at_ms: now - DAY_MS / 2,
            app: "Office 365".to_owned(),
            error_code: 0,
        };
        tenant.sign_ins.push(sign_in);
        if spec.mailbox {
            let mailbox = belongings::mailbox(&person, &canary, spec, dice);
            tenant.mailboxes.found(&id, mailbox);
        }
        if spec.drive {
            let drive = Drive {
                id: format!("b!{}", dice.guid("drive", &id).replace('-', "")),
                owner: id.clone(),
                site_id: dice.guid("site", &id),
                host: tenant.drive_host.clone(),
                path: format!("/personal/{}", upn.replace(['@', '.', '-'], "_")),
                used_bytes: dice.roll("drive size", &id, 0) % (20 * GIB),
                site_users: BTreeMap::from([(id.clone(), 1)]),
                admins: BTreeSet::from([id.clone()]),
                invited: BTreeSet::new(),
                clock_started_ms: None,
            };
            tenant.drives.found(&id, drive);
        }
        tenant.people.found(&id, person);
        id
    }

    /// Adds an employee as [`PersonSpec::named`] makes him.
    pub fn employee(&mut self, given: &str) -> String {
        self.person(&PersonSpec::named(given))
    }

    /// Changes a person that was built.
    pub fn change(&mut self, person: &str, how: impl FnOnce(&mut Person)) {
        if let Some(row) = self.tenant().people.edit_silently(person) {
            how(row);
        }
    }

    /// Changes a mailbox that was built.
    pub fn change_mailbox(&mut self, owner: &str, how: impl FnOnce(&mut Mailbox)) {
        if let Some(row) = self.tenant().mailboxes.edit_silently(owner) {
            how(row);
        }
    }

    /// Gives a person these authentication methods, the first as default; gives their ids.
    pub fn methods(&mut self, person: &str, kinds: &[MethodKind]) -> Vec<String> {
        let created_ms = self.now - 100 * DAY_MS;
        let mark = self.canary(person).trim_start_matches("Canary-").to_owned();
        let methods: Vec<Method> = kinds
            .iter()
            .enumerate()
            .map(|(place, kind)| Method {
                id: match kind {
                    MethodKind::Phone(phone) => phone.fixed_id().to_owned(),
                    _ => self.guid("method", &format!("{person}/{place}")),
                },
                kind: *kind,
                text: match kind {
                    MethodKind::Phone(PhoneKind::Mobile) => phone(&mark, 0),
                    MethodKind::Phone(_) => phone(&mark, 1),
                    MethodKind::Email => format!("canary-{mark}@private.example"),
                    _ => format!("Canary-{mark}'s device"),
                },
                created_ms,
            })
            .collect();
        let ids: Vec<String> = methods.iter().map(|method| method.id.clone()).collect();
        self.change(person, |row| {
            row.default_method = ids.first().cloned();
            row.methods = methods;
        });
        ids
    }

    /// A person's canary.
    #[must_use]
    pub fn canary(&self, person: &str) -> String {
        self.world
            .tenant(&self.tenant)
            .and_then(|tenant| tenant.people.get(person))
            .map(|row| row.canary.clone())
            .unwrap_or_default()
    }

    /// Adds a group; gives its object id.
    pub fn group(&mut self, name: &str, kind: GroupKind, members: &[&str], owners: &[&str]) -> String {
        let id = self.guid("group", name);
        let created_ms = self.now - 500 * DAY_MS;
        let tenant = self.tenant();
        let slug: String = name
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let mail = (kind != GroupKind::Security).then(|| format!("{slug}@{}", tenant.domain));
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        tenant.groups.found(
            &id,
            Group {
                id: id.clone(),
                name: name.to_owned(),
                mail,
                kind,
                rule: None,
                synced: false,
                role_assignable: false,
                licenses: BTreeSet::new(),
                disabled_plans: BTreeMap::new(),
                members: set(members),
                owners: set(owners),
                created_ms,
            },
        );
        id
    }

    /// Changes a group that was built.
    pub fn change_group(&mut self, group: &str, how: impl FnOnce(&mut Group)) {
        if let Some(row) = self.tenant().groups.edit_silently(group) {
            how(row);
        }
    }

    /// Adds a security group whose members get a licence by it.
    pub fn license_group(&mut self, name: &str, sku: &str, members: &[&str]) -> String {
        let id = self.group(name, GroupKind::Security, members, &[]);
        self.change_group(&id, |group| {
            group.licenses.insert(sku.to_owned());
        });
        for member in members {
            self.change(member, |person| {
                person
                    .group_licenses
                    .entry(sku.to_owned())
                    .or_default()
                    .insert(id.clone());
            });
        }
        id
    }

    /// Adds a dynamic security group with the members that its rule takes.
    pub fn dynamic_group(&mut self, name: &str, rule: DynamicRule) -> String {
        let members = self.taken_by(&rule);
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let id = self.group(name, GroupKind::Security, &members, &[]);
        self.change_group(&id, |group| group.rule = Some(rule));
        id
    }

    /// The same, whose members get a licence by it for as long as its rule takes them.
    pub fn dynamic_license_group(&mut self, name: &str, sku: &str, rule: DynamicRule) -> String {
        let members = self.taken_by(&rule);
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let id = self.license_group(name, sku, &members);
        self.change_group(&id, |group| group.rule = Some(rule));
        id
    }

    fn taken_by(&mut self, rule: &DynamicRule) -> Vec<String> {
        let people = self.tenant().people.iter();
        let taken = people.filter(|(_, person)| rule.takes(person));
        taken.map(|(id, _)| id.to_owned()).collect()
    }

    /// Gives a person a directory role; gives the assignment's id.
    pub fn role(&mut self, person: &str, role: &str) -> String {
        let id = self.guid("role assignment", &format!("{person}/{role}"));
        let row = RoleAssignment {
            id: id.clone(),
            principal: person.to_owned(),
            role: role.to_owned(),
        };
        self.tenant().roles.found(&id, row);
        id
    }

    /// Makes a person (or a group) eligible for a directory role, in a tenant that from then on has the
    /// licence for it; gives the schedule's id.
    pub fn eligible(&mut self, principal: &str, role: &str) -> String {
        let id = self.guid("role eligibility", &format!("{principal}/{role}"));
        let row = RoleAssignment {
            id: id.clone(),
            principal: principal.to_owned(),
            role: role.to_owned(),
        };
        let tenant = self.tenant();
        tenant.eligible_roles_licensed = true;
        tenant.eligible_roles.found(&id, row);
        id
    }

    /// Makes an application known that people may use, once; gives its object id. One whose name
    /// begins with `Microsoft` is the vendor's own; no other publisher was verified.
    pub fn application(&mut self, name: &str) -> String {
        const MICROSOFT: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";
        let id = self.guid("service principal", name);
        let own = name.starts_with("Microsoft");
        let row = Principal {
            id: id.clone(),
            app_id: self.dice.guid("application", name),
            name: name.to_owned(),
            owner: if own {
                MICROSOFT.to_owned()
            } else {
                self.dice.guid("directory", name)
            },
            publisher: own.then(|| "Microsoft Corporation".to_owned()),
        };
        self.tenant().principals.insert(id.clone(), row);
        id
    }

    /// Adds a delegated permission grant; gives its id.
    pub fn grant(&mut self, person: &str, app: &str) -> String {
        let id = self.guid("grant", &format!("{person}/{app}")).replace('-', "");
        let row = Grant {
            id: id.clone(),
            client: self.application(app),
            resource: self.guid("service principal", "graph"),
            principal: Some(person.to_owned()),
            scope: "Mail.Read Files.ReadWrite offline_access".to_owned(),
        };
        self.tenant().grants.found(&id, row);
        id
    }

    /// Gives a person (or group) an application; gives the assignment's id.
    pub fn app_access(&mut self, principal: &str, app: &str) -> String {
        let id = self
            .guid("app assignment", &format!("{principal}/{app}"))
            .replace('-', "");
        let resource = self.application(app);
        let role = self.guid("app role", app);
        let created_ms = self.now - 200 * DAY_MS;
        let tenant = self.tenant();
        let principal_name = tenant
            .people
            .get(principal)
            .map_or_else(|| "Group".to_owned(), |person| person.display_name.clone());
        let row = AppAssignment {
            id: id.clone(),
            principal: principal.to_owned(),
            principal_name,
            resource,
            resource_name: app.to_owned(),
            role,
            created_ms,
        };
        tenant.app_assignments.found(&id, row);
        id
    }
}

/// A phone number that holds the canary's digits.
fn phone(mark: &str, nth: u32) -> String {
    let digits: String = mark
        .chars()
        .map(|c| char::from_digit(c.to_digit(16).unwrap_or(0) % 10, 10).unwrap_or('0'))
        .collect();
    format!("+49 15{nth} {digits}")
}
