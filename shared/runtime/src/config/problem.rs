//! What is wrong with a configuration: everything at once, each with its
//! place, so that one look at the output mends the file.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong: where, and what was expected instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; none if it concerns the file as a whole.
    pub line: Option<usize>,
    /// The key with its section, such as `policy.approvals.plan`.
    pub key: Option<String>,
    /// What is wrong and what was expected. Never a secret's text.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// All that is wrong with a configuration, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "failed to load the configuration: {one}"),
            many => {
                write!(f, "failed to load the configuration: {} mistakes", many.len())?;
                for problem in many {
                    write!(f, "\n  {problem}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// How alike two words must be (Jaro-Winkler, 0 to 1) before one is suggested
/// for the other: `hold_dayz` finds `hold_days`, `foo` finds nothing.
const ALIKE: f64 = 0.8;

/// The known word that is most like the given one, if any is like it at all.
#[must_use]
pub fn did_you_mean<'w>(given: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let given = given.to_lowercase();
    let likeness = |word: &str| {
        let word = word.to_lowercase();
        let one_slip = given.len() > 2 && strsim::osa_distance(&given, &word) == 1;
        strsim::jaro_winkler(&given, &word).max(if one_slip { ALIKE } else { 0.0 })
    };
    known
        .into_iter()
        .map(|word| (likeness(word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
