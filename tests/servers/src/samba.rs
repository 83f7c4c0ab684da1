//! Private Samba servers that are Active Directory domain controllers: each
//! with a domain and a loopback address of its own, because LDAP's ports are
//! fixed. That takes the right to use low ports.

pub mod staff;

use crate::certificates::Certificates;
use crate::process::{Guarded, Patience, StartError, until};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const PACKAGE: &str = "samba-ad-dc";
const TOOLS: &str = "samba-ad-provision";
const LDAPS: u16 = 636;

/// How long a domain controller may take until it answers.
const PATIENCE: Patience = Patience(Duration::from_secs(180));

/// How many loopback addresses are tried.
const ADDRESSES: u16 = 50;

/// The domain.
pub const REALM: &str = "corp.example.test";
/// The domain's name in the directory.
pub const DOMAIN: &str = "DC=corp,DC=example,DC=test";

/// How a domain controller is set up.
#[derive(Debug, Clone)]
pub struct SambaOptions {
    /// Whether its schema has what Exchange adds and departures need.
    pub exchange: bool,
    /// Whether its certificate names its address as it should.
    pub named_in_certificate: bool,
    /// What is in the directory from the beginning, as LDIF.
    pub seed: String,
}

/// A domain controller.
#[derive(Debug)]
pub struct Samba {
    process: Option<Guarded>,
    address: Ipv4Addr,
    certificates: Certificates,
    // Removed last.
    folder: TempDir,
}

impl Samba {
    /// Makes a domain and starts its controller.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer, with the end of its log.
    pub fn start(options: &SambaOptions) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|e| StartError(format!("failed to make a folder for Samba: {e}")))?;
        let address = free_address()?;
        let extensions = if options.named_in_certificate {
            naming(address)
        } else {
            "extendedKeyUsage=serverAuth\n".to_owned()
        };
        let certificates = Certificates::naming(folder.path(), &extensions)?;
        let mut samba = Self {
            process: None,
            address,
            certificates,
            folder,
        };
        samba.provision()?;
        if options.exchange {
            samba.extend_schema()?;
        }
        samba.add(&options.seed)?;
        samba.configure()?;
        samba.run()?;
        Ok(samba)
    }

    /// The address on which it answers.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The authority that signed its certificate.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    /// Gives it another authority, and a certificate that names its address,
    /// and starts it again.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer.
    pub fn name_in_certificate(&mut self) -> Result<(), StartError> {
        self.kill();
        self.certificates = Certificates::naming(self.folder.path(), &naming(self.address))?;
        private(&self.certificates.server.key)?;
        self.run()
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again on its address and its data.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        self.run()
    }

    /// One object's attributes, read from the controller's own file and not
    /// over LDAP: `attribute: value`, one a line, sorted. Empty if there is none.
    ///
    /// # Errors
    /// [`StartError`] if the file cannot be read.
    pub fn look(&self, filter: &str, attributes: &[&str]) -> Result<Vec<String>, StartError> {
        let mut search = self.ldb("ldbsearch");
        search.arg(filter).args(attributes);
        let out = run(search, "ldb-tools")?;
        let unfolded = out.replace("\n ", "");
        let mut lines: Vec<String> = unfolded
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with("ref:"))
            .map(str::to_owned)
            .collect();
        lines.sort();
        Ok(lines)
    }

    /// How many changes the directory has seen.
    ///
    /// # Errors
    /// [`StartError`] if the file cannot be read.
    pub fn changes(&self) -> Result<u64, StartError> {
        let mut search = self.ldb("ldbsearch");
        search.args(["-s", "base", "-b", "", "highestCommittedUSN"]);
        let out = run(search, "ldb-tools")?;
        let number = out.lines().find_map(|l| l.strip_prefix("highestCommittedUSN: "));
        number
            .and_then(|n| n.trim().parse().ok())
            .ok_or_else(|| StartError("the directory does not say how many changes it has seen".to_owned()))
    }

    /// The names of the objects that were changed after so many changes.
    ///
    /// # Errors
    /// [`StartError`] if the file cannot be read.
    pub fn changed_since(&self, changes: u64) -> Result<Vec<String>, StartError> {
        let lines = self.look(&format!("(uSNChanged>={})", changes + 1), &["dn"])?;
        Ok(lines
            .iter()
            .filter_map(|l| l.strip_prefix("dn: "))
            .map(str::to_owned)
            .collect())
    }

    /// Adds what the LDIF says, in the controller's own file.
    ///
    /// # Errors
    /// [`StartError`] with what was refused.
    pub fn add(&self, ldif: &str) -> Result<(), StartError> {
        self.write("ldbadd", ldif, false)
    }

    /// Changes what the LDIF says, in the controller's own file.
    ///
    /// # Errors
    /// [`StartError`] with what was refused.
    pub fn modify(&self, ldif: &str) -> Result<(), StartError> {
        self.write("ldbmodify", ldif, false)
    }

    /// Grants rights on an object, as a security descriptor's entries (SDDL).
    ///
    /// # Errors
    /// [`StartError`] with what was refused.
    pub fn grant(&self, object: &str, entries: &str) -> Result<(), StartError> {
        let mut tool = Command::new("samba-tool");
        tool.args(["dsacl", "set"])
            .arg(format!("--configfile={}", self.configuration().display()));
        tool.arg("-H").arg(self.database());
        tool.arg(format!("--objectdn={object}"))
            .arg(format!("--sddl={entries}"));
        run(tool, TOOLS).map(drop)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("domain")
    }

    fn configuration(&self) -> PathBuf {
        self.root().join("etc/smb.conf")
    }

    fn database(&self) -> PathBuf {
        self.root().join("private/sam.ldb")
    }

    fn provision(&self) -> Result<(), StartError> {
        // Without a file of its own, Debian's shares would be in it.
        let empty = self.folder.path().join("empty.conf");
        write(&empty, "")?;
        let mut tool = Command::new("samba-tool");
        tool.args([
            "domain",
            "provision",
            "--domain=CORP",
            "--server-role=dc",
            "--dns-backend=NONE",
        ]);
        tool.args(["--host-name=dc1", "--host-ip=127.0.0.1", "--adminpass=Provisioned-1"]);
        tool.args(["--option=interfaces=lo", "--option=bind interfaces only=yes"]);
        tool.arg(format!("--realm={}", REALM.to_uppercase()));
        tool.arg(format!("--configfile={}", empty.display()));
        tool.arg(format!("--targetdir={}", self.root().display()));
        run(tool, TOOLS).map(drop)
    }

    /// The one attribute of Exchange's extension that departures need, with the
    /// syntax that it has there.
    fn extend_schema(&self) -> Result<(), StartError> {
        let attribute = format!(
            "dn: CN=ms-Exch-Hide-From-Address-Lists,CN=Schema,CN=Configuration,{DOMAIN}\nobjectClass: top\n\
             objectClass: attributeSchema\nattributeID: 1.2.840.113556.1.4.7000.102.73\n\
             lDAPDisplayName: msExchHideFromAddressLists\nattributeSyntax: 2.5.5.8\noMSyntax: 1\n\
             isSingleValued: TRUE\nsearchFlags: 0\n\
             schemaIDGUID:: EREREREREREREREREREREQ==\n"
        );
        let class = format!(
            "dn: CN=User,CN=Schema,CN=Configuration,{DOMAIN}\nchangetype: modify\nadd: mayContain\n\
             mayContain: msExchHideFromAddressLists\n"
        );
        self.write("ldbadd", &attribute, true)?;
        self.write("ldbmodify", &class, true)
    }

    fn ldb(&self, program: &str) -> Command {
        let mut ldb = Command::new(program);
        ldb.arg(format!("--configfile={}", self.configuration().display()));
        ldb.arg("-H").arg(self.database());
        ldb
    }

    fn write(&self, program: &str, ldif: &str, schema: bool) -> Result<(), StartError> {
        let file = tempfile::Builder::new()
            .suffix(".ldif")
            .tempfile_in(self.folder.path())
            .map_err(|e| StartError(format!("failed to make a file: {e}")))?;
        write(file.path(), ldif)?;
        let mut ldb = self.ldb(program);
        if schema {
            ldb.arg("--option=dsdb:schema update allowed=true");
        }
        ldb.arg(file.path());
        run(ldb, "ldb-tools").map(drop)
    }

    /// Only LDAP, on its own address, with its own certificate.
    fn configure(&self) -> Result<(), StartError> {
        let file = self.configuration();
        let made = std::fs::read_to_string(&file).map_err(|e| failed("read", &file, &e))?;
        let root = self.root();
        let mut text = String::new();
        for line in made.lines() {
            let key = line.split('=').next().unwrap_or_default().trim();
            let own = match key {
                "server services" => "\tserver services = ldap".to_owned(),
                "interfaces" => format!("\tinterfaces = {}/8", self.address),
                _ => line.to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{own}");
            if key == "[global]" {
                let own = &self.certificates;
                let _ = writeln!(
                    text,
                    "\tpid directory = {0}\n\tncalrpc dir = {0}/ncalrpc\n\tlog file = {0}/log\n\ttls enabled = yes\n\
                     \ttls keyfile = {1}\n\ttls certfile = {2}\n\ttls cafile = {3}",
                    root.display(),
                    own.server.key.display(),
                    own.server.certificate.display(),
                    own.authority.display()
                );
            }
        }
        write(&file, &text)?;
        private(&self.certificates.server.key)
    }

    fn run(&mut self) -> Result<(), StartError> {
        let mut program = Command::new("samba");
        program.arg("-s").arg(self.configuration());
        program.args(["-i", "-M", "single", "--no-process-group"]);
        let log = self.folder.path().join("output");
        // It may be one for all tests of a process, which ends without a word.
        let mut process = Guarded::start_in(program, PACKAGE, &log, Some(self.folder.path()))?;
        let answers = || TcpStream::connect((self.address, LDAPS)).is_ok();
        let started = until("Samba to answer", PATIENCE, || answers() || process.ended());
        if started.is_err() || process.ended() {
            let said = process.output();
            let end: Vec<&str> = said.lines().rev().take(20).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            return Err(StartError(format!(
                "Samba does not answer on {}; is this user allowed to use low ports? It said:\n{}",
                self.address,
                end.join("\n")
            )));
        }
        self.process = Some(process);
        Ok(())
    }
}

/// A loopback address of which nobody uses the ports of LDAP. Tests run side by
/// side in several processes, so each begins to look somewhere else.
fn free_address() -> Result<Ipv4Addr, StartError> {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    let id = std::process::id();
    for _ in 0..ADDRESSES {
        let nth = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let [.., high, low] = id.wrapping_mul(61).wrapping_add(u32::from(nth)).to_be_bytes();
        let address = Ipv4Addr::new(127, 77, high, low.clamp(1, 254));
        if [LDAPS, 389, 3268, 3269]
            .iter()
            .all(|port| TcpListener::bind((address, *port)).is_ok())
        {
            return Ok(address);
        }
    }
    Err(StartError(
        "found no loopback address whose LDAP ports are free; this takes the right to use low ports (root)".to_owned(),
    ))
}

fn naming(address: Ipv4Addr) -> String {
    format!("subjectAltName=IP:{address},DNS:localhost\n")
}

fn run(mut program: Command, package: &str) -> Result<String, StartError> {
    let name = program.get_program().to_string_lossy().into_owned();
    let done = program.output().map_err(|e| {
        StartError(format!(
            "failed to run {name}: {e} (Debian package '{package}'; tests/run installs it)"
        ))
    })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(StartError(format!("{name} failed: {said}")))
}

fn write(file: &Path, text: &str) -> Result<(), StartError> {
    std::fs::write(file, text).map_err(|e| failed("write", file, &e))
}

fn private(file: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).map_err(|e| failed("protect", file, &e))
}

fn failed(to_do: &str, file: &Path, error: &std::io::Error) -> StartError {
    StartError(format!("failed to {to_do} {}: {error}", file.display()))
}
