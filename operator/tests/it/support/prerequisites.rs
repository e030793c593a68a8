//! What a test needs from outside. A test that lacks it skips itself, and reports that.

use std::io::Write;

/// The kubeconfig of an API server that tests may fill and empty: `services/kubernetes.sh start DIR` prints one.
pub fn kubeconfig() -> Option<String> {
    let path = std::env::var("RETAIL_TEST_KUBECONFIG").ok();
    if path.is_none() {
        skipped("no Kubernetes API server (RETAIL_TEST_KUBECONFIG is not set)");
    }
    path
}

/// Reports that this test was skipped: on stderr, which the harness captures, and in the list that `./test` counts.
fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped: {test}: {why}");
    if let Some(list) = std::env::var_os("RETAIL_TEST_SKIPS") {
        let mut list = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .unwrap();
        writeln!(list, "{test}: {why}").unwrap();
    }
}
