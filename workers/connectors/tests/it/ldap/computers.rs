//! Computers of a domain, found by the id that a cloud knows their devices by.

use crate::ldap::stage::{administrator, delegated, domain, id, quiet, quiet_receipts, reading, truth, writing};
use offboard_connectors::Premises as _;
use offboard_domain::{FaultClass, ObjectId};

#[tokio::test]
async fn a_computer_is_found_by_the_id_that_the_cloud_knows_and_nothing_else_is() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let guid = truth(samba, "PC2$", "objectGUID").remove(0);
    let before = samba.changes().unwrap();
    // A cloud writes it in either case; it is compared as the bytes that it is.
    let mut call = reading();
    for spelling in [guid.to_lowercase(), guid.to_uppercase(), format!("{{{guid}}}")] {
        let at = ObjectId(spelling);
        let found = ldap.find_computer(&mut call, &at).await.unwrap().unwrap();
        assert_eq!(found.id.0, guid.to_lowercase());
        assert!(found.enabled && !found.server);
    }
    let server = truth(samba, "SRV1$", "objectGUID").remove(0);
    let server = ldap.find_computer(&mut call, &ObjectId(server)).await.unwrap();
    assert!(server.unwrap().server);
    // An account, a group, nobody's id, and what is no id at all.
    let person = id(&ldap, "read").await;
    let group = ObjectId(truth(samba, "group1", "objectGUID").remove(0));
    let nobodys = ObjectId::from("2a415c28-0029-00ff-8041-0a0b0c0d0e0f");
    for none in [person, group, nobodys] {
        assert_eq!(ldap.find_computer(&mut call, &none).await.unwrap(), None, "{none}");
    }
    for hostile in ["*", "", "*)(objectClass=*", "\\2a", "PC2$", &guid[..35], "\0"] {
        let at = ObjectId::from(hostile);
        assert_eq!(ldap.find_computer(&mut call, &at).await.unwrap(), None, "{hostile:?}");
    }
    assert_eq!(call.take_sources(), ["active_directory.ldap"]);
    quiet_receipts(call);
    let changed = samba.changed_since(before).unwrap();
    assert!(changed.iter().all(|dn| dn.starts_with("CN=svc-")), "{changed:?}");
}

/// With the rights that are delegated for it: what is found is what is disabled.
#[tokio::test]
async fn what_is_found_so_is_disabled_and_a_server_never() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let guid = ObjectId(truth(samba, "PC2$", "objectGUID").remove(0));
    let found = ldap.find_computer(&mut reading(), &guid).await.unwrap().unwrap();
    for _ in 0..2 {
        ldap.disable_computer(&mut writing(), &found.id).await.unwrap();
    }
    let read = ldap.find_computer(&mut reading(), &guid).await.unwrap().unwrap();
    assert!(!read.enabled);
    assert_eq!(truth(samba, "PC2$", "userAccountControl"), ["4098"]);
    let enable = format!(
        "dn: {}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 4096\n",
        crate::ldap::stage::dn("PC2")
    );
    samba.modify(&enable).unwrap();
    let controller = ObjectId(truth(samba, "DC1$", "objectGUID").remove(0));
    let admin = administrator(samba);
    assert!(
        admin
            .find_computer(&mut reading(), &controller)
            .await
            .unwrap()
            .unwrap()
            .server
    );
    let fault = admin.disable_computer(&mut writing(), &controller).await.unwrap_err();
    assert_eq!(quiet(fault).class, FaultClass::Blocked);
}
