//! The laws at the head of the crate that every backend keeps, one function
//! each. Each begins with an empty store.

use crate::backend::Backend;
use bytes::Bytes;
use offboard_domain::Digest;
use offboard_store::{Named, StoreError};
use tokio::task::JoinSet;

fn bytes(n: u8, len: usize) -> Bytes {
    vec![n; len].into()
}

pub(crate) async fn law_01_put_twice_is_once<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.store();
    for (n, len) in [(0, 0), (1, 1), (2, 3_000_000)] {
        let digest = store.put(bytes(n, len)).await.unwrap();
        assert_eq!(digest, Digest::of(&bytes(n, len)));
        assert_eq!(store.put(bytes(n, len)).await.unwrap(), digest);
        assert_eq!(store.get(digest).await.unwrap(), bytes(n, len));
    }
    for _ in 0..2 {
        store.put_named("evidence/acme/one.json", bytes(7, 9)).await.unwrap();
        assert_eq!(store.get_named("evidence/acme/one.json").await.unwrap(), bytes(7, 9));
    }
    assert_eq!(store.list("").await.unwrap().len(), 1);
}

pub(crate) async fn law_01_put_at_the_same_time_is_once<B: Backend>() {
    let backend = B::fresh().await;
    let mut race = JoinSet::new();
    for _ in 0..16 {
        let store = backend.store();
        race.spawn(async move {
            let digest = store.put(bytes(3, 100_000)).await.unwrap();
            assert_eq!(store.get(digest).await.unwrap(), bytes(3, 100_000));
            store
                .put_named("evidence/acme/one.json", bytes(4, 100_000))
                .await
                .unwrap();
        });
    }
    race.join_all().await;
    assert_eq!(
        backend.store().get_named("evidence/acme/one.json").await.unwrap(),
        bytes(4, 100_000)
    );
}

pub(crate) async fn law_02_what_is_read_has_the_digest_that_was_asked_for<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.store();
    let nobody = Digest::of(b"never put");
    let said = store.get(nobody).await.unwrap_err();
    assert!(
        matches!(said, StoreError::Absent { .. }) && said.to_string().contains(&nobody.to_string()),
        "{said}"
    );

    let digest = store.put(bytes(1, 1_000)).await.unwrap();
    let other = store.put(bytes(2, 1_000)).await.unwrap();
    if backend.damage(digest).await {
        let said = store.get(digest).await.unwrap_err();
        assert!(
            matches!(said, StoreError::Damaged { .. }) && said.to_string().contains(&digest.to_string()),
            "{said}"
        );
        assert_eq!(store.get(other).await.unwrap(), bytes(2, 1_000));
        // Who has the right bytes heals it.
        assert_eq!(store.put(bytes(1, 1_000)).await.unwrap(), digest);
    }
    assert_eq!(store.get(digest).await.unwrap(), bytes(1, 1_000));
}

pub(crate) async fn law_03_a_name_is_never_overwritten_with_other_content<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.store();
    let name = "evidence/acme/c-00112233445566778899/sealed.json";
    store.put_named(name, bytes(1, 10)).await.unwrap();
    for other in [bytes(2, 10), bytes(1, 9), bytes(1, 11), Bytes::new()] {
        let said = store.put_named(name, other).await.unwrap_err();
        assert!(
            matches!(&said, StoreError::Occupied { holds, .. } if *holds == Digest::of(&bytes(1, 10))),
            "{said}"
        );
        assert!(said.to_string().contains(name), "{said}");
    }
    assert_eq!(store.get_named(name).await.unwrap(), bytes(1, 10));
    assert!(matches!(
        store.get_named("evidence/acme").await,
        Err(StoreError::Absent { .. } | StoreError::Unavailable { .. })
    ));
    assert!(matches!(
        store.get_named("evidence/acme/two").await,
        Err(StoreError::Absent { .. })
    ));
}

pub(crate) async fn law_03_of_racing_contents_one_stays<B: Backend>() {
    let backend = B::fresh().await;
    let mut race = JoinSet::new();
    for n in 0..12_u8 {
        let store = backend.store();
        race.spawn(async move { (n, store.put_named("evidence/acme/one.json", bytes(n, 50_000)).await) });
    }
    let answers = race.join_all().await;
    let winners: Vec<u8> = answers.iter().filter(|(_, a)| a.is_ok()).map(|(n, _)| *n).collect();
    assert_eq!(winners.len(), 1);
    let holds = Digest::of(&bytes(winners[0], 50_000));
    for (_, answer) in answers.into_iter().filter(|(n, _)| *n != winners[0]) {
        assert!(matches!(answer, Err(StoreError::Occupied { holds: h, .. }) if h == holds));
    }
}

pub(crate) async fn law_05_hostile_names_are_refused<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.store();
    let long = "a".repeat(129);
    let deep = "a/b/c/d/e/f/g/h/i";
    let hostile = [
        "",
        "/",
        "/etc/passwd",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        ".hidden",
        "a/.b",
        "a.",
        "A",
        "ä",
        "a b",
        "a\\b",
        "a:b",
        "a%2fb",
        "a\0b",
        "a\n",
        "c:",
        "a#1",
        "objects",
        "objects/ab",
        "sites",
        "sites/berlin/a",
        &long,
        deep,
    ];
    for name in hostile {
        let refused = |answer: Option<StoreError>| matches!(answer, Some(StoreError::Refused { .. }));
        assert!(refused(store.put_named(name, bytes(1, 1)).await.err()), "{name:?}");
        assert!(refused(store.get_named(name).await.err()), "{name:?}");
        assert!(name.is_empty() || refused(store.list(name).await.err()), "{name:?}");
    }
    assert!(store.list("").await.unwrap().is_empty());
    for fine in ["a", "a.b-c_d/0", "objects-of/sites", &long[1..]] {
        store.put_named(fine, bytes(1, 1)).await.unwrap();
    }
    assert_eq!(store.list("").await.unwrap().len(), 4);
}

pub(crate) async fn law_06_what_was_put_survives_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    let digest = backend.store().put(bytes(1, 10)).await.unwrap();
    backend
        .store()
        .put_named("evidence/acme/one.json", bytes(2, 10))
        .await
        .unwrap();
    let backend = backend.restart().await;
    assert_eq!(backend.store().get(digest).await.unwrap(), bytes(1, 10));
    assert_eq!(
        backend.store().get_named("evidence/acme/one.json").await.unwrap(),
        bytes(2, 10)
    );
    let said = backend.store().put_named("evidence/acme/one.json", bytes(3, 10)).await;
    assert!(matches!(said, Err(StoreError::Occupied { .. })));
}

pub(crate) async fn law_07_listed_is_what_was_named<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.store();
    assert!(store.list("").await.unwrap().is_empty() && store.list("evidence").await.unwrap().is_empty());
    store.put(bytes(1, 10)).await.unwrap();
    let names = [
        "evidence/acme/b",
        "evidence/acme/a",
        "evidence/acme-2/a",
        "evidence/zenith/c/d",
        "keys/a",
    ];
    for (n, name) in (1_u8..).zip(names) {
        store.put_named(name, bytes(n, usize::from(n))).await.unwrap();
    }
    let named = |path: &str, bytes| Named {
        path: path.to_owned(),
        bytes,
    };
    let all = [
        named("evidence/acme-2/a", 3),
        named("evidence/acme/a", 2),
        named("evidence/acme/b", 1),
        named("evidence/zenith/c/d", 4),
        named("keys/a", 5),
    ];
    assert_eq!(store.list("").await.unwrap(), all);
    assert_eq!(store.list("evidence").await.unwrap(), all[..4]);
    assert_eq!(
        store.list("evidence/acme").await.unwrap(),
        all[1..3],
        "a folder, not a beginning of a name"
    );
    assert!(store.list("evidence/nobody").await.unwrap().is_empty());
    for (most, listed) in [(3, None), (4, Some(all[..4].to_vec())), (5, Some(all[..4].to_vec()))] {
        assert_eq!(store.list_at_most("evidence", most).await.unwrap(), listed);
    }
}

pub(crate) async fn law_08_what_a_site_keeps_is_found_from_above_and_a_site_finds_its_own_alone<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.store();
    let [berlin, paris] = ["berlin", "paris"].map(|site| store.site(site).unwrap());
    let theirs = berlin.put(bytes(1, 1_000)).await.unwrap();
    let ours = store.put(bytes(2, 1_000)).await.unwrap();
    for place in [&berlin, &store] {
        assert_eq!(place.get(theirs).await.unwrap(), bytes(1, 1_000));
        assert_eq!(place.size(theirs).await.unwrap(), Some(1_000));
        for (bytes, holds) in [(1_000, true), (999, false)] {
            assert_eq!(place.holds(theirs, bytes).await.unwrap(), holds);
        }
    }
    for (place, what) in [(&berlin, ours), (&paris, ours), (&paris, theirs)] {
        let said = place.get(what).await.unwrap_err();
        assert!(matches!(said, StoreError::Absent { .. }), "{said}");
        assert_eq!(place.size(what).await.unwrap(), None);
        assert!(!place.holds(what, 1_000).await.unwrap());
    }
    berlin.check().await.unwrap();
    assert!(store.list("").await.unwrap().is_empty());
    let backend = backend.restart().await;
    assert_eq!(backend.store().get(theirs).await.unwrap(), bytes(1, 1_000));
    for nobody in ["", "..", "a/b", "Berlin", "-"] {
        let said = store.site(nobody).unwrap_err();
        assert!(matches!(said, StoreError::Refused { .. }), "{nobody:?}: {said}");
    }
}
