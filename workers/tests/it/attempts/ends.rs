//! What came of one task by itself: how it is run, and what its end says.

use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::fake::State;
use offboard_domain::{Fact, Kind};

pub(super) async fn end(state: State, todo: Todo) -> (Desk, End) {
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    (desk, end)
}

pub(super) async fn changed(kind: Kind, f: impl FnOnce(&mut State)) -> (Desk, End) {
    let (mut state, todo) = setting(kind);
    f(&mut state);
    end(state, todo).await
}

pub(super) fn asked(end: &End) -> &str {
    match end {
        End::Asked(why) => why,
        other => panic!("a person should have been asked: {other:?}"),
    }
}

pub(super) fn fact(end: &End, name: &str) -> Fact {
    let (End::Settled(seen) | End::Found(seen, _)) = end else {
        panic!("not settled: {end:?}")
    };
    seen.facts
        .get(name)
        .unwrap_or_else(|| panic!("no fact {name} in {seen:?}"))
        .clone()
}

pub(super) fn list(of: &[&str]) -> Fact {
    Fact::List(of.iter().map(|s| (*s).to_owned()).collect())
}
