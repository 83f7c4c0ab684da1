//! What a worker does: read, write if it may, read again, answer.

use crate::history::{Mode, Order, Report, Said, Task};
use crate::state::{Fault, Message, Stage, State, Worker};
use crate::{Mutation, Protocol};

impl Protocol {
    pub(crate) fn start(&self, s: &mut State, message: Message) {
        s.remove(message);
        let Message::Order { order, redelivered } = message else {
            return;
        };
        let careful = order.is_once() && !self.is(Mutation::AckAfterApply);
        let shows = s.world.shows(order.task);
        let said = match (order.task, order.mode) {
            _ if careful && redelivered && !self.is(Mutation::CarriesOutRedelivered) => Said::DeliveredBefore,
            (Task::Check, _) => Said::Checked(s.world.reading()),
            (_, Mode::Full) if shows => Said::Satisfied { shown: true },
            (_, Mode::Full) => {
                s.workers.push(Worker {
                    order,
                    acknowledged: careful,
                    stage: Stage::Read,
                });
                return;
            }
            (_, Mode::ObserveOnly) => match (shows, s.world.wipes) {
                (true, _) => Said::Happened,
                (false, 0) => Said::DidNotHappen,
                (false, _) => Said::Inconclusive,
            },
        };
        self.answer(s, order, said);
    }

    pub(crate) fn write(&self, s: &mut State, w: usize, fault: Option<Fault>) {
        s.workers[w].stage = Stage::Written;
        match s.workers[w].order.task {
            _ if fault == Some(Fault::WriteSwallowed) => {}
            Task::Disable => {
                s.world.writes += u8::from(!s.world.disabled);
                s.world.disabled = true;
            }
            Task::Wipe => {
                s.world.wipes += 1;
                s.world.wipe_shows = fault != Some(Fault::ReadingLags);
                s.broken.order |= !s.world.proven;
            }
            Task::Check => {}
        }
    }

    pub(crate) fn answer(&self, s: &mut State, order: Order, said: Said) {
        if order.task == Task::Disable {
            s.world.proven |= said == (Said::Satisfied { shown: true });
        }
        s.queue.push(Message::Report(Report {
            order,
            said,
            losses: s.ledger.losses(),
        }));
    }
}
