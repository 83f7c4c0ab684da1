//! The simulated outside world: what Offboard acts on, when no real tenant is at hand.
//!
//! There is one [`world`], vendor-neutral, synchronous and deterministic, and a
//! [`face`] that answers a vendor's wire protocol over it: Microsoft Graph v1.0,
//! Entra's token endpoint, Exchange's `InvokeCommand`, SharePoint's REST calls for
//! site administrators. The world is an independent truth: it knows nothing of
//! Offboard's own crates, and it is crueller than the real one on purpose.
//!
//! # Starting it in a test, over real HTTP
//!
//! ```
//! use std::sync::atomic::{AtomicI64, Ordering};
//! use std::sync::{Arc, Mutex};
//!
//! use offboard_sim::face::Simulator;
//! use offboard_sim::population::{ADMIN_APP, ADMIN_APP_SECRET, demo};
//! use offboard_sim::world::Cruelty;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // The simulated clock is yours: here a number that the test moves.
//! let clock = Arc::new(AtomicI64::new(1_780_000_000_000));
//! let (world, tenants) = demo(42, Cruelty::real(), 3, 20, clock.load(Ordering::Relaxed));
//! let world = Arc::new(Mutex::new(world));
//! let tell = { let clock = Arc::clone(&clock); Arc::new(move || clock.load(Ordering::Relaxed)) };
//! let simulator = Simulator::start(Arc::clone(&world), tell, None).await?;
//!
//! // Configure the client: four base URLs, the tenant's id, and its application.
//! let bases = simulator.bases();
//! println!("{} {} {} {}", bases.login, bases.graph, bases.exchange, bases.sharepoint);
//! println!("{} {ADMIN_APP} {ADMIN_APP_SECRET}", tenants[0].id);
//! // … run departures of tenants[0].cast.leavers() …
//!
//! // Then ask the world what truly happened.
//! let world = world.lock().expect("no test thread has panicked");
//! assert!(world.violations().is_empty());
//! assert!(world.journal().iter().all(|entry| entry.subject != tenants[0].cast.break_glass));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # In the same process
//!
//! Every call is also a plain function of [`world::World`]: `get_user`,
//! `set_account_enabled`, `remove_member`, `wipe_device`, `invoke` (cmdlets)… with a
//! [`world::Caller`] from [`world::World::caller`] and the time as `now_ms`. It returns a
//! [`world::Reply`]: the value, the vendor's refusal, or silence, and how long that would
//! have taken. Nothing sleeps. [`face::GraphFace::answer`] is the wire protocol as a plain
//! function, for a client whose transport is replaced.
//!
//! # Being cruel
//!
//! - [`world::Cruelty`] holds every unkindness as a number; `kind()`, `real()` and `cruel()`
//!   are presets, `calmed()` ends the random ones so that a test can ask whether all settles.
//! - [`world::World::order`] orders one certain fault for the next calls of one kind:
//!   `world.order(Op::WipeDevice, Fault::ResetAfter, 1)`.
//! - The fate of a call depends on the seed, on what is called for whom, and on how often that
//!   was called before: never on the order in which *other* calls arrive.
//! - Things happen by themselves as time passes: a call at `now_ms`, or
//!   [`world::World::advance`], makes happen what was due; [`world::World::next_due_ms`]
//!   tells where to jump.
//!
//! # An application beside the cloud
//!
//! [`world::app::App`] keeps accounts of its own and knows people by their names alone; its
//! [`world::app::Habits`] are how real ones differ from the RFCs. [`face::ScimFace`] answers SCIM 2.0
//! over it, [`face::ScimSimulator`] over real HTTP.
//!
//! # A workspace
//!
//! [`world::workspace::Workspace`] is a company's accounts with their mail, files and phones, and
//! [`face::GoogleFace`] answers Google's interfaces over it; [`face::GoogleSimulator`] over real
//! HTTP. Claims for tokens are really checked: signature, issuer, audience, times, scope, subject.
//!
//! # A bucket
//!
//! [`world::bucket::Bucket`] is what an object store keeps, and [`face::BucketFace`] answers Azure's Blob
//! service and Google's XML interface over it; [`face::BucketSimulator`] over real HTTP. Signatures are
//! really checked, pages are short and may be empty, and connections end in the middle of a body.
//!
//! # Asking what happened
//!
//! [`world::World::journal`] lists every effect with its subject, object, request and actor;
//! [`world::World::violations`] lists every harm: a mailbox lost, a personal device wiped, keys
//! gone unread, a protected account touched. [`world::World::canaries`] lists the strings that
//! stand in names, addresses, phone numbers and texts of people, and must never be seen in a
//! log or in another tenant's evidence. (Phone numbers hold the canary's digits.)
//!
//! # What a client may trip over, because the real one trips there too
//!
//! - `accountEnabled` and most other properties of a user are shown only when selected.
//! - `DELETE /groups/{id}/members/{user}` without `/$ref` deletes the user.
//! - `memberOf` lists directory roles too; pages are short; nobody promises an order.
//! - The code of a device's activation lock is null in every list, and in an answer about one
//!   device that did not select it by name.
//! - A refusal by Exchange carries its text in `error.details[]`, and 401 has no body at all.
//! - A protocol that nobody has switched for a mailbox is null, and as the tenant has it: on.
//! - A mailbox's statistics may be none for a moment, as those of one that nobody ever opened are.
//! - SharePoint wants a token that was got with a certificate: a `client_assertion` whose header
//!   names the registered certificate as `x5t`, `x5t#S256` or `kid` (the signature is not checked):
//!   [`population::ADMIN_APP_CERTIFICATE`], or what [`population::Town::register_certificate`] was
//!   given (`world.tenant_mut(id)` and its `apps`, for a world that is built already).
//!   [`world::Cruelty::sharepoint_needs_certificate`] turns that off.
//! - A 429 holds back the whole service of that tenant until its time is over, in simulated time:
//!   with a clock that stands still it never ends.
//! - A query parameter, property or cmdlet parameter that is not known is refused, never ignored.

pub mod face;
pub mod population;
pub mod world;

/// A time in simulated milliseconds since 1970 as the vendor writes times.
#[must_use]
pub fn iso(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "0001-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}

/// A time as the vendor writes it, in milliseconds since 1970; also without a zone, then UTC.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim().trim_matches(['\'', '"']);
    text.parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| {
            text.parse::<jiff::civil::DateTime>()
                .ok()?
                .in_tz("UTC")
                .ok()
                .map(|time| time.timestamp())
        })
        .map(jiff::Timestamp::as_millisecond)
}
