//! What the work in progress is about: kept with each span, for log lines and for what is sent to other processes.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// The fields of spans that every log line within repeats, outermost first.
pub const CONTEXT: [&str; 5] = ["job", "model", "query", "stage", "task"];

/// A span's own values of [`CONTEXT`].
#[derive(Debug, Default)]
pub(crate) struct SpanFields(pub(crate) Vec<(&'static str, Value)>);

/// Keeps [`SpanFields`] with each span.
#[derive(Debug, Default)]
pub(crate) struct Fields {}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Fields {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = SpanFields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(fields);
        }
    }
}

impl SpanFields {
    fn put(&mut self, field: &Field, value: Value) {
        let Some(name) = CONTEXT.into_iter().find(|name| *name == field.name()) else {
            return;
        };
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Visit for SpanFields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

/// The value of `name`, one of [`CONTEXT`], in the spans around this line; the innermost counts.
pub fn current(name: &str) -> Option<String> {
    let found = Span::current().with_subscriber(|(id, dispatch)| {
        let spans = dispatch.downcast_ref::<Registry>()?;
        let span = spans.span(id)?;
        span.scope().find_map(|span| {
            let extensions = span.extensions();
            let fields = extensions.get::<SpanFields>()?;
            let (_, value) = fields.0.iter().find(|(known, _)| *known == name)?;
            Some(match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        })
    });
    found.flatten()
}
