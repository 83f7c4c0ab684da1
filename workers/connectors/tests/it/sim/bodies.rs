//! Every body that the connector sends to Graph is one that Microsoft's description has. The
//! simulated Graph refuses any other, here and wherever else it stands in for Graph; so each write
//! that carries a body is made once, and each must have been taken.

use crate::sim::stage::{Stage, id};
use offboard_connectors::{
    AccountChange, Attached, Attachment, DeviceAction, Holding, LicenceOrigin, MailboxChange, Owner,
};
use std::collections::BTreeSet;

#[tokio::test]
async fn every_body_is_one_that_microsoft_describes() {
    let s = Stage::kind().await;
    let mut call = s.writing();
    let successor = id(&s.cast.chief);

    let who = id(&s.cast.privileged);
    let roles = s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap();
    for answer in s.directory().remove_all(&mut call, &who, &roles).await {
        answer.unwrap();
    }
    s.clock.advance(60_000);
    for change in [
        AccountChange::Disable,
        AccountChange::Password("Xk9$mmnp-Long-Enough".into()),
    ] {
        s.directory().set(&mut call, &who, &change).await.unwrap();
    }

    let who = id(&s.cast.sole_owner);
    let owned = s
        .directory()
        .holdings(&mut call, &who, Holding::Ownerships)
        .await
        .unwrap();
    for held in &owned {
        s.directory().add_owner(&mut call, held.id(), &successor).await.unwrap();
    }

    let who = id(&s.cast.on_hold);
    let held = s.licenses().held(&mut call, &who).await.unwrap();
    let direct: Vec<String> = held
        .iter()
        .filter(|l| l.origin == LicenceOrigin::Direct)
        .map(|l| l.sku_id.clone())
        .collect();
    s.licenses().release(&mut call, &who, &direct).await.unwrap();

    let who = id(&s.cast.plain);
    let reply = MailboxChange::AutomaticReply { text: "Gone.".into() };
    s.mailboxes().set(&mut call, &who, &reply).await.unwrap();
    let meetings = s
        .mailboxes()
        .attached(&mut call, &who, &Attachment::Meetings)
        .await
        .unwrap();
    for meeting in &meetings {
        let Attached::Meeting(its) = meeting else {
            panic!("{meeting:?}")
        };
        let change = MailboxChange::HandOverMeeting {
            meeting: its.clone(),
            to: successor.clone(),
        };
        s.mailboxes().set(&mut call, &who, &change).await.unwrap();
        s.mailboxes().detach(&mut call, &who, meeting).await.unwrap();
    }

    let who = id(&s.cast.devices);
    let found = s.devices().of(&mut call, &who).await.unwrap();
    let company = found.iter().find(|d| d.owner == Owner::Company).unwrap();
    let wipe = DeviceAction::Wipe {
        keep_enrollment: true,
        unlock_code: None,
    };
    for action in [wipe, DeviceAction::DisableObject] {
        s.devices().act(&mut call, &company.at, action).await.unwrap();
    }

    let sent: BTreeSet<String> = s.world().bodies().iter().map(|one| (*one).to_owned()).collect();
    let known = [
        "PATCH devices/{id}",
        "PATCH users/{id}",
        "PATCH users/{id}/mailboxSettings",
        "POST deviceManagement/managedDevices/{id}/wipe",
        "POST groups/{id}/owners/$ref",
        "POST roleManagement/directory/roleEligibilityScheduleRequests",
        "POST users/{id}/assignLicense",
        "POST users/{id}/events",
        "POST users/{id}/events/{id}/cancel",
    ];
    assert_eq!(sent.iter().map(String::as_str).collect::<Vec<_>>(), known);
}
