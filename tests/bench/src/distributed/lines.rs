//! How the bench and its children speak: one order or one word a line. The
//! bench orders departures (`open <first> <count>`), a child says that it is
//! ready and how many are done. It is the same for every contestant, so that
//! what it costs cancels out.

use crate::embedded::Failed;
use std::io::{BufRead as _, Write as _};
use tokio::sync::mpsc;

/// Departures to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Order {
    /// The number of the first.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
    /// Of which tenant; none: of all in turn.
    pub(crate) tenant: Option<usize>,
    /// Whether they are planned ones; else they are immediate.
    pub(crate) planned: bool,
    /// Whether the bench is to be told when all are accepted and, of a single
    /// one, when the access is cut.
    pub(crate) told: bool,
}

impl Order {
    /// Of every tenant in turn, immediate, and nobody is told.
    pub(crate) fn of(first: usize, count: usize) -> Self {
        Self {
            first,
            count,
            ..Self::default()
        }
    }

    /// As a line.
    pub(crate) fn line(self) -> String {
        let mut line = format!("open {} {}", self.first, self.count);
        if let Some(tenant) = self.tenant {
            line += &format!(" of={tenant}");
        }
        if self.planned {
            line += " planned";
        }
        if self.told {
            line += " told";
        }
        line + "\n"
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("open ")?.split(' ');
        let mut number = || words.next()?.parse().ok();
        let mut order = Self::of(number()?, number()?);
        for word in words {
            match word {
                "planned" => order.planned = true,
                "told" => order.told = true,
                other => order.tenant = Some(other.strip_prefix("of=")?.parse().ok()?),
            }
        }
        Some(order)
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
        let whole = Order {
            tenant: Some(7),
            planned: true,
            told: true,
            ..Order::of(3, 128)
        };
        for order in [Order::of(3, 128), whole] {
            assert_eq!(Order::read(order.line().trim_end()), Some(order));
        }
        for none in ["open x", "open 1", "open 1 2 later"] {
            assert_eq!(Order::read(none), None);
        }
    }
}
