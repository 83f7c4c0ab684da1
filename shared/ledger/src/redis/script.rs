//! The scripts, and one call of one of them. A script is known to the store
//! by its digest, so those of two versions stand beside each other.

use std::sync::LazyLock;

/// A script and its digest.
#[derive(Debug)]
pub(super) struct Script {
    source: &'static str,
    digest: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+),* $(,)?) => {
        $(
            pub(super) static $name: Script = Script {
                source: concat!($(include_str!(concat!("scripts/", $file, ".lua"))),+),
                digest: LazyLock::new(|| redis::Script::new($name.source).get_hash().to_owned()),
            };
        )*
    };
}

scripts! {
    APPEND = "whole" "append",
    READ = "whole" "read",
    DUE = "due",
    LIST = "list",
    GATES = "gates",
    OWN = "own",
    INSTALLATION = "installation",
    RIGHTS = "rights",
}

/// A call: the script, its keys and its arguments.
#[derive(Debug)]
pub(super) struct Call {
    script: &'static Script,
    keys: usize,
    words: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: &'static Script, keys: &[&str]) -> Self {
        Self {
            script,
            keys: keys.len(),
            words: keys.iter().map(|k| k.as_bytes().to_vec()).collect(),
        }
    }

    pub(super) fn arg(mut self, word: impl Into<Vec<u8>>) -> Self {
        self.words.push(word.into());
        self
    }

    pub(super) fn args(mut self, words: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.words.extend(words);
        self
    }

    /// The command that calls the script by its digest.
    pub(super) fn short(&self) -> redis::Cmd {
        self.command("EVALSHA", &self.script.digest)
    }

    /// The command that carries the script itself, and leaves it there.
    pub(super) fn whole(&self) -> redis::Cmd {
        self.command("EVAL", self.script.source)
    }

    fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys);
        for word in &self.words {
            command.arg(word.as_slice());
        }
        command
    }
}
