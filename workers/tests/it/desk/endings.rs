//! What a desk is told of a departure that does not happen, and what becomes of a note
//! that it acknowledges and never lists.

use super::*;
use offboard_domain::Timestamp;
use offboard_domain::catalogue::desk::{
    BY_REQUESTER, CALLED_OFF, CALLED_OFF_MS, HISTORY_LOST, MAY_BE_OPEN, PERSON_LOOKED, REFUSED, ending_marker,
};

/// The note of this ending.
fn of(ending: &str, params: Facts) -> Task {
    Task {
        object: Some(ending.into()),
        ..Task::of(Kind::NoteEnding, params)
    }
}

fn called_off(params: Facts) -> Task {
    let params = params.with(CALLED_OFF_MS, T0).with(BY_REQUESTER, true);
    of(CALLED_OFF, params)
}

fn noted(ended: &Ended) -> bool {
    matches!(ended, Ended::Settled(_))
}

#[tokio::test]
async fn a_departure_that_is_called_off_is_noted_on_its_ticket_which_stays_open() {
    for lag_ms in [0, 10 * MINUTE_MS] {
        let s = Stage::with(DeskHabits {
            lag_ms,
            ..DeskHabits::default()
        })
        .await;
        let ticket = s.opened().await;
        let done = ticket
            .with(&format!("{ENDED}verified"), 3_i64)
            .with(&format!("{ENDED}begun and not proven"), 1_i64);
        for _ in 0..2 {
            let ended = s.drive(&mut called_off(done.clone())).await;
            assert!(noted(&ended), "{ended:?}");
            s.pass(lag_ms);
        }
        let desk = s.desk();
        assert_eq!(desk.journal(), ["open 1001", "note 1001"], "once, and not closed");
        let note = &desk.tickets()[&1001].notes[0].1;
        let at = Timestamp(T0).to_string();
        for part in [
            "called off at",
            at.as_str(),
            "by whoever had asked for it",
            "1 begun and not proven, 3 verified",
            "stays open",
            ending_marker(case(), &CALLED_OFF.into()).as_str(),
        ] {
            assert!(note.contains(part), "{part}: {note}");
        }
    }
}

#[tokio::test]
async fn nobody_is_told_that_nothing_was_done_where_history_was_lost() {
    let s = Stage::kind().await;
    let ticket = s.opened().await.with(HISTORY_LOST, true);
    for mut task in [called_off(ticket.clone()), of(REFUSED, ticket)] {
        let ended = s.drive(&mut task).await;
        assert!(noted(&ended), "{ended:?}");
    }
    let desk = s.desk();
    let notes = &desk.tickets()[&1001].notes;
    assert_eq!(notes.len(), 2);
    for note in notes {
        assert!(note.1.contains("history was lost"), "{}", note.1);
        assert!(
            !note.1.contains("Nothing had been done") && !note.1.contains("nothing was done"),
            "{}",
            note.1
        );
    }
}

#[tokio::test]
async fn the_ticket_that_a_request_came_from_is_told_that_it_was_joined_or_refused() {
    let s = Stage::kind().await;
    s.desk().put(41, theirs(OURS, NEW));
    let named = Facts::new().with(REFERENCE, "T-41");
    let other = CaseId::derive(&TenantId::new("acme").unwrap(), "HR-2").to_string();
    for ending in [other.as_str(), REFUSED] {
        let ended = s.drive(&mut of(ending, named.clone())).await;
        assert!(noted(&ended), "{ending}: {ended:?}");
    }
    // A merge that is undone, and another one, are another note.
    let third = CaseId::derive(&TenantId::new("acme").unwrap(), "HR-3").to_string();
    assert!(noted(&s.drive(&mut of(&third, named)).await));
    let desk = s.desk();
    assert_eq!(desk.journal(), ["note 41", "note 41", "note 41"], "none is opened");
    let notes = &desk.tickets()[&41].notes;
    assert!(notes[0].1.contains(&format!("offboard show {other}")), "{notes:?}");
    assert!(notes[1].1.contains("was refused"), "{notes:?}");
    assert!(notes[2].1.contains(&third), "{notes:?}");
}

#[tokio::test]
async fn where_nobody_follows_it_nobody_is_told_and_nobody_is_asked() {
    let s = Stage::kind().await;
    s.desk().put(42, theirs(13, NEW));
    s.desk().put(43, theirs(OURS, 9));
    for reference in ["HR-1", "T-42", "T-43", "T-99"] {
        let ended = s.drive(&mut called_off(Facts::new().with(REFERENCE, reference))).await;
        assert!(matches!(ended, Ended::NotApplicable), "{reference}: {ended:?}");
    }
    // Nor where somebody has closed the ticket, or it is gone.
    for ticket in ["43", "99"] {
        let ended = s.drive(&mut called_off(Facts::new().with(TICKET, ticket))).await;
        assert!(matches!(ended, Ended::NotApplicable), "{ticket}: {ended:?}");
    }
    assert_eq!(s.desk().journal(), [""; 0]);
}

#[tokio::test]
async fn a_ticket_that_may_have_been_opened_is_looked_for_as_long_as_lists_lag() {
    // It was opened, and is not listed yet.
    let s = Stage::with(DeskHabits {
        lag_ms: 20 * MINUTE_MS,
        ..DeskHabits::default()
    })
    .await;
    s.opened().await;
    let ended = s.drive(&mut called_off(Facts::new().with(MAY_BE_OPEN, true))).await;
    assert!(noted(&ended), "{ended:?}");
    assert_eq!(s.desk().tickets()[&1001].notes.len(), 1);
    // It was not.
    let s = Stage::kind().await;
    let ended = s.drive(&mut called_off(Facts::new().with(MAY_BE_OPEN, true))).await;
    assert!(matches!(ended, Ended::NotApplicable), "{ended:?}");
    assert!(s.clock.now().0 - T0 >= 30 * MINUTE_MS);
}

#[tokio::test]
async fn a_note_that_is_never_listed_is_sent_again_once_a_person_has_looked() {
    let s = Stage::kind().await;
    let ticket = s.opened().await;
    let mut task = Task::of(Kind::NoteAccess, counts(&ticket));
    // It acknowledges the note, and loses it.
    s.desk().habits.lag_ms = 100 * HOUR_MS;
    let ended = s.drive(&mut task).await;
    assert!(matches!(ended, Ended::Person(_)), "it was acknowledged: {ended:?}");
    s.desk().edit(1001).unwrap().notes.clear();
    s.desk().habits.lag_ms = 0;
    // That somebody else looks again, such as after a loss, changes nothing.
    let ended = s.drive(&mut task).await;
    assert!(matches!(ended, Ended::Person(_)), "{ended:?}");
    assert_eq!(s.desk().journal(), ["open 1001", "note 1001"]);
    task.params.set(PERSON_LOOKED, true);
    let began = s.clock.now().0;
    assert!(noted(&s.drive(&mut task).await));
    assert!(s.clock.now().0 - began >= 30 * MINUTE_MS, "it is looked for once more");
    let desk = s.desk();
    assert_eq!(desk.journal(), ["open 1001", "note 1001", "note 1001"]);
    assert_eq!(desk.tickets()[&1001].notes.len(), 1);
}

#[tokio::test]
async fn a_note_that_shows_up_meanwhile_is_not_sent_again() {
    let s = Stage::kind().await;
    let ticket = s.opened().await;
    let mut task = Task::of(Kind::NoteAccess, counts(&ticket));
    s.desk().habits.lag_ms = 100 * HOUR_MS;
    assert!(matches!(s.drive(&mut task).await, Ended::Person(_)));
    s.desk().habits.lag_ms = 0;
    task.params.set(PERSON_LOOKED, true);
    assert!(noted(&s.drive(&mut task).await));
    assert_eq!(s.desk().tickets()[&1001].notes.len(), 1);
}
