//! Rows that remember what they were a moment ago.
//!
//! The vendor's directory is a set of replicas. A read is served by one that
//! lags by some seconds, and the next read may go to an older one. Here every
//! row keeps its former values for as long as the longest lag, and a read says
//! *as of when* it looks. Writes always meet the truth: the second deletion of
//! a member answers 404 even while reads still show him.

use std::collections::BTreeMap;

/// A table of rows by identifier.
#[derive(Debug, Clone)]
pub struct Table<T> {
    rows: BTreeMap<String, Row<T>>,
    keep_ms: i64,
}

#[derive(Debug, Clone)]
struct Row<T> {
    now: Option<T>,
    /// Former values and the time until which each was the truth, oldest first.
    past: Vec<(i64, Option<T>)>,
}

impl<T: Clone> Table<T> {
    pub(crate) fn new(keep_ms: i64) -> Self {
        Self {
            rows: BTreeMap::new(),
            keep_ms,
        }
    }

    /// Remembers former values for this long from now on.
    pub(crate) fn keep(&mut self, keep_ms: i64) {
        self.keep_ms = keep_ms;
    }

    /// The row as it truly is.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id)?.now.as_ref()
    }

    /// The row as it was at `as_of` (the truth, if that is later than the last write).
    #[must_use]
    pub fn at(&self, id: &str, as_of: i64) -> Option<&T> {
        self.rows.get(id)?.at(as_of)
    }

    /// All rows as they truly are, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.rows
            .iter()
            .filter_map(|(id, row)| Some((id.as_str(), row.now.as_ref()?)))
    }

    /// All rows as they were at `as_of`, by identifier.
    pub fn iter_at(&self, as_of: i64) -> impl Iterator<Item = (&str, &T)> {
        self.rows
            .iter()
            .filter_map(move |(id, row)| Some((id.as_str(), row.at(as_of)?)))
    }

    /// How many rows there truly are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row for changing; what it was stays readable for lagging replicas.
    pub fn edit(&mut self, id: &str, now: i64) -> Option<&mut T> {
        let keep_from = now.saturating_sub(self.keep_ms);
        let row = self.rows.get_mut(id)?;
        row.remember(now, keep_from);
        row.now.as_mut()
    }

    /// The row for changing what no replica need remember.
    pub fn edit_silently(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(id)?.now.as_mut()
    }

    /// Adds or replaces a row.
    pub fn put(&mut self, id: &str, now: i64, value: T) {
        let keep_from = now.saturating_sub(self.keep_ms);
        let row = self.rows.entry(id.to_owned()).or_insert_with(|| Row {
            now: None,
            past: Vec::new(),
        });
        row.remember(now, keep_from);
        row.now = Some(value);
    }

    /// Adds a row that has been there since ever.
    pub fn found(&mut self, id: &str, value: T) {
        self.rows.insert(
            id.to_owned(),
            Row {
                now: Some(value),
                past: Vec::new(),
            },
        );
    }

    /// Takes a row away; lagging replicas still show it.
    pub fn remove(&mut self, id: &str, now: i64) -> Option<T> {
        let keep_from = now.saturating_sub(self.keep_ms);
        let row = self.rows.get_mut(id)?;
        row.remember(now, keep_from);
        row.now.take()
    }
}

impl<T: Clone> Row<T> {
    fn at(&self, as_of: i64) -> Option<&T> {
        self.past
            .iter()
            .find(|(until, _)| as_of < *until)
            .map_or(self.now.as_ref(), |(_, was)| was.as_ref())
    }

    fn remember(&mut self, now: i64, keep_from: i64) {
        self.past.retain(|(until, _)| *until >= keep_from);
        self.past.push((now, self.now.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_lagging_read_sees_what_was_and_a_late_one_the_truth() {
        let mut table = Table::new(10_000);
        table.found("a", 1);
        if let Some(row) = table.edit("a", 1_000) {
            *row = 2;
        }
        table.remove("a", 2_000);
        assert_eq!(table.at("a", 999), Some(&1));
        assert_eq!(table.at("a", 1_000), Some(&2));
        assert_eq!(table.at("a", 2_000), None);
        assert_eq!(table.get("a"), None);
        assert_eq!(table.iter_at(1_500).count(), 1);
    }
}
