//! Counts the open cases of a dispatcher as they change, so that how many
//! there are of each tenant and state costs no walk over all of them.

use super::metrics::{access_ends, access_is_open, manner_word};
use offboard_domain::{Case, CaseId, Effect, Next, TenantId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for credit to assign its next task.
const CREDIT: &str = "credit";
/// Waits for a person.
const PERSON: &str = "person";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    tenant: TenantId,
    state: &'static str,
    /// Since when it waits for credit.
    credit: Option<Timestamp>,
    /// Since when a person is needed.
    person: Option<Timestamp>,
    /// From when on access must be gone that is open, and how he leaves.
    open: Option<(&'static str, Timestamp)>,
}

#[derive(Debug, Default)]
struct Rows {
    by_case: BTreeMap<CaseId, Row>,
    by_state: BTreeMap<(TenantId, &'static str), u64>,
    need_person: BTreeMap<TenantId, u64>,
    credit: BTreeSet<(Timestamp, CaseId)>,
    person: BTreeSet<(Timestamp, CaseId)>,
    open: BTreeMap<(TenantId, &'static str), BTreeSet<(Timestamp, CaseId)>>,
}

/// The open cases.
#[derive(Debug, Default)]
pub struct Census(Mutex<Rows>);

/// What the census counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counted {
    /// Open cases by tenant and state.
    pub cases: BTreeMap<(String, &'static str), u64>,
    /// Open cases that need a person, by tenant.
    pub need_person: BTreeMap<String, u64>,
    /// How long the oldest has waited, in seconds, by what for.
    pub oldest_waiting_s: BTreeMap<&'static str, f64>,
    /// How long access has been open past its time in the case in which it has been so
    /// longest, in seconds, by tenant and manner; where it has.
    pub access_open_s: BTreeMap<(String, &'static str), f64>,
}

impl Census {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A case stands so now, and this comes next of it.
    pub fn note(&self, case: &Case, next: &Next) {
        let mut rows = self.rows();
        let old = rows.take(case.id);
        if case.is_at_rest() {
            return;
        }
        let assigns = next.effects.iter().any(|e| matches!(e, Effect::Assign(..)));
        let since = |waits: bool, old: Option<Timestamp>| waits.then(|| old.unwrap_or(case.changed_at));
        let row = Row {
            tenant: case.departure.tenant.clone(),
            state: case.state.word(),
            credit: since(assigns, old.as_ref().and_then(|o| o.credit)),
            person: since(next.needs_person, old.as_ref().and_then(|o| o.person)),
            open: access_is_open(case).then(|| (manner_word(case), access_ends(case))),
        };
        rows.put(case.id, row);
    }

    /// A case is no longer held here.
    pub fn forget(&self, case: CaseId) {
        self.rows().take(case);
    }

    /// Counts.
    #[must_use]
    pub fn count(&self, now: Timestamp) -> Counted {
        let rows = self.rows();
        let oldest = |since: &BTreeSet<(Timestamp, CaseId)>| {
            since
                .first()
                .map_or(0.0, |(at, _)| now.since(*at).max(0) as f64 / 1_000.0)
        };
        let open = rows
            .open
            .iter()
            .map(|((t, m), since)| ((t.to_string(), *m), oldest(since)));
        Counted {
            cases: rows
                .by_state
                .iter()
                .map(|((t, s), n)| ((t.to_string(), *s), *n))
                .collect(),
            need_person: rows.need_person.iter().map(|(t, n)| (t.to_string(), *n)).collect(),
            oldest_waiting_s: [(CREDIT, oldest(&rows.credit)), (PERSON, oldest(&rows.person))].into(),
            access_open_s: open.filter(|(_, age_s)| *age_s > 0.0).collect(),
        }
    }
}

impl Rows {
    fn take(&mut self, case: CaseId) -> Option<Row> {
        let row = self.by_case.remove(&case)?;
        less(&mut self.by_state, &(row.tenant.clone(), row.state));
        if let Some(since) = row.credit {
            self.credit.remove(&(since, case));
        }
        if let Some(since) = row.person {
            self.person.remove(&(since, case));
            less(&mut self.need_person, &row.tenant);
        }
        if let Some((manner, at)) = row.open {
            let key = (row.tenant.clone(), manner);
            if let Some(open) = self.open.get_mut(&key) {
                open.remove(&(at, case));
                if open.is_empty() {
                    self.open.remove(&key);
                }
            }
        }
        Some(row)
    }

    fn put(&mut self, case: CaseId, row: Row) {
        *self.by_state.entry((row.tenant.clone(), row.state)).or_default() += 1;
        if let Some(since) = row.credit {
            self.credit.insert((since, case));
        }
        if let Some(since) = row.person {
            self.person.insert((since, case));
            *self.need_person.entry(row.tenant.clone()).or_default() += 1;
        }
        if let Some((manner, at)) = row.open {
            let open = self.open.entry((row.tenant.clone(), manner)).or_default();
            open.insert((at, case));
        }
        self.by_case.insert(case, row);
    }
}

fn less<K: Ord>(counts: &mut BTreeMap<K, u64>, key: &K) {
    if let Some(n) = counts.get_mut(key) {
        *n = n.saturating_sub(1);
        if *n == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tenant: &str, state: &'static str, credit: Option<i64>, person: Option<i64>) -> Row {
        Row {
            tenant: TenantId::new(tenant).unwrap(),
            state,
            credit: credit.map(Timestamp),
            person: person.map(Timestamp),
            open: None,
        }
    }

    fn open(tenant: &str, manner: &'static str, at: i64) -> Row {
        Row {
            open: Some((manner, Timestamp(at))),
            ..row(tenant, "active", None, None)
        }
    }

    #[test]
    fn it_counts_what_is_there_and_nothing_else() {
        let census = Census::default();
        let id = |n| CaseId([n; 10]);
        {
            let mut rows = census.rows();
            rows.put(id(1), row("acme", "active", Some(5_000), None));
            rows.put(id(2), row("acme", "active", Some(9_000), Some(1_000)));
            rows.put(id(3), row("zeta", "received", None, None));
        }
        let counted = census.count(Timestamp(11_000));
        assert_eq!(counted.cases[&("acme".to_owned(), "active")], 2);
        assert_eq!(counted.cases[&("zeta".to_owned(), "received")], 1);
        assert_eq!(counted.need_person, [("acme".to_owned(), 1)].into());
        assert_eq!(counted.oldest_waiting_s, [(CREDIT, 6.0), (PERSON, 10.0)].into());
        for n in 1..=3 {
            census.forget(id(n));
        }
        let nothing = Counted {
            oldest_waiting_s: [(CREDIT, 0.0), (PERSON, 0.0)].into(),
            ..Counted::default()
        };
        assert_eq!(census.count(Timestamp(11_000)), nothing);
        assert!(census.rows().by_case.is_empty());
    }

    #[test]
    fn whose_access_is_open_longest_past_its_time_is_told_of_each_tenant() {
        let census = Census::default();
        let id = |n| CaseId([n; 10]);
        {
            let mut rows = census.rows();
            rows.put(id(1), open("acme", "immediate", 4_000));
            rows.put(id(2), open("acme", "immediate", 1_000));
            rows.put(id(3), open("acme", "planned", 2_000));
            rows.put(id(4), open("acme", "planned", 3_000));
            rows.put(id(5), open("zeta", "planned", 20_000));
        }
        let open = |at| census.count(Timestamp(at)).access_open_s;
        let acme = |manner| ("acme".to_owned(), manner);
        let both = [(acme("immediate"), 10.0), (acme("planned"), 9.0)];
        assert_eq!(open(11_000), both.into(), "zeta's has time");
        assert_eq!(open(21_000)[&("zeta".to_owned(), "planned")], 1.0);
        census.forget(id(2));
        census.forget(id(3));
        assert_eq!(open(11_000)[&acme("immediate")], 7.0);
        assert_eq!(open(11_000)[&acme("planned")], 8.0);
        for n in 1..=5 {
            census.forget(id(n));
        }
        assert!(census.rows().open.is_empty());
    }
}
