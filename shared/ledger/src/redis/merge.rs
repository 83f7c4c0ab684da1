//! Answers that several shards give together. Whoever asks for a shard of the
//! installation asks one; an operator's view asks all, and so does whoever
//! counts in other shards than the installation does.

use super::query::{self, SLICE};
use super::{DUE, LIST, RedisLedger};
use crate::{Due, Filter, IndexEntry, LedgerError, Shard};
use futures::future::try_join_all;
use offboard_domain::Timestamp;
use std::collections::VecDeque;

/// The shards of the installation in which tenants of `shard` are.
fn shards(ledger: &RedisLedger, shard: Shard) -> Vec<u16> {
    let ours = ledger.of();
    let (index, of) = (shard.index, shard.of.max(1));
    if of.is_multiple_of(ours) {
        vec![index % ours]
    } else if ours.is_multiple_of(of) {
        (0..ours).filter(|n| n % of == index).collect()
    } else {
        (0..ours).collect()
    }
}

pub(super) async fn due(
    ledger: &RedisLedger,
    shard: Shard,
    now: Timestamp,
    limit: usize,
) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
    let asked = shards(ledger, shard).into_iter();
    let answers = try_join_all(asked.map(|n| due_of_one(ledger, n, shard, now, limit))).await?;
    let mut next: Option<Timestamp> = None;
    let mut earliest = |at: Option<Timestamp>| next = [next, at].into_iter().flatten().min();
    let mut all: Vec<Due> = Vec::new();
    for (due, after) in answers {
        all.extend(due);
        earliest(after);
    }
    all.sort_by(|a, b| (a.wake.at, a.case, &a.tenant).cmp(&(b.wake.at, b.case, &b.tenant)));
    earliest(all.get(limit).map(|d| d.wake.at));
    all.truncate(limit);
    Ok((all, next))
}

/// What is due in one shard of the installation, of those tenants alone that
/// are of the shard that was asked for.
async fn due_of_one(
    ledger: &RedisLedger,
    n: u16,
    shard: Shard,
    now: Timestamp,
    limit: usize,
) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
    let keys = ledger.shard(n);
    let mut due: Vec<Due> = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    let mut end = now;
    loop {
        // One more than wanted, which says when the next is.
        let most = limit.saturating_add(1).saturating_sub(due.len()).min(SLICE);
        let call = query::due_call(keys, after.as_deref(), end, most);
        let page = ledger.call(DUE, n, &call, query::due_page).await?;
        let full = page.due.len() == most;
        due.extend(page.due.into_iter().filter(|d| shard.holds(&d.tenant)));
        let ready = due.iter().take_while(|d| d.wake.at <= now).count().min(limit);
        if let Some(next) = due.get(ready).map(|d| d.wake.at) {
            due.truncate(ready);
            return Ok((due, Some(next)));
        }
        match (full, page.next) {
            (true, _) => {}
            (false, None) => return Ok((due, None)),
            // All tenants of this shard are wanted: the next is theirs.
            (false, Some(next)) if ledger.of().is_multiple_of(shard.of.max(1)) => return Ok((due, Some(next))),
            // The next may be another's: look on behind the time that was asked for.
            (false, Some(_)) => end = Timestamp(i64::MAX),
        }
        after = page.last.or(after);
    }
}

pub(super) async fn list(ledger: &RedisLedger, filter: &Filter) -> Result<Vec<IndexEntry>, LedgerError> {
    let asked = match (&filter.tenant, filter.shard) {
        (Some(tenant), Some(shard)) if !shard.holds(tenant) => Vec::new(),
        (Some(tenant), _) => vec![ledger.shard_of(tenant)],
        (None, Some(shard)) => shards(ledger, shard),
        (None, None) => (0..ledger.of()).collect(),
    };
    let after = match (&filter.after, &filter.tenant) {
        (Some((last, _)), Some(tenant)) if last > tenant => return Ok(Vec::new()),
        (Some((last, _)), Some(tenant)) if last < tenant => None,
        (after, _) => after
            .as_ref()
            .map(|(tenant, case)| super::row::case_field(tenant, *case)),
    };
    let mut streams: Vec<Stream> = asked.into_iter().map(|n| Stream::new(n, after.clone())).collect();
    let mut entries: Vec<IndexEntry> = Vec::new();
    let mut chunk = filter.limit / streams.len().max(1) + 1;
    while entries.len() < filter.limit {
        let dry = streams.iter_mut().filter(|s| s.is_dry());
        try_join_all(dry.map(|s| s.fill(ledger, filter, chunk))).await?;
        chunk = (filter.limit - entries.len()).min(SLICE);
        // Nobody is dry now; the lowest field is the next.
        let next = streams
            .iter_mut()
            .filter(|s| !s.buffer.is_empty())
            .min_by(|a, b| a.first().cmp(&b.first()));
        let Some(entry) = next.and_then(|s| s.buffer.pop_front()).map(|(_, entry)| entry) else {
            break;
        };
        if filter.shard.is_none_or(|s| s.holds(&entry.tenant)) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The cases of one shard of the installation, in order.
struct Stream {
    shard: u16,
    buffer: VecDeque<(Vec<u8>, IndexEntry)>,
    after: Option<Vec<u8>>,
    ended: bool,
}

impl Stream {
    fn new(shard: u16, after: Option<Vec<u8>>) -> Self {
        Self {
            shard,
            buffer: VecDeque::new(),
            after,
            ended: false,
        }
    }

    fn is_dry(&self) -> bool {
        self.buffer.is_empty() && !self.ended
    }

    fn first(&self) -> Option<&[u8]> {
        self.buffer.front().map(|(field, _)| field.as_slice())
    }

    async fn fill(&mut self, ledger: &RedisLedger, filter: &Filter, most: usize) -> Result<(), LedgerError> {
        let most = most.clamp(1, SLICE);
        let (keys, after) = (ledger.shard(self.shard), self.after.as_deref());
        let call = query::list_call(keys, filter.tenant.as_ref(), after, filter.open_only, most);
        let page = ledger
            .call(LIST, self.shard, &call, |said| query::list_page(most, said))
            .await?;
        self.ended = page.len() < most;
        self.after = page.last().map(|(field, _)| field.clone()).or(self.after.take());
        self.buffer.extend(page);
        Ok(())
    }
}
