//! What the `csv` crate does not tell of a table's text: the sign that a
//! spreadsheet announces, the lines, and the quotes that are wrong. A lenient
//! reader makes something of every quote; here, what it makes is other people.

/// Spreadsheets write `sep=;` as a line of its own before the table.
pub(super) fn skip_sep_line(text: &str) -> (&str, Option<u8>) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim_end_matches('\r').trim_matches('"');
    match first.to_ascii_lowercase().strip_prefix("sep=").map(str::as_bytes) {
        Some([sign]) if sign.is_ascii() => (rest, Some(*sign)),
        _ => (text, None),
    }
}

/// A quote that opens a cell and does not end with it.
pub(super) struct BadQuote {
    /// Where it opens.
    pub(super) opened: usize,
    /// Where it closes, in the middle of a cell; none: nowhere.
    pub(super) closed: Option<usize>,
}

/// Finds quotes that were forgotten or not written twice. To a lenient reader
/// they look like cells that contain the rows after them: people would be lost.
pub(super) fn bad_quotes(text: &str, delimiter: u8) -> Vec<BadQuote> {
    let bytes = text.as_bytes();
    let mut bad = Vec::new();
    let mut cell_starts = true;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'"' if cell_starts => {
                let opened = i;
                i += 1;
                loop {
                    match (bytes.get(i), bytes.get(i + 1)) {
                        (None, _) => {
                            bad.push(BadQuote { opened, closed: None });
                            return bad;
                        }
                        (Some(b'"'), Some(b'"')) => i += 2,
                        (Some(b'"'), next) => {
                            if next.is_some_and(|b| *b != delimiter && !matches!(b, b'\n' | b'\r')) {
                                bad.push(BadQuote {
                                    opened,
                                    closed: Some(i),
                                });
                            }
                            break;
                        }
                        (Some(_), _) => i += 1,
                    }
                }
                cell_starts = false;
            }
            b => cell_starts = b == delimiter || b == b'\n' || b == b'\r',
        }
        i += 1;
    }
    bad
}

/// Counts lines up to places that mostly come in order.
pub(super) struct Lines<'t> {
    bytes: &'t [u8],
    place: usize,
    line: u64,
    first: u64,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str, first: u64) -> Self {
        Self {
            bytes: text.as_bytes(),
            place: 0,
            line: first,
            first,
        }
    }

    /// The line of a place; of empty lines at the place, the one after them.
    pub(super) fn at(&mut self, place: usize) -> u64 {
        let mut end = place.min(self.bytes.len());
        while self.bytes.get(end).is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            end += 1;
        }
        if end < self.place {
            (self.place, self.line) = (0, self.first);
        }
        for i in self.place..end {
            let ends = match self.bytes[i] {
                b'\n' => true,
                b'\r' => self.bytes.get(i + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
        }
        self.place = end;
        self.line
    }
}
