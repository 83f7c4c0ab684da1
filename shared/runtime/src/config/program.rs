//! A program of the MSP's own, `kind = "program"` in a tenant's file.
//!
//! The command is a list, never a line: nothing here or later splits it, and no
//! shell reads it, so that nothing that a program is told can become a command.

use super::reader::{Section, Value};
use super::secret_ref::{self, SecretRef};
use offboard_domain::catalogue::script::SCRIPT_TIMEOUT_MAX_MS;
use offboard_domain::time::{MINUTE_MS, SECOND_MS};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A program that is started for each reading and each order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramConfig {
    /// The program's absolute path, then its arguments, each as it is given to
    /// the program.
    pub command: Vec<String>,
    /// The folder in which it runs; none: the root.
    pub folder: Option<PathBuf>,
    /// How long one run may take, in milliseconds.
    pub timeout_ms: i64,
    /// How much it may write to standard output in one run, in bytes.
    pub max_output_bytes: usize,
    /// Its whole environment: where the value of each variable is.
    pub environment: BTreeMap<String, SecretRef>,
    /// Whether what it does cannot be undone.
    pub irreversible: bool,
}

/// How long one run may take unless it is said.
const TIMEOUT_MS: i64 = 30 * SECOND_MS;
/// How much one run may write unless it is said: an answer is a few lines.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;
/// The least and the most that may be said instead.
const MAX_OUTPUT_BETWEEN: (u32, u32) = (1024, 1024 * 1024);
/// Most words of a command, and the longest, in bytes: far above any that a
/// person writes, and far below what the system takes.
const WORDS_MAX: usize = 64;
const WORD_MAX_BYTES: usize = 4096;

const COMMAND: &str = "a list: the program's absolute path, then each argument by itself, such as [\"/opt/msp/offboard-vpn\", \"--tenant\", \"contoso\"]";

pub(super) fn read(section: &mut Section<'_>, dir: &Path) -> Option<ProgramConfig> {
    let command = section.require("command", COMMAND).and_then(|v| command(&v));
    let folder = section.get("folder").and_then(|v| v.filled()).map(PathBuf::from);
    if folder.as_ref().is_some_and(|f| !f.is_absolute()) {
        section.wrong("'folder' must be an absolute path, such as \"/opt/msp\"");
    }
    let timeout_ms = section.get("timeout").map_or(Some(TIMEOUT_MS), |v| timeout(&v));
    let (least, most) = MAX_OUTPUT_BETWEEN;
    let max_output_bytes = section
        .get("max_output")
        .map_or(Some(MAX_OUTPUT_BYTES), |v| Some(v.integer(least, most)? as usize));
    let irreversible = section.get("irreversible").map_or(Some(false), |v| v.bool());
    let environment = environment(&section.section("environment"), dir);
    Some(ProgramConfig {
        command: command?,
        folder: folder.filter(|f| f.is_absolute()),
        timeout_ms: timeout_ms?,
        max_output_bytes: max_output_bytes?,
        environment: environment?,
        irreversible: irreversible?,
    })
}

/// What stands in a command is not repeated in a message: somebody may have
/// written a password there.
fn command(value: &Value<'_>) -> Option<Vec<String>> {
    if value.is_text() {
        value.wrong(format!(
            "expected {COMMAND}; got one text, which nothing would split into words, because no shell is ever asked"
        ));
        return None;
    }
    let given = value.list();
    let words: Vec<String> = given.iter().filter_map(Value::text).collect();
    if words.len() < given.len() {
        return None;
    }
    let Some(program) = words.first() else {
        value.wrong(format!("expected {COMMAND}; got nothing"));
        return None;
    };
    if !Path::new(program).is_absolute() {
        value.wrong(format!(
            "expected {COMMAND}; the first word is no absolute path, and none is searched for"
        ));
        return None;
    }
    let fine = |w: &String| w.len() <= WORD_MAX_BYTES && !w.contains('\0');
    if words.len() > WORDS_MAX || !words.iter().all(fine) {
        value.wrong(format!(
            "expected at most {WORDS_MAX} words of at most {WORD_MAX_BYTES} bytes, none with a zero byte in it"
        ));
        return None;
    }
    Some(words)
}

fn timeout(value: &Value<'_>) -> Option<i64> {
    const HOUR_MS: i64 = 60 * MINUTE_MS;
    let ms = value.duration_ms(HOUR_MS)?;
    if !(SECOND_MS..=SCRIPT_TIMEOUT_MAX_MS).contains(&ms) {
        value.expected(
            "a length of time from \"1s\" to \"1m\": what takes longer is begun by one run, and looked at by others",
        );
        return None;
    }
    Some(ms)
}

fn environment(section: &Section<'_>, dir: &Path) -> Option<BTreeMap<String, SecretRef>> {
    let entries = section.entries();
    let named = entries.len();
    let mut found = BTreeMap::new();
    for (name, value) in entries {
        let fine = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fine {
            value.wrong("a variable's name is made of A-Z, 0-9 and '_', and does not begin with a digit");
            continue;
        }
        if let Some(from) = secret_ref::read(&value, dir) {
            found.insert(name.to_owned(), from);
        }
    }
    (found.len() == named).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::super::{SystemKind, parse_tenant};
    use super::*;
    use offboard_domain::{System, TenantId};

    /// What a tenant with a program of these lines comes to, and what is wrong.
    fn with(lines: &str) -> (Option<ProgramConfig>, String) {
        let text = format!("name = \"F\"\ntime_zone = \"Europe/Berlin\"\n[systems.vpn]\nkind = \"program\"\n{lines}\n");
        let id = TenantId::new("fabrikam").unwrap();
        let (tenant, found) = parse_tenant(Path::new("fabrikam.toml"), &text, id, Path::new("/w"));
        let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        let system = tenant.and_then(|mut t| t.systems.remove(&System::new("vpn").unwrap()));
        let config = system.map(|s| match s.kind {
            SystemKind::Program(config) => config,
            other => panic!("{other:?}"),
        });
        (config, problems.join(" | "))
    }

    #[test]
    fn a_program_with_everything_and_with_nothing_but_its_command() {
        let (config, problems) = with("command = [\"/opt/msp/offboard-vpn\"]");
        assert_eq!(problems, "");
        assert_eq!(
            config.unwrap(),
            ProgramConfig {
                command: vec!["/opt/msp/offboard-vpn".into()],
                folder: None,
                timeout_ms: 30_000,
                max_output_bytes: 65_536,
                environment: BTreeMap::new(),
                irreversible: false,
            }
        );
        let (config, problems) = with(
            "command = [\"/opt/msp/vpn\", \"--tenant\", \"a b; $(c)\", \"\"]\nfolder = \"/opt/msp\"\ntimeout = \"45s\"\nmax_output = 4096\nirreversible = true\n\
             [systems.vpn.environment]\nVPN_TOKEN = { env = \"FABRIKAM_VPN\" }\nHOME = { file = \"home\" }",
        );
        assert_eq!(problems, "");
        let config = config.unwrap();
        assert_eq!(config.command, ["/opt/msp/vpn", "--tenant", "a b; $(c)", ""]);
        assert_eq!(config.folder.as_deref(), Some(Path::new("/opt/msp")));
        assert_eq!((config.timeout_ms, config.max_output_bytes), (45_000, 4096));
        assert!(config.irreversible);
        assert_eq!(config.environment["HOME"], SecretRef::File("/w/home".into()));
        assert_eq!(config.environment["VPN_TOKEN"], SecretRef::Env("FABRIKAM_VPN".into()));
    }

    #[test]
    fn a_line_for_a_shell_and_other_mistakes_are_refused_and_not_repeated() {
        let fine = "command = [\"/opt/msp/vpn\"]\n";
        let many = vec!["\"x\""; WORDS_MAX].join(", ");
        for (lines, expected) in [
            (
                "command = \"/opt/msp/vpn --token hunter2\"".to_owned(),
                "no shell is ever asked",
            ),
            ("command = [\"vpn\", \"hunter2\"]".to_owned(), "no absolute path"),
            ("command = []".to_owned(), "got nothing"),
            ("command = [\"/vpn\", 3]".to_owned(), "expected a text"),
            ("command = [\"/vpn\\u0000\"]".to_owned(), "zero byte"),
            (format!("command = [\"/vpn\", {many}]"), "at most 64 words"),
            (String::new(), "systems.vpn.command: missing"),
            (format!("{fine}folder = \"here\""), "absolute path"),
            (format!("{fine}timeout = \"2m\""), "from \"1s\" to \"1m\""),
            (format!("{fine}timeout = \"10ms\""), "from \"1s\" to \"1m\""),
            (format!("{fine}max_output = 10"), "from 1024 to 1048576"),
            (format!("{fine}irreversible = \"yes\""), "true or false"),
            (format!("{fine}shell = \"/bin/sh\""), "unknown key"),
            (
                format!("{fine}[systems.vpn.environment]\nTOKEN = \"hunter2\""),
                "a literal secret",
            ),
            (
                format!("{fine}[systems.vpn.environment]\n\"A=B\" = {{ env = \"A\" }}"),
                "a variable's name",
            ),
        ] {
            let (_, problems) = with(&lines);
            assert!(problems.contains(expected), "{lines}: {problems}");
            assert!(!problems.contains("hunter2"), "{problems}");
        }
    }
}
