//! Groups that the account which signs in may not see: a membership is never taken for
//! none.

use crate::ldap::stage::{delegated, dn, domain, id, quiet, reading, truth, writing};
use offboard_connectors::{Directory as _, Held, Holding};
use offboard_domain::{FaultClass, ObjectId};

#[tokio::test]
async fn a_group_that_may_not_be_read_is_held_all_the_same_and_is_a_person_s() {
    let (samba, _alone) = domain();
    let service = truth(samba, "svc-offboard", "objectSid").remove(0);
    // Some hide the groups of the board, or of who is being looked into.
    samba.grant(&dn("secret"), &format!("(D;;RP;;;{service})")).unwrap();
    let ldap = delegated(samba);
    let who = id(&ldap, "unseen").await;
    let held = ldap.holdings(&mut reading(), &who, Holding::Memberships).await.unwrap();
    let of = |account: &str| ObjectId(truth(samba, account, "objectGUID").remove(0));
    let mut wanted = vec![(of("open"), false), (of("secret"), true)];
    wanted.sort();
    let groups = held.iter().filter_map(Held::group);
    let mut seen: Vec<(ObjectId, bool)> = groups.map(|g| (g.id.clone(), g.role_assignable)).collect();
    seen.sort();
    assert_eq!(seen, wanted);
    for one in &held {
        let open = *one.id() == of("open");
        match ldap.remove(&mut writing(), &who, one).await {
            Ok(()) => assert!(open),
            Err(fault) => {
                assert!(!open, "{fault}");
                assert_eq!(quiet(fault).class, FaultClass::Blocked);
            }
        }
    }
    let left = ldap.holdings(&mut reading(), &who, Holding::Memberships).await.unwrap();
    let left: Vec<&ObjectId> = left.iter().map(Held::id).collect();
    assert_eq!(left, [&of("secret")]);
}
