//! A gauge by names of the project: tables, models.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus::GaugeVec;

/// Stands for the names beyond the cap.
const OTHER: &str = "other";

/// A gauge with one label whose values are names that a project gives, and no more than so many of them.
///
/// A project has some hundred tables; a mistake that makes thousands must not fill Prometheus.
pub struct Capped {
    pub(super) gauges: GaugeVec,
    cap: usize,
    known: Mutex<BTreeSet<String>>,
}

impl Capped {
    pub(super) fn new(gauges: GaugeVec, cap: usize) -> Self {
        Self {
            gauges,
            cap,
            known: Mutex::default(),
        }
    }

    /// Sets the gauge of a name; of a name too many, the one called `other`.
    pub fn set(&self, name: &str, value: f64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let label = if known.contains(name) {
            name
        } else if known.len() < self.cap {
            known.insert(name.to_owned());
            name
        } else {
            OTHER
        };
        self.gauges.with_label_values(&[label]).set(value);
    }

    /// Forgets every name but these.
    pub fn keep(&self, names: &BTreeSet<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name| {
            let stays = names.contains(name);
            if !stays {
                // The only error is that nobody set it.
                let _ = self.gauges.remove_label_values(&[name]);
            }
            stays
        });
        if names.len() <= self.cap {
            let _ = self.gauges.remove_label_values(&[OTHER]);
        }
    }
}
