//! Which span a span belongs to, across processes: W3C `traceparent` texts and the ids of stages.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt, get_otel_context};

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
    of(span).map(|context| {
        let flags = u8::from(context.sampled);
        format!("00-{}-{}-{flags:02x}", context.trace_id, context.span_id)
    })
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
    let context = parse(query)?;
    let flags = u8::from(context.is_sampled());
    let span = stage_id(&context, stage);
    Some(format!("00-{}-{span}-{flags:02x}", context.trace_id()))
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
    let mut parts = traceparent.trim().split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let known =
        is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !known || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
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
}
