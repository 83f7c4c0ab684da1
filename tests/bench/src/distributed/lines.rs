//! How the bench and its children speak: one order or one word a line. The
//! bench orders departures (`open <first> <count>`), a child says that it is
//! ready and how many are done. It is the same for every contestant, so that
//! what it costs cancels out.

use crate::embedded::Failed;
use std::io::{BufRead as _, Write as _};
use tokio::sync::mpsc;

/// Departures to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    /// The number of the first.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
    /// Of which tenant; none: of all in turn.
    pub(crate) tenant: Option<usize>,
}

impl Order {
    /// As a line.
    pub(crate) fn line(self) -> String {
        let Self { first, count, tenant } = self;
        match tenant {
            None => format!("open {first} {count}\n"),
            Some(tenant) => format!("open {first} {count} {tenant}\n"),
        }
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("open ")?.split(' ').map(str::parse);
        let mut next = || words.next()?.ok();
        Some(Self {
            first: next()?,
            count: next()?,
            tenant: next(),
        })
    }
}

/// The orders that come in; the channel ends when the bench says no more.
pub(crate) fn orders() -> mpsc::UnboundedReceiver<Order> {
    let (send, receive) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            let Some(order) = Order::read(&line) else {
                tracing::error!(line, "not an order");
                return;
            };
            if send.send(order).is_err() {
                return;
            }
        }
    });
    receive
}

/// Says a word to the bench, at once.
pub(crate) fn say(word: &str) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_as_it_was_written() {
        for tenant in [None, Some(7)] {
            let order = Order {
                first: 3,
                count: 128,
                tenant,
            };
            assert_eq!(Order::read(order.line().trim_end()), Some(order));
        }
        assert_eq!(Order::read("open x"), None);
    }
}
