//! What other tools see of a process: its log, its traces, its metrics.
//!
//! The one home of OpenTelemetry. Other parts say in one call what they do
//! ([`trace`], [`metrics`]); what becomes of it is decided here. A process for
//! which nothing is configured pays for none of it, and one whose collector is
//! down loses telemetry, counts what it lost, and works on.
//!
//! No person stands in any of it: spans and metrics take ids and words, never a
//! text, and texts from outside go through [`scrub`] before they are logged.

mod census;
mod export;
mod log;
pub mod metrics;
mod sampler;
mod scrub;
mod span;
pub mod trace;
mod trail;

pub use census::{Census, Counted};
pub use log::{LEVEL_VARIABLE, init, is_filter};
pub use scrub::scrub;
pub use span::{Span, Work};

use crate::config::{Engine, QueueUrl, Role, SecretError, TelemetryConfig};
use export::{Counted as CountedExport, Destination, Lost, Sending};
use metrics::Metrics;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Config as TraceConfig, Sampler, SdkTracerProvider, ShouldSample};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// The longest that the end of a process waits for a collector.
const FLUSH_MAX: Duration = Duration::from_secs(2);
/// A whole, in millionths.
const WHOLE_PPM: f64 = 1_000_000.0;
/// The variables of OpenTelemetry that say where to send.
const ENDPOINT_VARIABLES: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
];
/// The variable that switches all sending off.
const DISABLED_VARIABLE: &str = "OTEL_SDK_DISABLED";
/// The variable that names the service.
const SERVICE_VARIABLE: &str = "OTEL_SERVICE_NAME";

/// Telemetry that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none.
    #[error(
        "failed to set up logging: {from} holds '{given}', expected a level (error, warn, info, debug, trace) or filters such as \"info,offboard_workers=debug\""
    )]
    Level {
        /// Where it stands.
        from: &'static str,
        /// What stands there.
        given: String,
    },
    /// It is set up already.
    #[error("failed to set up logging: this process has set it up already")]
    Twice,
    /// A header's secret could not be had.
    #[error("failed to set up telemetry: the header '{header}' (telemetry.headers) has no value")]
    Header {
        /// Which header.
        header: String,
        /// Why.
        #[source]
        why: SecretError,
    },
    /// An exporter could not be made.
    #[error(
        "failed to set up the sending of {signal} by OTLP: {detail}; correct telemetry.otlp, or the variables OTEL_EXPORTER_OTLP_…"
    )]
    Export {
        /// Traces or metrics.
        signal: &'static str,
        /// What is wrong.
        detail: String,
    },
}

/// Sets up the log, traces and metrics of a process that goes on.
///
/// # Errors
/// [`TelemetryError`] if something in the configuration cannot be used. That a
/// collector does not answer is no error.
pub fn start(engine: &Engine, role: Role) -> Result<Guard, TelemetryError> {
    init(&engine.log)?;
    let config = &engine.telemetry;
    let lost = Arc::new(Lost::default());
    let to = destination(config)?;
    let resource = resource(config, role);
    let traces = match &to {
        Some(to) => Some(traces(
            to,
            config,
            resource.clone(),
            &lost,
            messaging_system(&engine.queue),
        )?),
        None => None,
    };
    let metrics = if to.is_some() || config.listen.is_some() {
        Some(measure(to.as_ref(), config, resource, &lost)?)
    } else {
        None
    };
    Ok(Guard { traces, metrics, lost })
}

/// Holds the telemetry of a process; what is finished is sent when it goes.
#[must_use = "telemetry ends when its guard is dropped"]
#[derive(Debug)]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    lost: Arc<Lost>,
}

impl Guard {
    /// Sends what is finished, for two seconds at most. Blocks: what still
    /// runs should run on another thread.
    pub fn shutdown(mut self) {
        self.flush();
    }

    fn flush(&mut self) {
        let until = Instant::now() + FLUSH_MAX;
        let (done, wait) = mpsc::channel();
        let mut flushing = 0;
        // Each on a thread of its own, which is left behind if it is late: the
        // collector's silence is not ours.
        if let Some(traces) = self.traces.take() {
            flushing += 1;
            let done = done.clone();
            std::thread::spawn(move || {
                drop(traces.shutdown_with_timeout(FLUSH_MAX));
                // Nobody waits any more: then it was late.
                let _ = done.send(());
            });
        }
        if let Some(metrics) = self.metrics.take() {
            flushing += 1;
            std::thread::spawn(move || {
                drop(metrics.shutdown_with_timeout(FLUSH_MAX));
                // Nobody waits any more: then it was late.
                let _ = done.send(());
            });
        }
        for _ in 0..flushing {
            let left = until.saturating_duration_since(Instant::now());
            if wait.recv_timeout(left).is_err() {
                break;
            }
        }
        let lost: u64 = self.lost.all().iter().map(|(_, _, n)| n).sum();
        let lost = lost + u64::try_from(self.lost.waiting()).unwrap_or(u64::MAX);
        if flushing > 0 && lost > 0 {
            tracing::warn!(lost, "telemetry was lost; what was done is in the ledger all the same");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What carries the messages, as OpenTelemetry names it.
fn messaging_system(queue: &QueueUrl) -> &'static str {
    match queue {
        QueueUrl::Memory => "memory",
        QueueUrl::Rabbit(_) => trace::RABBITMQ,
    }
}

fn set(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|v| !v.trim().is_empty())
}

fn destination(config: &TelemetryConfig) -> Result<Option<Destination>, TelemetryError> {
    let disabled = set(DISABLED_VARIABLE).is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let wanted = config.otlp.is_some() || ENDPOINT_VARIABLES.iter().any(|v| set(v).is_some());
    if disabled || !wanted {
        return Ok(None);
    }
    // Another part of the process may have installed one; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = std::collections::HashMap::new();
    for (name, reference) in &config.headers {
        let secret = reference.read().map_err(|why| TelemetryError::Header {
            header: name.clone(),
            why,
        })?;
        headers.insert(name.clone(), secret.expose().to_owned());
    }
    Ok(Some(Destination {
        base: config.otlp.clone(),
        headers,
    }))
}

fn resource(config: &TelemetryConfig, role: Role) -> Resource {
    let configured = config.service_names.get(&role).map(String::as_str);
    let by_default = configured.is_none_or(|name| name == role.service_name());
    let name = set(SERVICE_VARIABLE).filter(|_| by_default);
    let name = name.unwrap_or_else(|| configured.unwrap_or(role.service_name()).to_owned());
    let instance = config.instance.clone().unwrap_or_else(random_instance);
    Resource::builder()
        .with_service_name(name)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance))
        .build()
}

fn random_instance() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Without chance the process id tells instances apart well enough.
        bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
    }
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn traces(
    to: &Destination,
    config: &TelemetryConfig,
    resource: Resource,
    lost: &Arc<Lost>,
    messaging_system: &'static str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = to.spans().map_err(|e| export("traces", &e))?;
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(sampler::Episodes::new(root_sampler(config.sample_ppm)))
        .with_max_links_per_span(u32::try_from(trail::EPISODES_MAX).unwrap_or(u32::MAX))
        .with_span_processor(Sending::new(exporter, lost.clone()))
        .build();
    trace::begin(provider.tracer("offboard"), messaging_system);
    Ok(provider)
}

/// Of what begins by itself: the configured share, or what OpenTelemetry's
/// variables say, or everything.
fn root_sampler(ppm: Option<u32>) -> Box<dyn ShouldSample> {
    match ppm {
        Some(ppm) => Box::new(Sampler::TraceIdRatioBased(f64::from(ppm) / WHOLE_PPM)),
        None => TraceConfig::default().sampler,
    }
}

fn measure(
    to: Option<&Destination>,
    config: &TelemetryConfig,
    resource: Resource,
    lost: &Arc<Lost>,
) -> Result<SdkMeterProvider, TelemetryError> {
    let mut provider = SdkMeterProvider::builder().with_resource(resource);
    if let Some(to) = to {
        let exporter = to.metrics().map_err(|e| export("metrics", &e))?;
        provider =
            provider.with_reader(PeriodicReader::builder(CountedExport::metrics(exporter, lost.clone())).build());
    }
    let registry = config.listen.map(|_| prometheus::Registry::new());
    if let Some(registry) = &registry {
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|e| export("metrics", &e))?;
        provider = provider.with_reader(reader);
    }
    let provider = provider.build();
    metrics::begin(Metrics::new(&provider, registry, lost, config.tenant_labels));
    Ok(provider)
}

fn export(signal: &'static str, error: &dyn std::error::Error) -> TelemetryError {
    TelemetryError::Export {
        signal,
        detail: error.to_string(),
    }
}
