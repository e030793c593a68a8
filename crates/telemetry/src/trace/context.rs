//! Which span a span belongs to, across processes: W3C `traceparent` texts and the ids of stages.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt, get_otel_context};

/// The header, and the field of a plan, that names a span.
const TRACEPARENT: &str = "traceparent";

/// A span's ids as people and machines read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: String,
    pub span_id: String,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl From<&SpanContext> for TraceContext {
    fn from(context: &SpanContext) -> Self {
        Self {
            trace_id: context.trace_id().to_string(),
            span_id: context.span_id().to_string(),
            sampled: context.is_sampled(),
        }
    }
}

/// The ids of a span; none where tracing is off.
pub fn of(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let span = context.span();
    span.span_context()
        .is_valid()
        .then(|| span.span_context().into())
}

/// The same for a subscriber's span.
pub fn context_of(id: &tracing::span::Id) -> Option<TraceContext> {
    let context = tracing::dispatcher::get_default(|dispatch| get_otel_context(id, dispatch))?;
    let span = context.span();
    span.span_context()
        .is_valid()
        .then(|| span.span_context().into())
}

/// The id of a span's trace, if it is recorded: what a person can look up.
pub fn trace_id(span: &Span) -> Option<String> {
    of(span)
        .filter(|context| context.sampled)
        .map(|context| context.trace_id)
}

/// A span as other processes name it; none where tracing is off.
pub fn traceparent(span: &Span) -> Option<String> {
    written(&span.context())
}

/// Puts a new span under one of another process. A text that is no `traceparent` is ignored, as W3C requires.
pub fn follow(span: &Span, traceparent: &str) {
    if let Some(parent) = parse(traceparent) {
        // Where tracing is off there is nothing to be put.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// What the tasks of a query's stage are put under.
pub fn stage_parent(query: &str, stage: usize) -> Option<String> {
    let query = parse(query)?;
    let span = SpanContext::new(
        query.trace_id(),
        stage_id(&query, stage),
        query.trace_flags(),
        true,
        TraceState::NONE,
    );
    written(&Context::new().with_remote_span_context(span))
}

/// The span of a context as W3C writes it; none if it has no span.
fn written(context: &Context) -> Option<String> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut headers);
    headers.remove(TRACEPARENT)
}

/// FNV-1a over the query's ids and the stage's number: every process comes to the same.
pub(super) fn stage_id(query: &SpanContext, stage: usize) -> SpanId {
    let bytes = query
        .trace_id()
        .to_bytes()
        .into_iter()
        .chain(query.span_id().to_bytes())
        .chain((stage as u64).to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // Zero is no id.
    SpanId::from_bytes(hash.max(1).to_be_bytes())
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; later versions may have more after it.
pub(super) fn parse(traceparent: &str) -> Option<SpanContext> {
    // The propagator takes any number in hex for a field: a short one, or one with a sign.
    let mut fields = traceparent.trim().split('-');
    let is_field = |length| {
        let field = fields.next()?;
        (field.len() == length && !field.starts_with('+')).then_some(())
    };
    [2, 32, 16, 2].into_iter().try_for_each(is_field)?;
    let headers = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    // Not over the current context, which it gives back for a text that it refuses.
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUERY: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_that_w3c_would_refuse_is_ignored() {
        assert!(parse(QUERY).is_some_and(|c| c.is_sampled()));
        assert!(parse(&QUERY.replace("-01", "-00")).is_some_and(|c| !c.is_sampled()));
        assert!(parse(&QUERY.replace("00-4", "01-4").replace("-01", "-01-later")).is_some());
        for wrong in [
            "",
            "00",
            &QUERY.to_uppercase(),
            &QUERY.replace("00-4", "ff-4"),
            &QUERY.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &QUERY.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &QUERY.replace("-01", "-1"),
            &format!("{QUERY}-more"),
            "00-é-é-01",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn each_stage_of_each_query_has_an_id_that_every_process_finds() {
        let first = stage_parent(QUERY, 1).unwrap();
        assert_eq!(
            first,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-900bf3113e86ed54-01"
        );
        assert_ne!(stage_parent(QUERY, 2).unwrap(), first);
        let other = QUERY.replace("02b7", "02b8");
        assert_ne!(stage_parent(&other, 1).unwrap(), first);
        assert!(
            stage_parent(&QUERY.replace("-01", "-00"), 1)
                .unwrap()
                .ends_with("-00")
        );
        assert_eq!(stage_parent("", 1), None);
    }

    /// A span's name with one character replaced, which may be a separator.
    fn nearly() -> impl Strategy<Value = String> {
        let names = "0[01]-[0-9a-f]{32}-[0-9a-f]{16}-0[01]";
        (names, 0..55_usize, "[+ -]|[0-9a-fA-G]").prop_map(|(mut name, at, other)| {
            name.replace_range(at..=at, &other);
            name
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn a_span_is_read_as_it_was_written(trace in 1..=u128::MAX, span in 1..=u64::MAX, sampled: bool, stage in 0..9_usize) {
            let name = format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled));
            let read = parse(&name).unwrap();
            prop_assert_eq!(read.trace_id().to_bytes(), trace.to_be_bytes());
            prop_assert_eq!(read.span_id().to_bytes(), span.to_be_bytes());
            prop_assert_eq!(read.is_sampled(), sampled);
            let context = Context::new().with_remote_span_context(read.clone());
            prop_assert_eq!(written(&context), Some(name.clone()));
            let stage_of = parse(&stage_parent(&name, stage).unwrap()).unwrap();
            prop_assert_eq!(stage_of.span_id(), stage_id(&read, stage));
            prop_assert_eq!((stage_of.trace_id(), stage_of.is_sampled()), (read.trace_id(), sampled));
        }

        #[test]
        fn a_span_is_never_another_one_than_its_text_names(text in prop_oneof![nearly(), any::<String>()]) {
            if let Some(span) = parse(&text) {
                let ids = format!("-{}-{}-", span.trace_id(), span.span_id());
                prop_assert!(text.contains(&ids), "{} is not in {}", ids, text);
            }
        }
    }
}
