//! Whenever a write is dropped, the next one converges: each write that there is, dropped at
//! several moments between its first request and its answer.

use crate::ldap::stage::{
    CANARY, administrator, computer, dn, domain, group, id, person, reading, settings, truth, writing,
};
use offboard_connectors::ldap::LdapConnector;
use offboard_connectors::{AccountChange, Answer, Call, Directory as _, Held, Holding, Premises as _};
use offboard_domain::ObjectId;
use offboard_servers::Samba;
use offboard_servers::samba::DOMAIN;
use std::time::{Duration, Instant};

/// How often each write is dropped.
const CUTS: u32 = 5;

const HIS: &str = "cut";
const GROUP: &str = "cutgroup";
const PRIMARY: &str = "cutprime";
const COMPUTER: &str = "CUTPC";

/// Who is changed here, and nowhere else: moved is another one each time.
pub(crate) fn seed() -> String {
    let of = |account: &str| format!("{CANARY} {account}");
    let mut all = person(&of(HIS), HIS, "");
    for n in 0..=CUTS {
        let account = moved(n);
        all.push_str(&person(&of(&account), &account, ""));
    }
    all.push_str(&group(GROUP, &[&of(HIS)], ""));
    all.push_str(&group(PRIMARY, &[&of(HIS)], ""));
    all.push_str(&computer(COMPUTER, "Windows 11", &of(HIS)));
    all
}

fn moved(n: u32) -> String {
    format!("cutmove{n}")
}

fn password(n: u32) -> String {
    format!("A-long-Passw0rd-indeed-{n}")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    /// Before he is disabled: whether a password opens is seen by opening.
    Password,
    Leave,
    LeavePrimary,
    Hide,
    Move,
    DisableComputer,
    Disable,
}

const ALL: [Write; 7] = [
    Write::Password,
    Write::Leave,
    Write::LeavePrimary,
    Write::Hide,
    Write::Move,
    Write::DisableComputer,
    Write::Disable,
];

/// What is looked up once: each look into the controller's own file takes a while.
struct Known {
    computer: ObjectId,
    group: ObjectId,
    primary: ObjectId,
    /// The end of the primary group's security id.
    relative: String,
}

impl Known {
    fn of(samba: &Samba) -> Self {
        let guid = |account: &str| ObjectId(truth(samba, account, "objectGUID").remove(0));
        let sid = truth(samba, PRIMARY, "objectSid").remove(0);
        Self {
            computer: guid(&format!("{COMPUTER}$")),
            group: guid(GROUP),
            primary: guid(PRIMARY),
            relative: sid.rsplit_once('-').unwrap().1.to_owned(),
        }
    }
}

/// What is written to, for the n-th time.
struct Aim {
    who: ObjectId,
    /// What he leaves.
    held: Option<Held>,
    n: u32,
}

impl Write {
    /// Makes it as it was before, for the n-th time.
    fn undo(self, samba: &Samba, known: &Known, n: u32) {
        let his = dn(&format!("{CANARY} {HIS}"));
        let replace = |dn: &str, name: &str, value: &str| {
            let ldif = format!("dn: {dn}\nchangetype: modify\nreplace: {name}\n{name}: {value}\n");
            samba.modify(&ldif).unwrap();
        };
        let join = |group: &str| {
            // He is in it from the beginning.
            if n > 0 {
                let ldif = format!("dn: {}\nchangetype: modify\nadd: member\nmember: {his}\n", dn(group));
                samba.modify(&ldif).unwrap();
            }
        };
        match self {
            Self::Password | Self::Move => {}
            Self::Leave => join(GROUP),
            Self::LeavePrimary => {
                join(PRIMARY);
                replace(&his, "primaryGroupID", &known.relative);
            }
            Self::Hide => replace(&his, "msExchHideFromAddressLists", "FALSE"),
            Self::DisableComputer => replace(&dn(COMPUTER), "userAccountControl", "4096"),
            Self::Disable => replace(&his, "userAccountControl", "512"),
        }
    }

    async fn aim(self, ldap: &LdapConnector, known: &Known, n: u32) -> Aim {
        let who = match self {
            Self::Move => id(ldap, &moved(n)).await,
            _ => id(ldap, HIS).await,
        };
        let left = match self {
            Self::Leave => Some(&known.group),
            Self::LeavePrimary => Some(&known.primary),
            _ => None,
        };
        let held = ldap.holdings(&mut reading(), &who, Holding::Memberships).await.unwrap();
        let held = left.map(|left| held.into_iter().find(|one| one.id() == left).unwrap());
        Aim { who, held, n }
    }

    async fn write(self, ldap: &LdapConnector, call: &mut Call, known: &Known, aim: &Aim) -> Answer<()> {
        match self {
            Self::Password => {
                let new = AccountChange::Password(password(aim.n).into());
                ldap.set(call, &aim.who, &new).await
            }
            Self::Leave | Self::LeavePrimary => ldap.remove(call, &aim.who, aim.held.as_ref().unwrap()).await,
            Self::Hide => ldap.hide(call, &aim.who).await,
            Self::Move => ldap.move_to_leavers(call, &aim.who).await,
            Self::DisableComputer => ldap.disable_computer(call, &known.computer).await,
            Self::Disable => ldap.set(call, &aim.who, &AccountChange::Disable).await,
        }
    }

    /// Whether it is so, by the controller's own file where that shows it.
    async fn is_done(self, samba: &Samba, ldap: &LdapConnector, aim: &Aim) -> bool {
        match self {
            Self::Password => {
                let user = format!("{HIS}@corp.example.test");
                let own = LdapConnector::open(&settings(samba, &user, &password(aim.n))).unwrap();
                own.account(&mut reading(), &aim.who).await.is_ok()
            }
            Self::Leave => truth(samba, GROUP, "member").is_empty(),
            Self::LeavePrimary => {
                truth(samba, HIS, "primaryGroupID") == ["513"] && truth(samba, PRIMARY, "member").is_empty()
            }
            Self::Hide => truth(samba, HIS, "msExchHideFromAddressLists") == ["TRUE"],
            Self::Move => {
                let place = ldap.footing(&mut reading(), &aim.who).await.unwrap().place;
                place == format!("CN={CANARY} {},OU=Leavers,{DOMAIN}", moved(aim.n))
            }
            Self::DisableComputer => truth(samba, &format!("{COMPUTER}$"), "userAccountControl") == ["4098"],
            Self::Disable => truth(samba, HIS, "userAccountControl") == ["514"],
        }
    }
}

#[tokio::test]
async fn whenever_any_write_is_dropped_the_next_one_converges() {
    let (samba, _alone) = domain();
    let ldap = administrator(samba);
    let known = Known::of(samba);
    let mut sent = 0;
    for write in ALL {
        // Undisturbed the first time, to see how long it takes.
        let mut took = Duration::ZERO;
        for n in 0..=CUTS {
            write.undo(samba, &known, n);
            let aim = write.aim(&ldap, &known, n).await;
            if n == 0 {
                assert!(!write.is_done(samba, &ldap, &aim).await, "{write:?}, before it");
                let began = Instant::now();
                write.write(&ldap, &mut writing(), &known, &aim).await.unwrap();
                took = began.elapsed();
            } else {
                let after = took * (n - 1) / CUTS;
                let mut call = writing();
                let cut = tokio::time::timeout(after, write.write(&ldap, &mut call, &known, &aim)).await;
                sent += u32::from(cut.is_err() && call.writes_sent() > 0);
                let done = write.write(&ldap, &mut writing(), &known, &aim).await;
                assert!(done.is_ok(), "{write:?} after {after:?}: {done:?}");
            }
            assert!(write.is_done(samba, &ldap, &aim).await, "{write:?}, the {n}th time");
        }
    }
    assert!(sent > 0, "none was dropped after it had been sent");
}
