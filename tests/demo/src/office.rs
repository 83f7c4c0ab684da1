//! The simulated Microsoft 365, and the working folder that is connected to it.

use crate::{Args, Failed};
use offboard_connectors::graph::thumbprint;
use offboard_domain::Timestamp;
use offboard_runtime::Clock;
use offboard_runtime::config::{self, Configuration};
use offboard_runtime::{keys, private};
use offboard_sim::face::Simulator;
use offboard_sim::population::{ADMIN_APP, DemoTenant, demo};
use offboard_sim::world::{Cruelty, World};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Marks a folder that the demonstration made and may replace.
const MARK: &str = ".offboard-demo";
/// How many client companies.
const TENANTS: usize = 3;
/// How many people each has.
const PEOPLE: usize = 24;

/// By what the application proves itself, since SharePoint takes no secret. Made
/// for tests alone; nothing real trusts it.
const CERTIFICATE: &str = include_str!("../../../workers/connectors/tests/data/test-certificate.pem");
const CERTIFICATE_KEY: &str = include_str!("../../../workers/connectors/tests/data/test-key.pem");

/// What the departures happen in.
pub(crate) struct Office {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) tenants: Vec<DemoTenant>,
    pub(crate) config: Configuration,
    // Serves until dropped.
    _simulator: Simulator,
}

/// Opens the office: a world with its faults on, and a working folder with
/// configuration and keys as an MSP would have them.
pub(crate) async fn open(args: &Args, clock: &Arc<dyn Clock>) -> Result<Office, Failed> {
    let now = clock.now();
    let (mut world, tenants) = demo(args.seed, Cruelty::real(), TENANTS, PEOPLE, now.0);
    let known = thumbprint(CERTIFICATE).map_err(|why| format!("the demonstration's certificate: {why}"))?;
    for tenant in &tenants {
        let apps = world.tenant_mut(&tenant.id).map(|t| &mut t.apps);
        if let Some(app) = apps.and_then(|apps| apps.get_mut(ADMIN_APP)) {
            app.certificate = Some(known.clone());
        }
    }
    let world = Arc::new(Mutex::new(world));
    let tell = clock.clone();
    let simulator = Simulator::start(
        world.clone(),
        Arc::new(move || tell.now().0),
        Some(f64::from(args.speed)),
    )
    .await?;
    prepare(&args.output)?;
    write_configuration(&args.output, &simulator, &tenants)?;
    let config = config::load(&args.output)?;
    Ok(Office {
        world,
        tenants,
        config,
        _simulator: simulator,
    })
}

fn prepare(folder: &Path) -> Result<(), Failed> {
    if folder.exists() {
        if !folder.join(MARK).exists() && fs::read_dir(folder)?.next().is_some() {
            return Err(format!(
                "{} is not empty and is not an older demonstration; name another folder with --output",
                folder.display()
            )
            .into());
        }
        fs::remove_dir_all(folder)?;
    }
    private::create_folder(folder)?;
    fs::write(folder.join(MARK), "made by `cargo demo`, which replaces it\n")?;
    Ok(())
}

fn write_configuration(folder: &Path, simulator: &Simulator, tenants: &[DemoTenant]) -> Result<(), Failed> {
    let bases = simulator.bases();
    let graph = bases.graph.trim_end_matches("/v1.0");
    fs::write(
        folder.join("offboard.toml"),
        "# The demonstration's engine: fewer tasks at a time than usual, because its time runs faster.\n\
         [admission]\nprefetch = 4\n",
    )?;
    private::create_folder(&folder.join("tenants"))?;
    fs::write(folder.join("m365.pem"), CERTIFICATE)?;
    private::write_new(&folder.join("m365.key"), CERTIFICATE_KEY.as_bytes())?;
    for tenant in tenants {
        let text = format!(
            r#"name = "{name}"
time_zone = "Europe/Berlin"

[systems.m365]
kind = "graph"
directory = "{directory}"
client_id = "{ADMIN_APP}"
certificate = "m365.pem"
certificate_key = {{ file = "m365.key" }}
login_url = "{login}"
graph_url = "{graph}"
exchange_url = "{exchange}"
sharepoint_url = "{sharepoint}"

[intake.columns]
manner = "Art"

[policy]
automatic_reply = "This person has left {name}. Please write to office@{short}.example."
protected = ["{break_glass}"]

[policy.approvals]
irreversible_delay = "5m"

[policy.licences.monthly_prices]
SPE_E3 = 36.90
SPB = 20.60
EXCHANGESTANDARD = 3.70
"#,
            name = capital(&tenant.short),
            directory = tenant.id,
            login = bases.login,
            exchange = bases.exchange,
            sharepoint = bases.sharepoint,
            short = tenant.short,
            break_glass = tenant.cast.break_glass,
        );
        fs::write(folder.join("tenants").join(format!("{}.toml", tenant.short)), text)?;
    }
    keys::create_missing(&folder.join("keys"))?;
    let signing = keys::SigningKey::load(&folder.join("keys"))?;
    fs::write(folder.join("keys/public.pem"), signing.public().to_pem())?;
    Ok(())
}

/// A handle as a name.
pub(crate) fn capital(short: &str) -> String {
    let mut letters = short.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// When the demonstration plays: a Thursday morning, so that a planned last day
/// can end in it.
pub(crate) const BEGINS: Timestamp = Timestamp(1_795_075_200_000);
