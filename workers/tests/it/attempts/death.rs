//! Death at every await of every kind: the attempt is polled n times and
//! dropped, for every n there is; then the task goes on as a dispatcher would
//! have it, and the world must be as after one clean run.

use crate::attempts::drive::{Desk, End, NEVER, every_kind, setting};
use offboard_domain::Kind;

const LATER_MS: i64 = 10 * 86_400_000;

#[tokio::test(start_paused = true)]
async fn at_every_await_of_every_kind_it_converges() {
    let mut deaths = 0;
    for kind in every_kind() {
        let (state, todo) = setting(kind);
        let mut clean = Desk::new(state.clone());
        clean.settle(todo.clone(), &mut NEVER.clone()).await;
        let wanted = {
            clean.fake.clock.to(clean.now().plus(LATER_MS));
            clean.fake.now().shape()
        };
        for n in 1.. {
            let mut polls = n;
            let mut desk = Desk::new(state.clone());
            let end = desk.settle(todo.clone(), &mut polls).await;
            assert!(
                matches!(end, End::Settled(_) | End::Found(..)),
                "{kind}, death at {n}: {end:?}"
            );
            assert_eq!(desk.fake.lock().trespasses, 0, "{kind}, death at {n}");
            if kind == Kind::WipeDevice {
                let wipes = desk.writes().iter().filter(|w| w.starts_with("Wipe")).count();
                assert_eq!(wipes, 1, "death at {n}: {:?}", desk.writes());
            }
            let once = [
                Kind::RunIrreversibleScript,
                Kind::RunManagedScript,
                Kind::Decommission,
                Kind::TransferFiles,
                Kind::OpenTicket,
                Kind::NoteAccess,
                Kind::AttachEvidence,
                Kind::NoteEnding,
            ];
            if once.contains(&kind) {
                assert_eq!(desk.writes().len(), 1, "death at {n}: {:?}", desk.writes());
            }
            if kind == Kind::ArchiveMailbox {
                let kept = crate::attempts::archive::kept(&desk, &end).await;
                assert_eq!(kept, crate::attempts::archive::wanted(&state), "death at {n}");
            }
            desk.fake.clock.to(desk.now().plus(LATER_MS));
            assert_eq!(desk.fake.now().shape(), wanted, "{kind}, death at {n}");
            if polls != 0 {
                // It ended before it could die: every await has been tried.
                assert!(n > 2, "{kind} has awaits");
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 300, "only {deaths} awaits were tried");
}
