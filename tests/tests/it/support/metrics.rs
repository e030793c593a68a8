//! A process's `/metrics` page, read as numbers.

use std::collections::BTreeMap;

use super::wait;

/// The samples of one page, or sums of several.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// What the processes with these admin ports say, summed up.
    pub(crate) fn of(admin_ports: &[u16]) -> Self {
        let mut sum = Self::default();
        for port in admin_ports {
            let (status, page) = wait::http_get(*port, "/metrics").expect("the admin port answers");
            assert_eq!(status, 200, "{page}");
            let body = page.lines().filter(|line| !line.starts_with('#'));
            for (series, value) in body.filter_map(|line| line.rsplit_once(' ')) {
                // Headers of the answer are no numbers.
                if let Ok(value) = value.trim().parse::<f64>() {
                    *sum.samples.entry(series.to_owned()).or_default() += value;
                }
            }
        }
        sum
    }

    /// One series, as Prometheus writes it: `retail_jobs_total{state="failed"}`.
    pub(crate) fn get(&self, series: &str) -> f64 {
        let found = self.samples.get(series);
        *found.unwrap_or_else(|| panic!("there is no {series} in {:#?}", self.ours()))
    }

    /// Every series of ours that grew since `before`, without times and without gauges of the machine.
    pub(crate) fn grown_since(&self, before: &Self) -> Vec<String> {
        let counters = self.samples.iter().filter(|(series, _)| {
            let name = series.split('{').next().unwrap_or_default();
            name.starts_with("retail_") && name.ends_with("_total")
        });
        counters
            .filter(|(series, now)| {
                before.samples.get(*series).copied().unwrap_or_default() < **now
            })
            .map(|(series, _)| series.clone())
            .collect()
    }

    fn ours(&self) -> Vec<&String> {
        let names = self.samples.keys();
        names
            .filter(|series| series.starts_with("retail_"))
            .collect()
    }
}
