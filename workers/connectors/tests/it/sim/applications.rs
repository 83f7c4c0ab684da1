//! What applications are that people consented to, and were given.

use crate::sim::stage::{Stage, id};
use offboard_connectors::graph::Credential;
use offboard_connectors::{Application, Directory as _, Held, Holding};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_SECRET};

/// The application that a held thing opens.
fn application(held: &Held) -> ObjectId {
    match held {
        Held::Grant { client, .. } => client.clone(),
        Held::AppRole { application, .. } => application.clone(),
        other => panic!("no application: {other:?}"),
    }
}

async fn held(s: &Stage, who: &ObjectId, what: Holding) -> Vec<ObjectId> {
    let held = s.directory().holdings(&mut s.reading(), who, what).await.unwrap();
    held.iter().map(application).collect()
}

async fn known(s: &Stage, ids: &[ObjectId]) -> Vec<Application> {
    let mut all = s.directory().applications(&mut s.reading(), ids).await.unwrap();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[tokio::test]
async fn what_he_consented_to_was_given_and_his_group_was_given_are_told_apart() {
    let s = Stage::kind().await;
    let (who, before) = (id(&s.cast.plain), s.effects());
    let mut ids = Vec::new();
    for (what, name) in [
        (Holding::Grants, "Calendar Helper"),
        (Holding::AppRoles, "Expense Tool"),
        (Holding::GroupAppRoles, "Visitor Log"),
    ] {
        let of_this_sort = held(&s, &who, what).await;
        let told = known(&s, &of_this_sort).await;
        assert_eq!(told.len(), 1, "{what:?}: {told:?}");
        assert_eq!(told[0].name.as_deref(), Some(name));
        assert_eq!(told[0].id, of_this_sort[0]);
        assert!(!told[0].of_the_platform && told[0].publisher.is_none());
        ids.extend(of_this_sort);
    }
    // In one batch.
    assert_eq!(known(&s, &ids).await.len(), 3);
    // And which group it is.
    let read = async |what: Holding| s.directory().holdings(&mut s.reading(), &who, what).await.unwrap();
    let (given, groups) = (read(Holding::GroupAppRoles).await, read(Holding::Memberships).await);
    let [Held::AppRole { group: Some(group), .. }] = given.as_slice() else {
        panic!("{given:?}")
    };
    assert!(groups.iter().any(|held| held.id() == group), "{groups:?}");
    let own = read(Holding::AppRoles).await;
    assert!(matches!(own.as_slice(), [Held::AppRole { group: None, .. }]), "{own:?}");
    assert_eq!(s.effects(), before);
}

#[tokio::test]
async fn the_vendors_own_is_told_from_others_and_so_is_ours() {
    let s = Stage::kind().await;
    let told = known(&s, &held(&s, &id(&s.cast.forwarder), Holding::Grants).await).await;
    let [other, microsofts] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(!other.of_the_platform);
    assert!(microsofts.of_the_platform);
    assert_eq!(microsofts.name.as_deref(), Some("Microsoft Whiteboard"));
    assert_eq!(microsofts.publisher.as_deref(), Some("Microsoft Corporation"));
    let ours = s.truth(|t| t.apps[ADMIN_APP].principal.clone());
    let told = known(&s, &[id(&ours)]).await;
    assert!(told[0].of_the_platform, "{told:?}");
    assert_eq!(told[0].app_id, ADMIN_APP);
}

#[tokio::test]
async fn one_that_is_there_no_more_is_left_out_and_nobody_is_asked_about_none() {
    let s = Stage::kind().await;
    let mut ids = held(&s, &id(&s.cast.plain), Holding::Grants).await;
    ids.push(id("11111111-2222-3333-4444-555555555555"));
    assert_eq!(known(&s, &ids).await.len(), 1);
    assert_eq!(known(&s, &[]).await, []);
}

#[tokio::test]
async fn without_the_permission_it_is_said_which_is_missing() {
    let s = Stage::kind().await;
    let ids = held(&s, &id(&s.cast.plain), Holding::Grants).await;
    s.arrange(|t| {
        let app = t.apps.get_mut(ADMIN_APP).unwrap();
        app.graph_roles
            .retain(|role| !role.starts_with("Application.") && !role.starts_with("Directory."));
    });
    let graph = s.anew(Credential::Secret(ADMIN_APP_SECRET.into()));
    let fault = graph.applications(&mut s.reading(), &ids).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("Application.Read.All"), "{fault:?}");
}
