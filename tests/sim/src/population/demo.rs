//! A whole world from a seed: tenants with people in all the situations that
//! make a departure hard.

use super::{DeviceSpec, PersonSpec, Town};
use crate::world::catalogue::{self, GLOBAL_ADMINISTRATOR, HELPDESK_ADMINISTRATOR, USER_ADMINISTRATOR};
use crate::world::model::{DynamicRule, GroupKind, MethodKind, PhoneKind, Reach};
use crate::world::{Cruelty, World};

const GIB: u64 = 1024 * 1024 * 1024;
const DAY_MS: i64 = 86_400_000;
/// The department that is licensed by a rule.
const NIGHT_SHIFT: &str = "Night Shift";

/// People in known situations, by object id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cast {
    /// The head of the company; everybody's manager in the end. Not meant to leave.
    pub chief: String,
    /// The second Global Administrator. Not meant to leave.
    pub administrator: String,
    /// The break-glass account: protected, never to be touched.
    pub break_glass: String,
    /// Nothing special.
    pub plain: String,
    /// Mastered by an on-premises directory.
    pub hybrid: String,
    /// Holds directory roles, so that the application is refused until they are gone; where roles
    /// can be eligible, he is eligible for the highest besides. A group that can hold roles gives
    /// him his only licence.
    pub privileged: String,
    /// Has a mailbox of sixty gibibytes.
    pub big_mailbox: String,
    /// Has a company laptop and his own telephone.
    pub devices: String,
    /// Has a company laptop that never comes back.
    pub lost_laptop: String,
    /// The only owner of a team and of a security group.
    pub sole_owner: String,
    /// Licensed by a group only.
    pub group_licensed: String,
    /// Forwards by hidden inbox rules, and has delegations both ways, of mailboxes, of calendars and of
    /// other folders.
    pub forwarder: String,
    /// His OneDrive was never provisioned.
    pub no_drive: String,
    /// His mailbox is on litigation hold.
    pub on_hold: String,
    /// Licensed only by a group whose rule asks whether he is enabled: disabled, he loses his
    /// mailbox before anybody has kept it. Nobody's order of work prevents that, so he is none
    /// of those whose departure does no harm.
    pub licensed_by_rule: String,
    /// Everybody else, who may leave too.
    pub others: Vec<String>,
}

impl Cast {
    /// Everybody who may leave: all but chief, administrator, break-glass and whom a rule
    /// licenses.
    #[must_use]
    pub fn leavers(&self) -> Vec<&str> {
        let named = [
            &self.plain,
            &self.hybrid,
            &self.privileged,
            &self.big_mailbox,
            &self.devices,
            &self.lost_laptop,
            &self.sole_owner,
            &self.group_licensed,
            &self.forwarder,
            &self.no_drive,
            &self.on_hold,
        ];
        named.into_iter().chain(&self.others).map(String::as_str).collect()
    }
}

/// A tenant of the demonstration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoTenant {
    /// Its id.
    pub id: String,
    /// Its short name, which also makes its domains.
    pub short: String,
    /// Its people.
    pub cast: Cast,
}

/// Fills a world: `tenants` companies, each with everybody of a [`Cast`] and people besides, at
/// least `people` in all. Hybrid tenants synchronise when the cruelty says how often.
#[must_use]
pub fn demo(seed: u64, cruelty: Cruelty, tenants: usize, people: usize, now_ms: i64) -> (World, Vec<DemoTenant>) {
    const NAMES: [&str; 6] = ["northwind", "fabrikam", "adatum", "litware", "proseware", "woodgrove"];
    let sync_ms = cruelty.sync_interval_ms;
    let mut world = World::new(seed, cruelty);
    let mut built = Vec::new();
    for nth in 0..tenants {
        let short = NAMES
            .get(nth)
            .map_or_else(|| format!("client{nth}"), |name| (*name).to_owned());
        let mut town = Town::found(&mut world, &short, now_ms);
        let cast = populate(&mut town, people, now_ms);
        // Every other company has bought eligible roles.
        if nth % 2 == 0 {
            town.eligible(&cast.privileged, GLOBAL_ADMINISTRATOR);
        }
        if sync_ms > 0 {
            town.tenant().start_sync(now_ms + sync_ms);
        } else {
            town.tenant().hybrid = true;
        }
        built.push(DemoTenant {
            id: town.id().to_owned(),
            short,
            cast,
        });
    }
    (world, built)
}

fn populate(town: &mut Town, people: usize, now_ms: i64) -> Cast {
    let dice = crate::world::Dice::new(0);
    let tenant_id = town.id().to_owned();
    let chief = town.employee("Charlotte");
    let under = |name: &str, manager: &str| PersonSpec {
        manager: Some(manager.to_owned()),
        ..PersonSpec::named(name)
    };
    let administrator = town.person(&under("Adrian", &chief));
    let break_glass = town.person(&PersonSpec {
        protected: true,
        licenses: Vec::new(),
        mailbox: false,
        drive: false,
        ..PersonSpec::named("Breakglass")
    });
    let lead = town.person(&under("Leonie", &chief));
    let mut cast = Cast {
        plain: town.person(&PersonSpec {
            licenses: vec![catalogue::BUSINESS_PREMIUM],
            ..under("Paula", &lead)
        }),
        hybrid: town.person(&PersonSpec {
            synced: true,
            ..under("Hiro", &lead)
        }),
        privileged: town.person(&PersonSpec {
            licenses: Vec::new(),
            ..under("Priya", &chief)
        }),
        big_mailbox: town.person(&PersonSpec {
            mailbox_bytes: 60 * GIB,
            ..under("Bruno", &lead)
        }),
        devices: town.person(&under("Dana", &lead)),
        lost_laptop: town.person(&under("Lucas", &lead)),
        sole_owner: town.person(&under("Olga", &lead)),
        group_licensed: town.person(&PersonSpec {
            licenses: Vec::new(),
            ..under("Gustav", &lead)
        }),
        forwarder: town.person(&under("Fatima", &lead)),
        no_drive: town.person(&PersonSpec {
            drive: false,
            ..under("Nils", &lead)
        }),
        on_hold: town.person(&PersonSpec {
            licenses: vec![catalogue::E3, catalogue::VISIO_PLAN_2],
            ..under("Helena", &lead)
        }),
        licensed_by_rule: town.person(&PersonSpec {
            licenses: Vec::new(),
            department: NIGHT_SHIFT.to_owned(),
            ..under("Renate", &lead)
        }),
        chief,
        administrator,
        break_glass,
        others: vec![lead.clone()],
    };
    const FIRST: [&str; 12] = [
        "Anna", "Ben", "Carla", "David", "Elif", "Felix", "Greta", "Hassan", "Ines", "Jonas", "Kemal", "Lena",
    ];
    let mut nth = 0;
    while cast.others.len() + 15 < people {
        let first = FIRST.get(nth % FIRST.len()).copied().unwrap_or("Max");
        let spec = PersonSpec {
            licenses: vec![if nth % 3 == 0 {
                catalogue::BUSINESS_PREMIUM
            } else {
                catalogue::E3
            }],
            department: ["Sales", "Finance", "Support"]
                .get(nth % 3)
                .copied()
                .unwrap_or("Sales")
                .to_owned(),
            synced: nth % 7 == 5,
            drive: nth % 9 != 8,
            mailbox_bytes: GIB + dice.roll("size", &tenant_id, nth as u64) % (20 * GIB),
            ..under(&format!("{first}{nth}"), &lead)
        };
        cast.others.push(town.person(&spec));
        nth += 1;
    }
    arrange(town, &cast, &lead, now_ms);
    cast
}

/// Rights on single folders, which no list of a mailbox's rights shows: of colleagues, of him who
/// takes over, and of somebody whom no directory knows any more.
fn share_folders(town: &mut Town, cast: &Cast, lead: &str, now_ms: i64) {
    let tenant = town.tenant();
    let german = tenant
        .mailboxes
        .get(&cast.forwarder)
        .is_some_and(|mailbox| mailbox.calendar.name == "Kalender");
    // One of his own is called as Exchange calls its Inbox in another language.
    let own = if german { "/Inbox" } else { "/Posteingang" };
    tenant.add_own_folder(&cast.forwarder, own, None);
    tenant.add_own_folder(&cast.forwarder, "/Old", Some(now_ms + DAY_MS / 48));
    for (folder, trustee, right) in [
        ("Inbox", cast.plain.as_str(), "Editor"),
        ("Inbox", lead, "Reviewer"),
        ("Notes", cast.chief.as_str(), "None"),
        (own, cast.devices.as_str(), "Author"),
        ("/Old", cast.plain.as_str(), "Reviewer"),
    ] {
        tenant.share_folder(&cast.forwarder, folder, trustee, right);
    }
    let unknown = "NT:S-1-5-21-1004336348-1177238915-682003330-7711";
    tenant.share_folder(&cast.sole_owner, "Tasks", unknown, "Author");
    tenant.share_folder(&cast.sole_owner, "Contacts", lead, "Editor");
    tenant.share_folder(&cast.hybrid, "Root", &cast.devices, "FolderVisible");
    tenant.share_folder(&cast.hybrid, "SentItems", &cast.devices, "Reviewer");
}

/// Groups, roles, devices and habits.
fn arrange(town: &mut Town, cast: &Cast, lead: &str, now_ms: i64) {
    for admin in [&cast.administrator, &cast.break_glass, &cast.chief] {
        town.role(admin, GLOBAL_ADMINISTRATOR);
    }
    town.role(&cast.privileged, USER_ADMINISTRATOR);
    town.role(&cast.privileged, HELPDESK_ADMINISTRATOR);
    let leavers: Vec<String> = cast.leavers().into_iter().map(str::to_owned).collect();
    let ids: Vec<&str> = leavers.iter().map(String::as_str).collect();

    town.group("All Company", GroupKind::Unified { team: true }, &ids, &[&cast.chief]);
    town.group(
        "Sales Team",
        GroupKind::Unified { team: true },
        &[&cast.sole_owner, &cast.plain, &cast.devices],
        &[&cast.sole_owner],
    );
    town.group("VPN Users", GroupKind::Security, &ids, &[&cast.administrator]);
    town.group(
        "Contract Editors",
        GroupKind::Security,
        &[&cast.sole_owner, &cast.hybrid],
        &[&cast.sole_owner],
    );
    town.group("Newsletter", GroupKind::Distribution, &ids, &[]);
    let building = town.group(
        "Building Access",
        GroupKind::MailSecurity,
        &[&cast.plain, &cast.devices, &cast.forwarder],
        &[],
    );
    let synced = town.group("AD File Share", GroupKind::Security, &[&cast.hybrid], &[]);
    town.change_group(&synced, |group| group.synced = true);
    // Whoever leaves it for the sake of its roles loses the licence that his mailbox hangs on.
    let helpdesk = town.license_group("Helpdesk Role Holders", catalogue::E3, &[&cast.privileged]);
    town.change_group(&helpdesk, |group| {
        group.role_assignable = true;
        group.owners.insert(cast.administrator.clone());
    });
    town.license_group(
        "Licence Business Premium",
        catalogue::BUSINESS_PREMIUM,
        &[&cast.group_licensed],
    );
    town.license_group(
        "Licence Power BI",
        catalogue::POWER_BI_PRO,
        &[&cast.plain, &cast.big_mailbox, &cast.on_hold],
    );
    town.dynamic_group("Everybody Enabled", DynamicRule::Enabled);
    town.dynamic_license_group(
        "Licence Night Shift",
        catalogue::E3,
        DynamicRule::EnabledIn(NIGHT_SHIFT.to_owned()),
    );
    town.dynamic_group("Department Sales", DynamicRule::Department("Sales".to_owned()));

    let phone = MethodKind::Phone(PhoneKind::Mobile);
    town.methods(&cast.plain, &[phone, MethodKind::Authenticator]);
    town.methods(
        &cast.privileged,
        &[MethodKind::Fido2, MethodKind::Authenticator, MethodKind::TemporaryPass],
    );
    town.methods(
        &cast.devices,
        &[
            phone,
            MethodKind::Phone(PhoneKind::AlternateMobile),
            MethodKind::Email,
            MethodKind::WindowsHello,
        ],
    );
    town.methods(&cast.forwarder, &[MethodKind::Authenticator, MethodKind::SoftwareOath]);
    for person in &leavers {
        if town
            .tenant()
            .people
            .get(person)
            .is_some_and(|row| row.methods.is_empty())
        {
            town.methods(person, &[MethodKind::Authenticator, phone]);
        }
    }
    for person in [&cast.plain, &cast.forwarder, &cast.devices] {
        town.grant(person, "Calendar Helper");
        town.app_access(person, "Expense Tool");
    }
    town.app_access(&building, "Visitor Log");
    town.grant(&cast.forwarder, "Microsoft Whiteboard");

    town.device(&cast.devices, "LAPTOP-DANA", DeviceSpec::company());
    town.device(&cast.devices, "Phone of Dana", DeviceSpec::personal());
    town.device(
        &cast.lost_laptop,
        "LAPTOP-LUCAS",
        DeviceSpec {
            reach: Reach::Never,
            ..DeviceSpec::company()
        },
    );
    town.device(
        &cast.plain,
        "LAPTOP-PAULA",
        DeviceSpec {
            reach: Reach::Until(now_ms + DAY_MS / 12),
            ..DeviceSpec::company()
        },
    );

    town.inbox_rule(&cast.forwarder, "Move newsletters", false);
    town.inbox_rule(&cast.forwarder, "", true);
    town.delegate(&cast.forwarder, &cast.plain);
    town.delegate(lead, &cast.forwarder);
    town.delegate(&cast.chief, &cast.forwarder);
    town.share_calendar(&cast.forwarder, &cast.plain);
    town.share_calendar(lead, &cast.forwarder);
    share_folders(town, cast, lead, now_ms);
    town.change_mailbox(&cast.forwarder, |mailbox| {
        mailbox.forward_smtp = Some("drop@private.example".to_owned());
    });
    town.mobile(&cast.devices, true, Reach::Online);
    town.mobile(&cast.plain, false, Reach::Online);
    town.mobile(&cast.lost_laptop, true, Reach::Never);
    for person in [&cast.plain, &cast.sole_owner, &cast.forwarder] {
        town.meeting(person, 3, &["guest@elsewhere.example"], false);
        town.meeting(person, 10, &["team@elsewhere.example", "guest@elsewhere.example"], true);
    }
    town.change_mailbox(&cast.on_hold, |mailbox| {
        mailbox.hold = Some(crate::world::model::Hold {
            at_ms: now_ms - 30 * DAY_MS,
            days: None,
        });
        mailbox.archive = true;
    });
    // The pool is what is in use and a little more, so that a freed licence shows.
    let mut used = std::collections::BTreeMap::<String, i64>::new();
    for (_, person) in town.tenant().people.iter() {
        for sku in person.skus() {
            *used.entry(sku.to_owned()).or_default() += 1;
        }
    }
    town.tenant().pool.retain(|sku, prepaid| {
        *prepaid = used.get(sku).copied().unwrap_or(0) + 2;
        used.contains_key(sku)
    });
}
