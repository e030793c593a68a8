//! What a query belongs to, sent to executors with its tasks, and spans that follow work into the tasks it starts.

use std::any::Any;
use std::sync::Once;

use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use datafusion::common::{Result, config_err};
use datafusion::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::{Instrument, Span};

/// Settings of a session that name what its query belongs to. Ballista sends a session's settings with each task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryContext {
    /// The query's span, as W3C writes it; empty without tracing.
    pub traceparent: String,
    /// The job's id; empty for an ad-hoc statement.
    pub job: String,
    /// The model's name; empty for an ad-hoc statement.
    pub model: String,
}

impl ConfigExtension for QueryContext {
    const PREFIX: &'static str = "retail";
}

// By hand: DataFusion's macro names the entries without the prefix that setting them requires.
impl ExtensionOptions for QueryContext {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let field = match key {
            "traceparent" => &mut self.traceparent,
            "job" => &mut self.job,
            "model" => &mut self.model,
            _ => return config_err!("unknown setting retail.{key}"),
        };
        value.clone_into(field);
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let entry = |key: &str, value: &str, description| ConfigEntry {
            key: format!("{}.{key}", Self::PREFIX),
            value: Some(value.to_owned()),
            description,
        };
        vec![
            entry("traceparent", &self.traceparent, "The query's span"),
            entry("job", &self.job, "The job that the query is of"),
            entry("model", &self.model, "The model that the query makes"),
        ]
    }
}

/// DataFusion runs parts of a plan as tasks of the runtime's own: their requests belong to the plan's span.
pub(crate) fn follow_spawned_work() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The only error is that a program which embeds us has set its own.
        let _ = set_join_set_tracer(&InSpan);
    });
}

struct InSpan;

type Output = Box<dyn Any + Send>;

impl JoinSetTracer for InSpan {
    fn trace_future(&self, future: BoxFuture<'static, Output>) -> BoxFuture<'static, Output> {
        match Span::current() {
            none if none.is_none() => future,
            span => future.instrument(span).boxed(),
        }
    }

    fn trace_block(
        &self,
        block: Box<dyn FnOnce() -> Output + Send>,
    ) -> Box<dyn FnOnce() -> Output + Send> {
        match Span::current() {
            none if none.is_none() => block,
            span => Box::new(move || span.in_scope(block)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ballista_core::extension::SessionConfigHelperExt;

    use super::*;
    use crate::config::EngineConfig;
    use crate::session::session_config;

    #[test]
    fn a_querys_origin_comes_with_its_settings() {
        let mut sent = session_config(&EngineConfig::default(), 1);
        let context = QueryContext {
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
            job: "7f3a".to_owned(),
            model: "marts.sales".to_owned(),
        };
        sent.options_mut().extensions.insert(context.clone());
        let received = session_config(&EngineConfig::default(), 8)
            .update_from_key_value_pair(&sent.to_key_value_pairs());
        let received = received.options().extensions.get::<QueryContext>().unwrap();
        assert_eq!(received.traceparent, context.traceparent);
        assert_eq!(
            (&received.job, &received.model),
            (&context.job, &context.model)
        );
    }
}
