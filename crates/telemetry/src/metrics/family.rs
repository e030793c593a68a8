//! How each kind of metric is made from its line in the list.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts,
};

use super::{Capped, Kind, Spec, Values};

pub(super) const NAMES: &str = "each metric is listed once and under a valid name";

/// A metric that can be made from its line in the list.
pub(super) trait Family: Sized {
    const KIND: Kind;

    fn new(spec: &Spec) -> Self;

    fn collector(&self) -> Box<dyn Collector>;
}

macro_rules! family {
    ($type:ty, $kind:ident, |$spec:ident| $new:expr) => {
        impl Family for $type {
            const KIND: Kind = Kind::$kind;

            fn new($spec: &Spec) -> Self {
                $new.expect(NAMES)
            }

            fn collector(&self) -> Box<dyn Collector> {
                Box::new(self.clone())
            }
        }
    };
}

family!(IntCounter, Counter, |spec| IntCounter::with_opts(opts(
    spec
)));
family!(IntGauge, Gauge, |spec| IntGauge::with_opts(opts(spec)));
family!(Gauge, Gauge, |spec| Gauge::with_opts(opts(spec)));
family!(Histogram, Histogram, |spec| Histogram::with_opts(
    histogram_opts(spec)
));
family!(IntCounterVec, Counter, |spec| started(
    spec,
    IntCounterVec::new(opts(spec), &names(spec)),
    |made, values| {
        made.with_label_values(values);
    }
));
family!(IntGaugeVec, Gauge, |spec| started(
    spec,
    IntGaugeVec::new(opts(spec), &names(spec)),
    |made, values| {
        made.with_label_values(values);
    }
));
family!(HistogramVec, Histogram, |spec| started(
    spec,
    HistogramVec::new(histogram_opts(spec), &names(spec)),
    |made, values| {
        made.with_label_values(values);
    }
));

impl Family for Capped {
    const KIND: Kind = Kind::Gauge;

    fn new(spec: &Spec) -> Self {
        let cap = match spec.labels {
            [label] => match label.values {
                Values::Capped(cap) => cap,
                _ => 0,
            },
            _ => 0,
        };
        Self::new(GaugeVec::new(opts(spec), &names(spec)).expect(NAMES), cap)
    }

    fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.gauges.clone())
    }
}

fn opts(spec: &Spec) -> Opts {
    Opts::new(spec.name, spec.help)
}

fn histogram_opts(spec: &Spec) -> HistogramOpts {
    HistogramOpts::new(spec.name, spec.help).buckets(spec.buckets.to_vec())
}

fn names(spec: &Spec) -> Vec<&'static str> {
    spec.labels.iter().map(|label| label.name).collect()
}

/// Starts the series of every combination of closed label values; with another kind of label there are none yet.
fn started<V, E>(spec: &Spec, made: Result<V, E>, start: impl Fn(&V, &[&str])) -> Result<V, E> {
    let made = made?;
    let mut combinations: Vec<Vec<&str>> = vec![vec![]];
    for label in spec.labels {
        let Values::Closed(values) = label.values else {
            return Ok(made);
        };
        combinations = combinations
            .iter()
            .flat_map(|begun| {
                values.iter().map(move |value| {
                    let mut longer = begun.clone();
                    longer.push(value);
                    longer
                })
            })
            .collect();
    }
    for values in &combinations {
        start(&made, values);
    }
    Ok(made)
}
