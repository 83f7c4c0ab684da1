//! Sending traces and metrics by OTLP, and losing them gracefully.
//!
//! A departure never waits for telemetry: what is finished goes into a bounded
//! queue and is sent by a thread of its own. What does not fit, what the
//! collector does not take and what comes after the end is lost, counted, and
//! said once.

use opentelemetry::Context;
use opentelemetry_otlp::{MetricExporter, SpanExporter as OtlpSpans};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Most spans that wait to be sent, unless `OTEL_BSP_MAX_QUEUE_SIZE` says
/// otherwise: about 8 MB of them.
const WAITING_MAX: usize = 8_192;
/// The variable of OpenTelemetry that says otherwise.
const WAITING_MAX_VARIABLE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";

/// What was lost, by why.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Spans for which there was no room.
    pub(super) spans_full: AtomicU64,
    /// Spans that the collector did not take.
    pub(super) spans_refused: AtomicU64,
    /// Spans that ended after the end.
    pub(super) spans_late: AtomicU64,
    /// Readings of metrics that the collector did not take.
    pub(super) metrics_refused: AtomicU64,
    waiting: AtomicUsize,
}

impl Lost {
    /// Spans that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// What was lost: signal, why, how much.
    pub(super) fn all(&self) -> [(&'static str, &'static str, u64); 4] {
        let n = |a: &AtomicU64| a.load(Ordering::Relaxed);
        [
            ("traces", "queue_full", n(&self.spans_full)),
            ("traces", "refused", n(&self.spans_refused)),
            ("traces", "too_late", n(&self.spans_late)),
            ("metrics", "refused", n(&self.metrics_refused)),
        ]
    }
}

/// The queue and the thread that send spans.
#[derive(Debug)]
pub(super) struct Sending {
    batches: BatchSpanProcessor,
    most: usize,
    ended: AtomicBool,
    lost: Arc<Lost>,
}

impl Sending {
    pub(super) fn new<E: SpanExporter + 'static>(exporter: E, lost: Arc<Lost>) -> Self {
        let configured = std::env::var(WAITING_MAX_VARIABLE).ok().and_then(|v| v.parse().ok());
        Self::bounded(exporter, lost, configured.filter(|n| *n > 0).unwrap_or(WAITING_MAX))
    }

    fn bounded<E: SpanExporter + 'static>(exporter: E, lost: Arc<Lost>, most: usize) -> Self {
        let batches = BatchConfigBuilder::default().with_max_queue_size(most).build();
        let exporter = Counted {
            exporter,
            lost: lost.clone(),
            silent: Silence::new("traces"),
        };
        Self {
            batches: BatchSpanProcessor::builder(exporter).with_batch_config(batches).build(),
            most,
            ended: AtomicBool::new(false),
            lost,
        }
    }
}

impl SpanProcessor for Sending {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.batches.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if self.ended.load(Ordering::Relaxed) {
            self.lost.spans_late.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Counted here before they enter and there after they were taken out,
        // so that the queue itself is never full.
        if self.lost.waiting.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.lost.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.spans_full.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.ended.store(true, Ordering::Relaxed);
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// An exporter whose failures are counted.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    lost: Arc<Lost>,
    silent: Silence,
}

impl Counted<MetricExporter> {
    pub(super) fn metrics(exporter: MetricExporter, lost: Arc<Lost>) -> Self {
        Self {
            exporter,
            lost,
            silent: Silence::new("metrics"),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.lost.waiting.fetch_sub(spans, Ordering::Relaxed);
        if result.is_err() {
            let spans = u64::try_from(spans).unwrap_or(u64::MAX);
            self.lost.spans_refused.fetch_add(spans, Ordering::Relaxed);
        }
        self.silent.heard(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl PushMetricExporter for Counted<MetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        if result.is_err() {
            self.lost.metrics_refused.fetch_add(1, Ordering::Relaxed);
        }
        self.silent.heard(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// Says once that a collector does not take what is sent, and once that it does.
#[derive(Debug)]
struct Silence {
    signal: &'static str,
    silent: AtomicBool,
}

impl Silence {
    fn new(signal: &'static str) -> Self {
        Self {
            signal,
            silent: AtomicBool::new(false),
        }
    }

    fn heard(&self, result: &Result<(), OTelSdkError>) {
        let signal = self.signal;
        match result {
            Err(error) if !self.silent.swap(true, Ordering::Relaxed) => {
                tracing::warn!(signal, %error, "the collector does not take telemetry; it is lost and counted until it does, and departures go on");
            }
            Ok(()) if self.silent.swap(false, Ordering::Relaxed) => {
                tracing::info!(signal, "the collector takes telemetry again");
            }
            _ => {}
        }
    }
}

/// Where this process sends to, and with what.
pub(super) struct Destination {
    /// The base, if it is configured; else the variables of OpenTelemetry say.
    pub(super) base: Option<String>,
    /// Headers, secrets among them.
    pub(super) headers: std::collections::HashMap<String, String>,
}

impl Destination {
    /// An exporter of spans.
    pub(super) fn spans(&self) -> Result<OtlpSpans, opentelemetry_otlp::ExporterBuildError> {
        use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
        let mut builder = OtlpSpans::builder().with_http().with_headers(self.headers.clone());
        if let Some(base) = &self.base {
            builder = builder.with_endpoint(format!("{base}/v1/traces"));
        }
        builder.build()
    }

    /// An exporter of metrics.
    pub(super) fn metrics(&self) -> Result<MetricExporter, opentelemetry_otlp::ExporterBuildError> {
        use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
        let mut builder = MetricExporter::builder().with_http().with_headers(self.headers.clone());
        if let Some(base) = &self.base {
            builder = builder.with_endpoint(format!("{base}/v1/metrics"));
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::sync::mpsc;

    #[derive(Debug)]
    struct Slow(std::sync::Mutex<mpsc::Receiver<OTelSdkResult>>);

    impl SpanExporter for Slow {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().recv().unwrap_or(Ok(()))
        }
    }

    fn spans(provider: &SdkTracerProvider, n: usize) {
        let tracer = provider.tracer("test");
        for _ in 0..n {
            drop(tracer.start("x"));
        }
    }

    #[test]
    fn what_is_lost_is_counted_and_nobody_waits_for_it() {
        let lost = Arc::new(Lost::default());
        let (answer, answers) = mpsc::channel();
        let sending = Sending::bounded(Slow(answers.into()), lost.clone(), 10);
        let provider = SdkTracerProvider::builder().with_span_processor(sending).build();
        spans(&provider, 25);
        let by = |why: &str| lost.all().iter().find(|(_, w, _)| *w == why).unwrap().2;
        assert_eq!((by("queue_full"), lost.waiting()), (15, 10));
        answer.send(Err(OTelSdkError::InternalFailure("no".into()))).unwrap();
        drop(provider.force_flush());
        assert_eq!((by("refused"), lost.waiting()), (10, 0));
        spans(&provider, 3);
        let began = std::time::Instant::now();
        assert!(provider.shutdown_with_timeout(Duration::from_millis(50)).is_err());
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(lost.waiting(), 3, "still waiting for the answer");
    }
}
