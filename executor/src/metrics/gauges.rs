//! What an executor has now: memory and disk, read at each scrape.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use datafusion::execution::memory_pool::MemoryPool;
use parking_lot::Mutex;
use retail_telemetry::admin::OnScrape;
use retail_telemetry::metrics;

/// The memory pools of this process's executors. Each query's session has one of its own.
static POOLS: Mutex<Vec<Weak<dyn MemoryPool>>> = Mutex::new(vec![]);

/// Counts this pool's memory, as long as the pool lives.
pub(crate) fn watch(pool: &Arc<dyn MemoryPool>) {
    let mut pools = POOLS.lock();
    pools.retain(|pool| pool.strong_count() > 0);
    pools.push(Arc::downgrade(pool));
}

/// Brings the gauges up to date before each answer to `/metrics`; in `work_dir` lie shuffle and spill files.
pub(crate) fn on_scrape(work_dir: PathBuf) -> OnScrape {
    Arc::new(move || {
        read(&work_dir);
        Box::pin(std::future::ready(()))
    })
}

fn read(work_dir: &Path) {
    let pools = POOLS.lock();
    let used: usize = pools
        .iter()
        .filter_map(Weak::upgrade)
        .map(|pool| pool.reserved())
        .sum();
    drop(pools);
    metrics().memory_pool_used_bytes.set(used as f64);
    // Where the folder is not there yet, or not any more, the last answer stays.
    if let Ok(disk) = rustix::fs::statvfs(work_dir) {
        let bytes = |blocks: u64| blocks as f64 * disk.f_frsize as f64;
        metrics().disk_free_bytes.set(bytes(disk.f_bavail));
        metrics().disk_size_bytes.set(bytes(disk.f_blocks));
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer};

    use super::*;

    #[test]
    fn memory_is_summed_over_the_pools_that_live_and_the_disk_is_there() {
        let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(1000));
        watch(&pool);
        let gone: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(1000));
        watch(&gone);
        drop(gone);
        let held = MemoryConsumer::new("a sort").register(&pool);
        held.try_grow(300).unwrap();
        read(&std::env::temp_dir());
        assert_eq!(metrics().memory_pool_used_bytes.get(), 300.0);
        let (free, size) = (
            metrics().disk_free_bytes.get(),
            metrics().disk_size_bytes.get(),
        );
        assert!(0.0 < free && free <= size, "{free} of {size}");
    }
}
