//! What reaches the log: events by level and target, and of spans only ours.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::{Context, Filter};

/// A level's filter for events. Our spans pass whatever the level is: a warning must name its job, and
/// text lines do without spans.
pub(super) struct LogFilter {
    events: EnvFilter,
    with_spans: bool,
}

impl LogFilter {
    pub(super) fn new(events: EnvFilter, with_spans: bool) -> Self {
        Self { events, with_spans }
    }

    fn passes(&self, span: &Metadata<'_>) -> bool {
        self.with_spans && is_ours(span)
    }
}

impl<S> Filter<S> for LogFilter {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        if metadata.is_span() {
            return self.passes(metadata);
        }
        Filter::enabled(&self.events, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.is_span() {
            true if self.passes(metadata) => Interest::always(),
            true => Interest::never(),
            false => Filter::<S>::callsite_enabled(&self.events, metadata),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let events = Filter::<S>::max_level_hint(&self.events);
        match self.with_spans {
            true => events.map(|level| level.max(LevelFilter::INFO)),
            false => events,
        }
    }
}

/// The spans that name what a line is about.
pub(super) fn our_spans() -> FilterFn {
    FilterFn::new(is_ours as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO)
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && *metadata.level() <= Level::INFO
        && metadata.target().starts_with("retail_")
}
