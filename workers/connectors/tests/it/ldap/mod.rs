//! Active Directory's laws, against a real domain controller (Samba's): reading
//! writes nothing, after a write the state is there, twice is once, only the
//! named subject is changed, each refusal is the right fault, and nobody is
//! named in any of it. What is so is read from the controller's own file.

#![expect(
    clippy::await_holding_lock,
    reason = "each test has a thread and a runtime of its own"
)]

mod accounts;
mod computers;
mod cuts;
mod faults;
mod groups;
mod referrals;
pub(crate) mod stage;

use stage::{CANARY, computer, ground, group, person};

/// Everybody whom a test needs, each for one test alone.
fn seed() -> String {
    let mut all = ground();
    let hostile = format!(r"Roe\, Jane \<{CANARY}\> *)(x");
    for (account, more) in [
        (
            "found",
            format!(
                "mail: found.{CANARY}@example.com\nemployeeID: 4711\nproxyAddresses: smtp:old.{CANARY}@example.com\n"
            ),
        ),
        ("same1", format!("mail: same.{CANARY}@example.com\n")),
        ("same2", format!("mail: same.{CANARY}@example.com\n")),
        ("same3", format!("mail: same.{CANARY}@example.com\n")),
        ("same4", format!("mail: same.{CANARY}@example.com\n")),
        ("same5", format!("mail: same.{CANARY}@example.com\n")),
        ("read", String::new()),
        ("off", String::new()),
        ("reset", String::new()),
        ("hide", String::new()),
        ("move", String::new()),
        ("clash", String::new()),
        ("member", String::new()),
        ("primary", String::new()),
        ("admin", "adminCount: 1\n".to_owned()),
        ("operator", String::new()),
        ("owner", String::new()),
        ("dies", String::new()),
        ("silent", String::new()),
        ("failover", String::new()),
        ("denied", String::new()),
        ("unseen", String::new()),
    ] {
        all.push_str(&person(&format!("{CANARY} {account}"), account, &more));
    }
    all.push_str(&person(&hostile, "hostile", ""));
    let of = |account: &str| format!("{CANARY} {account}");
    let member = of("member");
    for n in 1..=7 {
        all.push_str(&group(&format!("group{n}"), &[&member, &of("read")], ""));
    }
    all.push_str(&group("nesting", &["group1"], ""));
    all.push_str(&group("guarded", &[&member], "adminCount: 1\n"));
    all.push_str(&group("prime", &[&of("primary")], ""));
    all.push_str(&group("operators", &[&of("operator")], ""));
    all.push_str(&group("open", &[&of("unseen")], ""));
    all.push_str(&group("secret", &[&of("unseen")], ""));
    all.push_str(&computer("PC1", "Windows 11", &of("owner")));
    all.push_str(&computer("SRV1", "Windows Server 2025", &of("owner")));
    all.push_str(&computer("PC2", "Windows 11", &of("read")));
    // The same name, where the one is to go.
    let same = person(&of("clash"), "clash2", "").replace("OU=Staff", "OU=Leavers");
    all.push_str(&same);
    all.push_str(&cuts::seed());
    all
}
