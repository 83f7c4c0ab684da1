//! What can be typed. Each command's help ends with examples that work.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use offboard_domain::{Area, Digest, Kind, System, TenantId};
use offboard_runtime::config::did_you_mean;
use std::path::PathBuf;

const ABOUT: &str = "Runs the departure of a person from a company, to the end, and proves it.";

const AFTER: &str = "\
Exit codes:
  0    it was done
  1    it failed; the text says what was attempted, what came back, what to do
  2    wrong usage, configuration or input; nothing was accepted
  3    a person is needed, or a time is waited for
  4    the evidence is not valid
  130  interrupted (Ctrl-C); what was accepted goes on at the next start

Data goes to standard output, talk to standard error.
A CASE is named by its id, the beginning of its id, or the source's reference;
a TASK by its id, the beginning of it, or its kind (identity.disable_sign_in).

Start here:
  offboard init acme-msp && cd acme-msp
  offboard doctor
  offboard plan leavers.csv
  offboard run leavers.csv";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "offboard", version, about = ABOUT, after_help = AFTER, max_term_width = 100)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The working folder
    #[arg(
        short = 'C',
        long = "dir",
        global = true,
        value_name = "DIR",
        default_value = ".",
        env = "OFFBOARD_DIR"
    )]
    pub dir: PathBuf,
    /// Answer in JSON: one document, or one object a line where answers come one by one
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours (NO_COLOR is respected)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Who acts; stands in the case's history and evidence [default: $OFFBOARD_USER or $USER]
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub actor: Option<String>,
    /// Let engine time run faster, for simulated systems on this machine alone:
    /// the anchor in milliseconds since 1970, at which both times agree, and
    /// how many times as fast.
    #[arg(
        long,
        global = true,
        hide = true,
        value_name = "ANCHOR_MS@SCALE",
        env = "OFFBOARD_CLOCK",
        hide_env = true
    )]
    pub clock: Option<FastClock>,
}

/// Engine time that runs faster than real time, the same in every process that
/// is told the same anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastClock {
    /// When both times agree, in milliseconds since 1970.
    pub anchor_ms: i64,
    /// How many times as fast.
    pub scale: u32,
}

impl std::str::FromStr for FastClock {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected ANCHOR_MS@SCALE, such as 1780000000000@600";
        let (anchor, scale) = text.split_once('@').ok_or(EXPECTED)?;
        let anchor_ms = anchor.parse().map_err(|_| EXPECTED)?;
        let scale = scale.parse().ok().filter(|s| *s > 0).ok_or(EXPECTED)?;
        Ok(Self { anchor_ms, scale })
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a working folder: commented configuration, and keys that its owner alone can read
    #[command(after_help = "Examples:\n  offboard init\n  offboard init acme-msp")]
    Init {
        /// Where; default: the working folder
        #[arg(value_name = "DIR")]
        place: Option<PathBuf>,
    },
    /// Check configuration, keys, servers, credentials and permissions of every tenant, before a departure needs them
    #[command(
        after_help = "Examples:\n  offboard doctor\n  offboard doctor --tenant contoso --json\n  rabbitmqctl export_definitions held.json && offboard doctor --broker held.json"
    )]
    Doctor {
        /// Only this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Check the files only; ask no outside system
        #[arg(long)]
        offline: bool,
        /// Show what programs of your own write to standard error when they are checked
        #[arg(long, conflicts_with = "offline")]
        stderr: bool,
        /// Compare what the broker holds (bindings, policies, rights too) with what it must hold: the file that `rabbitmqctl export_definitions` wrote, or - for standard input
        #[arg(long, value_name = "FILE")]
        broker: Option<PathBuf>,
    },
    /// Show what a departure would do: reads only, accepts nothing
    #[command(
        after_help = "Examples:\n  offboard plan leavers.csv\n  offboard plan --tenant contoso --person anna@contoso.com\n  offboard plan --tenant contoso --person anna@contoso.com --immediate --json"
    )]
    Plan(PlanArgs),
    /// Accept departures and run everything that is open to its end, in this process
    #[command(
        after_help = "Stops when every case has ended or only people and time are waited for.\n\nExamples:\n  offboard run leavers.csv\n  offboard run leavers.csv --tenant contoso --wait\n  offboard run            (goes on with what is open)"
    )]
    Run {
        /// Departures: CSV or JSON; none: go on with what is open
        files: Vec<PathBuf>,
        /// The tenant that the files are for; default: each row names its own
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Keep waiting for people and time, until every case has ended
        #[arg(long)]
        wait: bool,
    },
    /// Accept departures; `offboard serve` or `offboard run` carries them out
    #[command(
        after_help = "Examples:\n  offboard submit leavers.csv\n  offboard submit departure.json --tenant contoso --as hr@acme.example"
    )]
    Submit {
        /// Departures: CSV or JSON
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The tenant that the files are for; default: each row names its own
        #[arg(long)]
        tenant: Option<TenantId>,
    },
    /// Carry out everything that is open, until told to stop
    #[command(
        after_help = "Other commands in the same folder talk to it.\n\nExamples:\n  offboard serve\n  OFFBOARD_LOG=debug offboard serve"
    )]
    Serve,
    /// Dispatch: own a share of the cases, order and record (ledger and queue shared by processes)
    #[command(
        after_help = "Any number of them share the work. Ctrl-C hands over what it owns.\nSIGHUP reads the tenants' configuration anew.\n\nExamples:\n  offboard dispatcher\n  offboard -C /etc/offboard dispatcher"
    )]
    Dispatcher,
    /// Work: carry out assignments of some areas (queue shared by processes)
    #[command(
        after_help = "Needs the broker and the tenants' systems, never the ledger.\nSIGHUP reads the tenants' configuration anew.\n\nExamples:\n  offboard worker --areas identity,mailbox\n  offboard worker --areas identity --site headquarters"
    )]
    Worker {
        /// The areas, separated by commas; default: all
        #[arg(long, value_delimiter = ',', value_name = "AREA", value_parser = area)]
        areas: Vec<Area>,
        /// The site whose systems are reached from here alone
        #[arg(long)]
        site: Option<String>,
    },
    /// Close: seal what is settled, with the signing key (ledger and queue shared by processes)
    #[command(after_help = "SIGHUP reads the tenants' configuration anew.\n\nExamples:\n  offboard closer")]
    Closer,
    /// Ask the process that this folder configures whether it is ready, or alive
    #[command(
        after_help = "Asks where it answers for itself (telemetry.listen). Fails if it is not, and says why.\n\nExamples:\n  offboard health\n  offboard -C /etc/offboard health --alive"
    )]
    Health {
        /// Whether its loops turn, in place of whether what it depends on answers
        #[arg(long)]
        alive: bool,
    },
    /// Pause a tenant, a system or a kind of task: nothing new is begun, nothing is lost
    #[command(
        after_help = "What a worker is at already is finished. `offboard resume` with the same words ends it.\nOf every tenant means of those that are configured now: one that is added later is not paused.\n\nExamples:\n  offboard pause --tenant contoso\n  offboard pause --tenant contoso --system m365 --until 4h\n  offboard pause --kind device.wipe            (of every tenant)\n  offboard pause --all"
    )]
    Pause {
        /// What
        #[command(flatten)]
        what: PauseArgs,
        /// Everything, of every tenant
        #[arg(long, conflicts_with_all = ["tenant", "system", "kind"])]
        all: bool,
        /// Until when: a date, a date and time, or a span (90m, 4h, 2d); default: until resumed
        #[arg(long, value_name = "WHEN")]
        until: Option<String>,
    },
    /// End a pause; without words, show what is paused
    #[command(
        after_help = "--all ends what `pause --all` or `pause --tenant` has paused; a pause of a system or a kind is ended by its\nown words.\n\nExamples:\n  offboard resume\n  offboard resume --tenant contoso --system m365\n  offboard resume --all"
    )]
    Resume {
        /// What
        #[command(flatten)]
        what: PauseArgs,
        /// What is paused as a whole, of every tenant
        #[arg(long, conflicts_with_all = ["tenant", "system", "kind"])]
        all: bool,
    },
    /// Print what the broker must hold (queues, users, policies) as definitions that it imports
    #[command(
        after_help = "Passwords are read from the environment: OFFBOARD_BROKER_PASSWORD_<USER> with - as _,\nsuch as OFFBOARD_BROKER_PASSWORD_OFFBOARD_DISPATCHER. A user without one cannot log in.\nSites are those that the tenants' configuration names.\n\nExamples:\n  offboard topology > definitions.json"
    )]
    Topology {
        /// The virtual host
        #[arg(long, default_value = "/")]
        vhost: String,
    },
    /// List cases
    #[command(after_help = "Examples:\n  offboard list --open\n  offboard list --tenant contoso --json")]
    List {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Only those whose life is not over
        #[arg(long)]
        open: bool,
        /// In place of cases: messages that could not be dealt with
        #[arg(long, conflicts_with_all = ["tenant", "open"])]
        dead: bool,
    },
    /// Clear dead letters (`list --dead`): drop them, or send them again to where they came from
    #[command(
        group = clap::ArgGroup::new("which").required(true).args(["letter", "all"]),
        after_help = "A letter is named by its name or the beginning of it, or by its message where one letter has it.\nSent again is only what does no harm: never a forged order, a report, or what may happen once.\nIn a dispatcher's folder where processes share the queue.\n\nExamples:\n  offboard clear 5f0c2e1a --reason \"a worker of an older version, upgraded\"\n  offboard clear 5f0c2e1a --resend --reason \"the worker's key was missing\"\n  offboard clear --all --keep /var/tmp/letters --reason \"understood, INC-2041\" --yes"
    )]
    Clear {
        /// Which
        letter: Option<String>,
        /// All that are among the dead; shows them, a thousand at a time, and asks
        #[arg(long)]
        all: bool,
        /// Why; stands in the log
        #[arg(long)]
        reason: String,
        /// Send it to the queue that it came from, in place of dropping it
        #[arg(long, conflicts_with = "keep")]
        resend: bool,
        /// Write each body into this folder before it is dropped
        #[arg(long, value_name = "FOLDER")]
        keep: Option<PathBuf>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show one case: every task with where it stands, and what a person must do
    #[command(after_help = "Examples:\n  offboard show HR-2041\n  offboard show c-7f3a --json")]
    Show {
        /// Which case
        case: String,
    },
    /// Watch cases live
    #[command(
        after_help = "Examples:\n  offboard watch\n  offboard watch --tenant contoso\n  offboard watch --json   (one object a line, whenever a case changes)"
    )]
    Watch {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Also those whose life is over
        #[arg(long)]
        all: bool,
    },
    /// Say why a case or task is where it is: what was seen, which fault, which rule, what is next
    #[command(after_help = "Examples:\n  offboard why HR-2041\n  offboard why c-7f3a mailbox.convert_to_shared")]
    Why {
        /// Which case
        case: String,
        /// Which task; default: all that hold the case up
        task: Option<String>,
    },
    /// Approve a plan, or an irreversible task by itself
    #[command(
        after_help = "Shows what is approved and its digest, and asks.\n\nExamples:\n  offboard approve HR-2041\n  offboard approve HR-2041 device.wipe --as lead@acme.example --yes"
    )]
    Approve {
        /// Which case
        case: String,
        /// Which task; default: the plan
        task: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Approve only if the digest is this one
        #[arg(long, value_name = "SHA256")]
        digest: Option<Digest>,
    },
    /// Say that a person's task is done
    #[command(
        after_help = "Examples:\n  offboard attest HR-2041 person.confirm_device_returned --file receipt.pdf\n  offboard attest HR-2041 hold_knowledge_session --link https://video.example/4711\n  offboard attest HR-2041 validate --note \"spoke with the manager\""
    )]
    Attest {
        /// Which case
        case: String,
        /// Which task
        task: String,
        /// The file that shows it; goes into the store, and its digest into the evidence
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Where the recording that shows it is; stands in the note
        #[arg(long, value_name = "URL")]
        link: Option<String>,
        /// A note for the evidence
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Go without a task, for a reason, until a date
    #[command(
        after_help = "When the date has passed, the task is opened again (or a linked case is).\n\nExamples:\n  offboard waive HR-2041 device.wipe --reason \"laptop stolen, police report 4711\" --until 2027-01-31\n  offboard waive HR-2041 person.validate --reason \"manager on leave\" --until 30d"
    )]
    Waive {
        /// Which case
        case: String,
        /// Which task
        task: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Until when: a date, a date and time, or a number of days (30d)
        #[arg(long, value_name = "WHEN")]
        until: String,
    },
    /// Try again what needs a person
    #[command(
        after_help = "Examples:\n  offboard retry HR-2041\n  offboard retry HR-2041 license.release_direct\n\nA note, file or ticket that the desk may have already, and does not list, is tried again only\nwhen it is named: that is your word that it is not there."
    )]
    Retry {
        /// Which case
        case: String,
        /// Which task; default: all that failed
        task: Option<String>,
    },
    /// Call a departure off; what has happened stays, and is listed
    #[command(after_help = "Examples:\n  offboard cancel HR-2041 --reason \"he stays\"")]
    Cancel {
        /// Which case
        case: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Verify evidence, with the file and the public key alone
    #[command(
        after_help = "Examples:\n  offboard verify c-1f0c9e0a7b5d2c34aa10-42.dsse.json --key 1f0c9e0a7b5d2c34.pem\n  offboard verify HR-2041    (a case of this folder, with this folder's public keys)"
    )]
    Verify {
        /// The evidence file, or a case of this folder
        evidence: String,
        /// The public key in PEM; default: those of the working folder
        #[arg(long, value_name = "PEM")]
        key: Option<PathBuf>,
    },
    /// Look into kept mailboxes, and put messages back
    Archive {
        /// What to do
        #[command(subcommand)]
        what: ArchiveWhat,
    },
    /// Give recovery keys of devices back, which a case has put into escrow
    Escrow {
        /// What to do
        #[command(subcommand)]
        what: EscrowWhat,
    },
    /// The installation's keys
    Keys {
        /// What to do
        #[command(subcommand)]
        what: Keys,
    },
    /// Print the JSON Schema of departures
    #[command(after_help = "Examples:\n  offboard schema > departures.schema.json")]
    Schema,
    /// Print the completions of a shell
    #[command(
        after_help = "Examples:\n  offboard completions bash > ~/.local/share/bash-completion/completions/offboard\n  offboard completions zsh > ~/.zfunc/_offboard"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print docs/tasks.md
    #[command(hide = true)]
    Tasks {
        /// In its place the README's table of tasks and systems
        #[arg(long)]
        systems: bool,
        /// In its place the tables in docs/connectors/microsoft-365.md
        #[arg(long, conflicts_with = "systems")]
        permissions: bool,
    },
    /// Print docs/states.md
    #[command(hide = true)]
    States,
    /// Print docs/metrics.md
    #[command(hide = true)]
    Metrics,
}

/// What is paused.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Of this tenant; default: of every one
    #[arg(long)]
    pub tenant: Option<TenantId>,
    /// In this system, as the tenant's configuration names it
    #[arg(long)]
    pub system: Option<System>,
    /// Tasks of this kind
    #[arg(long, value_parser = kind)]
    pub kind: Option<Kind>,
}

/// What is planned for show.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Departures: CSV or JSON
    #[arg(required_unless_present = "person")]
    pub files: Vec<PathBuf>,
    /// The tenant; default: each row names its own
    #[arg(long)]
    pub tenant: Option<TenantId>,
    /// In place of a file: a person by sign-in name, mail address or object id
    #[arg(long, value_name = "PERSON", conflicts_with = "files", requires = "tenant")]
    pub person: Option<String>,
    /// Leaves at once
    #[arg(long, requires = "person")]
    pub immediate: bool,
    /// Who takes over, by sign-in name, mail address or object id
    #[arg(long, value_name = "PERSON", requires = "person")]
    pub successor: Option<String>,
    /// Show every task, also those that are true already
    #[arg(long)]
    pub all: bool,
}

/// What to do with kept mailboxes.
#[derive(Debug, Subcommand)]
pub enum ArchiveWhat {
    /// List the archives; of one archive: its folders, or its messages
    #[command(
        after_help = "An ARCHIVE is named by its case, or by its manifest's SHA-256.\n\nExamples:\n  offboard archive list\n  offboard archive list HR-2041\n  offboard archive list HR-2041 --messages --folder Inbox --json"
    )]
    List {
        /// Which archive; none: list all
        archive: Option<String>,
        /// Every message
        #[arg(long, requires = "archive")]
        messages: bool,
        /// Only folders whose name contains this
        #[arg(long, value_name = "NAME", requires = "archive")]
        folder: Option<String>,
    },
    /// Show an archive, or print one of its messages exactly as it was
    #[command(
        after_help = "Examples:\n  offboard archive show HR-2041\n  offboard archive show HR-2041 17 > message.eml\n  offboard archive show HR-2041 17 --json    (headers, flags, size, SHA-256)"
    )]
    Show {
        /// Which archive
        archive: String,
        /// The message's number
        message: Option<u64>,
    },
    /// Find messages whose sender, receivers, subject or date hold every word
    #[command(
        after_help = "What is said to narrow it down must all hold. Letters are compared whatever their case.\n\nExamples:\n  offboard archive search HR-2041 invoice\n  offboard archive search HR-2041 anna contract --folder Sent --json\n  offboard archive search HR-2041 \"notice period\" --body    (in the text of the messages, too)\n  offboard archive search HR-2041 --from anna@contoso.example --since 2026-01-01 --until 2026-03-31"
    )]
    Search {
        /// Which archive
        archive: String,
        /// The words; several in quotation marks are found as they stand
        #[arg(required_unless_present_any = ["from", "to", "subject", "since", "until"])]
        words: Vec<String>,
        /// Only from whom this is in the name or address
        #[arg(long, value_name = "TEXT")]
        from: Option<String>,
        /// Only to whom this is in the name or address (To or Cc)
        #[arg(long, value_name = "TEXT")]
        to: Option<String>,
        /// Only with this in the subject
        #[arg(long, value_name = "TEXT")]
        subject: Option<String>,
        /// Only what came on this day or later (2026-01-31, in UTC)
        #[arg(long, value_name = "DAY")]
        since: Option<jiff::civil::Date>,
        /// Only what came on this day or before (2026-01-31, in UTC)
        #[arg(long, value_name = "DAY")]
        until: Option<jiff::civil::Date>,
        /// Only folders whose name contains this
        #[arg(long, value_name = "NAME")]
        folder: Option<String>,
        /// Look into the text of the messages too, as their reader sees it
        #[arg(long)]
        body: bool,
    },
    /// Write messages to a folder as Maildirs, which other programs open
    #[command(
        after_help = "Each message is checked against its SHA-256. Nothing is written over; what is there already is left, so give the same command again when it broke off.\n\nExamples:\n  offboard archive export HR-2041 ./anna\n  offboard archive export HR-2041 ./anna --folder Inbox\n  offboard archive export HR-2041 ./one --message 17"
    )]
    Export {
        /// Which archive
        archive: String,
        /// The folder: empty or new, or one that the same archive was exported into
        #[arg(value_name = "FOLDER")]
        into: PathBuf,
        /// Only folders whose name contains this
        #[arg(long, value_name = "NAME")]
        folder: Option<String>,
        /// Only these messages
        #[arg(long, value_name = "NUMBER")]
        message: Vec<u64>,
    },
    /// Put messages back into a mailbox over IMAP; what is there already is left alone
    #[command(
        after_help = "Examples:\n  offboard archive restore HR-2041 --tenant contoso --system mail --mailbox berta@contoso.example\n  offboard archive restore HR-2041 --tenant contoso --system mail --mailbox berta@contoso.example --folder Inbox --under \"From Anna\"\n  offboard archive restore HR-2041 --tenant contoso --system mail --mailbox berta@contoso.example --message 17"
    )]
    Restore {
        /// Which archive
        archive: String,
        /// The tenant whose mail server it is
        #[arg(long)]
        tenant: TenantId,
        /// The mail server, as the tenant's configuration names it
        #[arg(long)]
        system: System,
        /// The mailbox, by the name that the server knows it by
        #[arg(long, value_name = "LOGIN")]
        mailbox: String,
        /// Only folders whose name contains this
        #[arg(long, value_name = "NAME")]
        folder: Option<String>,
        /// Only these messages
        #[arg(long, value_name = "NUMBER")]
        message: Vec<u64>,
        /// Into this folder, with the archive's folders below it
        #[arg(long, value_name = "NAME")]
        under: Option<String>,
    },
}

/// What to do with recovery keys in escrow.
#[derive(Debug, Subcommand)]
pub enum EscrowWhat {
    /// List the devices of a case, with how many recovery keys of each were kept, and when
    #[command(after_help = "Examples:\n  offboard escrow list HR-2041\n  offboard escrow list c-7f3a --json")]
    List {
        /// Which case
        case: String,
    },
    /// Open a device's recovery keys (BitLocker, local administrator, activation lock) and print them to standard output
    #[command(
        after_help = "A DEVICE is named by its id in a system, the beginning of it, its serial number, or its task.\nNeeds the key that they were sealed under, keys/escrow.key. Who opens them, when and why, is\nwritten into escrow.log first: beside the ledger where that is a file, else in the working\nfolder. Where it cannot be written, nothing is shown. No key stands in it.\n\nExamples:\n  offboard escrow open HR-2041 5CG1234ABC --reason \"locked out after an update, INC-2041\"\n  offboard escrow open HR-2041 8f0c2e1a --reason \"handed on to the next person\" --as lead@acme.example --json"
    )]
    Open {
        /// Which case
        case: String,
        /// Which device
        device: String,
        /// Why; stands in escrow.log
        #[arg(long)]
        reason: String,
    },
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make every key that is missing; those that are there stay
    Create,
    /// Make a new signing key; old evidence still verifies with the old public half
    Rotate,
    /// Print a public key in PEM, for whoever verifies
    #[command(
        after_help = "Examples:\n  offboard keys export > offboard.pem\n  offboard keys export --id 1f0c9e0a7b5d2c34"
    )]
    Export {
        /// Which; default: the current one
        #[arg(long)]
        id: Option<String>,
    },
    /// List the signing keys
    List,
    /// Write the keys of some queues to a folder, for a worker that must not hold the dispatch key
    #[command(
        after_help = "Copy the folder's `queues` into the worker's keys folder.\n\nExamples:\n  offboard keys worker --areas identity,device --site headquarters --to /media/stick/keys"
    )]
    Worker {
        /// The areas, separated by commas; default: all
        #[arg(long, value_delimiter = ',', value_name = "AREA", value_parser = area)]
        areas: Vec<Area>,
        /// The worker's site
        #[arg(long)]
        site: Option<String>,
        /// The folder to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Copy keys and secrets that were mounted to a folder that this user alone can read
    #[command(
        after_help = "Kubernetes and systemd hand files over with a mode that lets a group read them, which is\nrefused where keys are read. A queue's key goes where queues' keys are looked for, a public one where `verify` looks.\n\nExamples:\n  offboard keys copy --from /run/secrets/offboard --to /run/offboard/keys"
    )]
    Copy {
        /// The folder that was mounted
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The folder to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

fn area(text: &str) -> Result<Area, String> {
    Area::named(text).filter(|a| Area::MACHINES.contains(a)).ok_or_else(|| {
        let all: Vec<&str> = Area::MACHINES.iter().map(|a| a.word()).collect();
        format!("expected one of {}", all.join(", "))
    })
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::named(text).ok_or_else(|| {
        let near = did_you_mean(text, Kind::ALL.iter().map(|k| k.name()));
        match near {
            Some(near) => format!("there is no such kind of task; did you mean {near}?"),
            None => "there is no such kind of task; docs/tasks.md lists them".to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
