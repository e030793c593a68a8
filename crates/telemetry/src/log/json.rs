//! A log line as one JSON object.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::fields::{CONTEXT, SpanFields};
use crate::trace;

/// `{"timestamp":…,"level":…,"message":…,<the event's fields>,"target":…,"trace_id":…,"job":…,"model":…}`
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        line.first("level", metadata.level().as_str().into());
        line.first("timestamp", timestamp.into());
        let target = line.log_target.take();
        line.absent(
            "target",
            target
                .unwrap_or_else(|| metadata.target().to_owned())
                .into(),
        );
        let Some(span) = context.lookup_current() else {
            return line.write(&mut writer);
        };
        if let Some(trace) = trace::context_of(&span.id()) {
            line.absent("trace_id", trace.trace_id.into());
            line.absent("span_id", trace.span_id.into());
        }
        // The innermost span's word counts.
        let mut about: [Option<Value>; CONTEXT.len()] = Default::default();
        for span in span.scope() {
            let extensions = span.extensions();
            let fields = extensions.get::<SpanFields>();
            for (name, value) in fields.into_iter().flat_map(|fields| &fields.0) {
                let at = CONTEXT.iter().position(|known| known == name);
                if let Some(empty) = at.map(|at| &mut about[at]).filter(|v| v.is_none()) {
                    *empty = Some(value.clone());
                }
            }
        }
        for (name, value) in CONTEXT.into_iter().zip(about) {
            if let Some(value) = value {
                line.absent(name, value);
            }
        }
        line.write(&mut writer)
    }
}

/// Keys and values in their order.
#[derive(Default)]
struct Line {
    entries: Vec<(&'static str, Value)>,
    /// The target of a line of the `log` crate.
    log_target: Option<String>,
}

impl Line {
    fn first(&mut self, name: &'static str, value: Value) {
        self.entries.insert(0, (name, value));
    }

    /// The event's own fields take precedence.
    fn absent(&mut self, name: &'static str, value: Value) {
        if self.entries.iter().all(|(known, _)| *known != name) {
            self.entries.push((name, value));
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "log.target" => self.log_target = value.as_str().map(str::to_owned),
            name if name.starts_with("log.") => {}
            "message" => self.first("message", value),
            name => self.entries.push((name.trim_start_matches("r#"), value)),
        }
    }

    fn write(self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_char('{')?;
        for (at, (name, value)) in self.entries.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(writer, "{comma}{}:{value}", Value::from(*name))?;
        }
        writer.write_str("}\n")
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}
