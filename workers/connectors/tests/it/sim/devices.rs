//! Devices.

use crate::sim::stage::{Stage, T0, id};
use offboard_connectors::{Call, DeviceAction, DeviceRef, Owner, RecoveryKeySort, UnlockCode};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::Effect;
use offboard_sim::world::model::{Autopilot, DeviceOwner};

const WIPE: DeviceAction = DeviceAction::Wipe {
    keep_enrollment: false,
    unlock_code: None,
};

#[tokio::test]
async fn a_company_device_is_wiped_once_and_a_personal_one_never() {
    let s = Stage::kind().await;
    let who = id(&s.cast.devices);
    let mut call = s.writing();
    let found = s.devices().of(&mut call, &who).await.unwrap();
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|d| d.is_managed && d.at.object.is_some() && d.at.device_id.is_some())
    );
    let company = found.iter().find(|d| d.owner == Owner::Company).unwrap();
    let personal = found.iter().find(|d| d.owner == Owner::Personal).unwrap();

    let keys = s.devices().recovery_keys(&mut call, &company.at).await.unwrap().keys;
    let sorts: Vec<_> = keys.iter().map(|k| k.sort).collect();
    assert_eq!(sorts, [RecoveryKeySort::Disk, RecoveryKeySort::LocalAdministrator]);
    assert!(keys.iter().all(|k| !k.key.is_empty()) && keys[1].key.expose().starts_with("Laps-"));
    assert!(!format!("{keys:?}").contains("Laps-"));
    assert!(
        s.devices()
            .recovery_keys(&mut call, &personal.at)
            .await
            .unwrap()
            .keys
            .is_empty()
    );

    let fault = s.devices().act(&mut call, &personal.at, WIPE).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked);
    // It may have had another life.
    let before = s.devices().managed(&mut call, &company.at).await.unwrap().unwrap();
    for _twice in 0..2 {
        s.devices().act(&mut call, &company.at, WIPE).await.unwrap();
    }
    let record = s.devices().managed(&mut call, &company.at).await.unwrap().unwrap();
    assert_eq!(record.user_id.as_ref(), Some(&who));
    assert_eq!(record.action("wipe").unwrap().state, "pending");
    assert_eq!(record.actions.len(), before.actions.len() + 1, "ordered once");
    s.clock.advance(60_000);
    let record = s.devices().managed(&mut call, &company.at).await.unwrap().unwrap();
    assert_eq!(record.action("wipe").unwrap().state, "done");
    s.clock.advance(3_600_000);
    assert_eq!(s.devices().managed(&mut call, &company.at).await.unwrap(), None);
    let fault = s.devices().act(&mut call, &company.at, WIPE).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Absent, "gone, which proves nothing");
    let effects = s.effects();
    assert_eq!(effects.iter().filter(|(e, ..)| *e == Effect::DeviceWiped).count(), 1);
    assert!(s.world().violations().is_empty(), "{:?}", s.world().violations());
}

#[tokio::test]
async fn a_macs_wipe_brings_the_code_that_it_asks_for_and_is_not_sent_without() {
    let s = Stage::kind().await;
    let who = id(&s.cast.devices);
    let mut call = s.writing();
    let found = s.devices().of(&mut call, &who).await.unwrap();
    let laptop = found.iter().find(|d| d.owner == Owner::Company).unwrap().at.clone();
    let managed = laptop.managed.clone().unwrap().0;
    s.arrange(|t| t.managed_devices.edit(&managed, T0).unwrap().os = "macOS");
    let record = s.devices().managed(&mut call, &laptop).await.unwrap().unwrap();
    assert!(record.wants_unlock_code());
    let fault = s.devices().act(&mut call, &laptop, WIPE).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
    let ordered = |s: &Stage| s.effects().iter().any(|(e, ..)| *e == Effect::WipeOrdered);
    assert!(!ordered(&s));
    // Its noughts count.
    let wipe = DeviceAction::Wipe {
        keep_enrollment: false,
        unlock_code: Some(UnlockCode::of(77_001_234)),
    };
    assert!(!format!("{wipe:?}").contains("1234"));
    s.devices().act(&mut call, &laptop, wipe).await.unwrap();
    assert!(ordered(&s));
    let code = s.truth(|t| t.managed_devices.get(&managed).unwrap().unlock_code.clone());
    assert_eq!(code.as_deref(), Some("001234"));
}

#[tokio::test]
async fn an_activation_locks_code_is_read_and_the_key_of_a_macs_disk_is_said_to_be_withheld() {
    let s = Stage::kind().await;
    let who = id(&s.cast.devices);
    let canary = s.person(&who).canary;
    let code = format!("{canary}-lock");
    let mut call = s.reading();
    let found = s.devices().of(&mut call, &who).await.unwrap();
    let laptop = found.iter().find(|d| d.owner == Owner::Company).unwrap().at.clone();
    let managed = laptop.managed.clone().unwrap();
    let disk = vec![RecoveryKeySort::Disk];
    for (os, encrypted, withheld) in [
        ("iOS", true, Vec::new()),
        ("macOS", true, disk),
        ("macOS", false, Vec::new()),
    ] {
        s.arrange(|t| {
            let row = t.managed_devices.edit(&managed.0, T0).unwrap();
            (row.os, row.encrypted) = (os, encrypted);
            row.activation_lock = Some((code.clone(), false));
        });
        let found = s.devices().recovery_keys(&mut call, &laptop).await.unwrap();
        let locks: Vec<_> = found
            .keys
            .iter()
            .filter(|k| k.sort == RecoveryKeySort::ActivationLock)
            .map(|k| k.key.expose().to_owned())
            .collect();
        assert_eq!(locks, [code.as_str()], "{os}");
        assert_eq!(found.withheld, withheld, "{os}");
        assert!(!format!("{found:?}").contains(&canary));
    }
    // An encrypted disk of the company's has a key, whatever a list says.
    let object = laptop.object.clone().unwrap();
    for (encrypted, listed, missing) in [(true, true, 0), (true, false, 1), (false, false, 0)] {
        s.arrange(|t| {
            let row = t.managed_devices.edit(&managed.0, T0).unwrap();
            (row.os, row.encrypted) = ("Windows", encrypted);
            if !listed {
                t.devices.edit(&object.0, T0).unwrap().bitlocker.clear();
            }
        });
        let found = s.devices().recovery_keys(&mut call, &laptop).await.unwrap();
        assert_eq!(found.missing.len(), missing, "{encrypted} {listed}");
        assert!(found.withheld.is_empty());
    }
    // A device of which the directory knows nothing has this one all the same.
    let unknown = DeviceRef {
        object: None,
        device_id: None,
        ..laptop
    };
    let found = s.devices().recovery_keys(&mut call, &unknown).await.unwrap();
    let sorts: Vec<_> = found.keys.iter().map(|k| k.sort).collect();
    assert_eq!(sorts, [RecoveryKeySort::ActivationLock]);
    let effects = s.effects();
    let read = |(effect, _, object): &&(Effect, String, String)| *effect == Effect::KeyRead && *object == managed.0;
    assert_eq!(effects.iter().filter(read).count(), 7);

    // Who owns his Mac keeps its key himself.
    s.arrange(|t| {
        let row = t.managed_devices.edit(&managed.0, T0).unwrap();
        (row.os, row.encrypted, row.owner) = ("macOS", true, DeviceOwner::Personal);
    });
    let his = s.devices().recovery_keys(&mut call, &unknown).await.unwrap();
    assert!(his.withheld.is_empty());

    s.arrange(|t| drop(t.managed_devices.remove(&managed.0, T0)));
    let gone = s.devices().recovery_keys(&mut call, &unknown).await.unwrap();
    assert!(gone.keys.is_empty() && gone.withheld.is_empty());
}

#[tokio::test]
async fn a_personal_device_is_retired_its_object_disabled_and_autopilot_forgets() {
    let s = Stage::kind().await;
    let who = id(&s.cast.devices);
    let mut call = s.writing();
    let found = s.devices().of(&mut call, &who).await.unwrap();
    let company = &found.iter().find(|d| d.owner == Owner::Company).unwrap().at;
    let personal = &found.iter().find(|d| d.owner == Owner::Personal).unwrap().at;
    s.devices()
        .act(&mut call, personal, DeviceAction::Retire)
        .await
        .unwrap();
    s.clock.advance(60_000);
    assert_eq!(
        s.devices()
            .managed(&mut call, personal)
            .await
            .unwrap()
            .unwrap()
            .action("retire")
            .unwrap()
            .state,
        "done"
    );
    let enrolled = s.devices().autopilot(&mut call, company).await.unwrap().unwrap();
    assert_eq!(enrolled.assigned_to, Some(s.person(&who).upn));
    assert_eq!(s.devices().autopilot(&mut call, personal).await.unwrap(), None);
    for _twice in 0..2 {
        s.devices()
            .act(&mut call, company, DeviceAction::UnassignAutopilot)
            .await
            .unwrap();
        s.devices()
            .act(&mut call, company, DeviceAction::DisableObject)
            .await
            .unwrap();
    }
    let enrolled = s.devices().autopilot(&mut call, company).await.unwrap().unwrap();
    assert_eq!(enrolled.assigned_to, None);
    assert!(!s.devices().object(&mut call, company).await.unwrap().unwrap().enabled);
    assert!(s.devices().object(&mut call, personal).await.unwrap().unwrap().enabled);
    // By the device's own id when the object's is not known.
    let unnamed = DeviceRef {
        object: None,
        ..company.clone()
    };
    assert!(!s.devices().object(&mut call, &unnamed).await.unwrap().unwrap().enabled);
    assert!(s.effects().iter().all(|(_, subject, _)| *subject == who.0));
}

#[tokio::test]
async fn whoever_joined_a_colleagues_device_does_not_use_it() {
    let s = Stage::kind().await;
    let technician = id(&s.cast.plain);
    let colleague = id(&s.cast.devices);
    let mut call = s.writing();
    let his = s.devices().of(&mut call, &colleague).await.unwrap();
    let laptop = his.iter().find(|d| d.owner == Owner::Company).unwrap().at.clone();
    let object = laptop.object.clone().unwrap();
    s.arrange(|t| t.devices.edit(&object.0, T0).unwrap().user = technician.0.clone());

    // The directory lists it with the technician, the management with the colleague.
    let listed = s.devices().of(&mut call, &technician).await.unwrap();
    let joined = listed.iter().find(|d| d.at.object.as_ref() == Some(&object)).unwrap();
    assert!(!joined.is_managed);
    let ask = async |call: &mut Call, at: &DeviceRef, who: &ObjectId| {
        s.devices().used_by_another(call, at, who).await.unwrap()
    };
    assert!(ask(&mut call, &joined.at, &technician).await);
    assert!(!ask(&mut call, &laptop, &colleague).await);

    // Without a record of the management, whoever else is registered counts.
    s.arrange(|t| drop(t.managed_devices.remove(&laptop.managed.as_ref().unwrap().0, T0)));
    assert!(!ask(&mut call, &joined.at, &technician).await);
    s.arrange(|t| {
        let row = t.devices.edit(&object.0, T0).unwrap();
        row.more_users.insert(colleague.0.clone());
    });
    assert!(ask(&mut call, &joined.at, &technician).await);
    s.arrange(|t| {
        let row = t.devices.edit(&object.0, T0).unwrap();
        row.more_users.clear();
        row.more_owners.insert(colleague.0.clone());
    });
    assert!(ask(&mut call, &joined.at, &technician).await);
    // One that the management had as his stays his: who joined it for him is registered too.
    assert!(!ask(&mut call, &laptop, &colleague).await);
    // Gone since: nobody is registered on it.
    s.arrange(|t| drop(t.devices.remove(&object.0, T0)));
    assert!(!ask(&mut call, &joined.at, &technician).await);
}

#[tokio::test]
async fn a_serial_that_several_enrolments_bear_is_decided_by_the_devices_own_id_or_by_a_person() {
    let s = Stage::kind().await;
    let who = id(&s.cast.devices);
    let mut call = s.writing();
    let found = s.devices().of(&mut call, &who).await.unwrap();
    let laptop = found.iter().find(|d| d.owner == Owner::Company).unwrap().at.clone();
    let own = s.devices().autopilot(&mut call, &laptop).await.unwrap().unwrap();
    let another = |name: &str, device: &str| {
        let row = s.truth(|t| t.autopilots.get(&own.id.0).unwrap().clone());
        let row = Autopilot {
            id: name.to_owned(),
            entra_device_id: device.to_owned(),
            ..row
        };
        s.arrange(|t| t.autopilots.found(name, row));
    };
    // Another maker's, with the same number: the device's own id decides.
    another("another-makers", "another-device");
    assert_eq!(
        s.devices().autopilot(&mut call, &laptop).await.unwrap(),
        Some(own.clone())
    );
    // Of which of them it is, a device without that id says nothing; nor do two records of one id.
    let unknown = DeviceRef {
        device_id: None,
        ..laptop.clone()
    };
    another("enrolled-twice", laptop.device_id.as_deref().unwrap());
    for at in [&unknown, &laptop] {
        let fault = s.devices().autopilot(&mut call, at).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
        assert!(fault.detail.contains("serial number"), "{fault}");
        let fault = s
            .devices()
            .act(&mut call, at, DeviceAction::UnassignAutopilot)
            .await
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
    }
    assert_eq!(s.effects(), []);
}

#[tokio::test]
async fn a_device_that_is_joined_to_a_domain_as_well_is_told() {
    let s = Stage::kind().await;
    let who = id(&s.cast.devices);
    let mut call = s.reading();
    let found = s.devices().of(&mut call, &who).await.unwrap();
    assert!(found.iter().all(|d| !d.hybrid_joined), "{found:?}");
    let laptop = found.iter().find(|d| d.owner == Owner::Company).unwrap().at.clone();
    let object = laptop.object.clone().unwrap();
    s.arrange(|t| t.devices.edit(&object.0, T0).unwrap().synced = true);
    let managed = s.devices().of(&mut call, &who).await.unwrap();
    let joined: Vec<_> = managed.iter().filter(|d| d.hybrid_joined).map(|d| &d.at).collect();
    assert_eq!(joined, [&laptop]);
    let object = s.devices().object(&mut call, &laptop).await.unwrap().unwrap();
    assert!(object.hybrid_joined && object.synced);
    // Where nothing manages it, the directory's own object says so.
    let record = laptop.managed.clone().unwrap();
    s.arrange(|t| drop(t.managed_devices.remove(&record.0, T0)));
    let listed = s.devices().of(&mut call, &who).await.unwrap();
    let joined = listed.iter().find(|d| d.hybrid_joined).unwrap();
    assert_eq!((joined.is_managed, &joined.at.device_id), (false, &laptop.device_id));
}
