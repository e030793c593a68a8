//! How an executor's memory is shared: a part for each slot, and for each session as many parts as it has slots here.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::bail;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};

/// Consumers named in an out-of-memory error.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(5).expect("five is not zero");

/// Bytes that the operators of one slot may reserve.
///
/// # Errors
/// There is less than a byte for each slot.
pub(crate) fn per_slot(memory_bytes: u64, slots: usize) -> anyhow::Result<usize> {
    let per_slot = (memory_bytes / slots.max(1) as u64) as usize;
    if per_slot == 0 {
        bail!("{memory_bytes} bytes of memory do not suffice for {slots} slots");
    }
    Ok(per_slot)
}

/// The memory of a session with so many slots here; operators that can spill share it fairly, and do so when it is used up.
pub(crate) fn pool(per_slot: usize, slots: usize) -> Arc<dyn MemoryPool> {
    let shared = FairSpillPool::new(per_slot.saturating_mul(slots.max(1)));
    Arc::new(TrackConsumersPool::new(shared, NAMED_CONSUMERS))
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn every_slot_has_the_same_part_of_the_memory() {
        assert_eq!(per_slot(4 << 30, 4).unwrap(), 1 << 30);
        assert_eq!(per_slot(1000, 3).unwrap(), 333);
        assert_eq!(per_slot(1000, 0).unwrap(), 1000);
        let refused = per_slot(3, 4).unwrap_err().to_string();
        assert_eq!(refused, "3 bytes of memory do not suffice for 4 slots");
    }

    #[test]
    fn a_session_may_reserve_the_parts_of_its_slots_and_no_more() {
        let pool = pool(100, 3);
        let sort = MemoryConsumer::new("a sort").register(&pool);
        sort.try_grow(300).unwrap();
        let refused = sort.try_grow(1).unwrap_err().to_string();
        assert!(refused.contains("a sort"), "{refused}");
        assert_eq!(pool.reserved(), 300);
    }

    #[test]
    fn operators_that_spill_share_a_sessions_memory_fairly() {
        let pool = pool(100, 2);
        let spilling = |name: &str| {
            let consumer = MemoryConsumer::new(name).with_can_spill(true);
            consumer.register(&pool)
        };
        let (first, second) = (spilling("first"), spilling("second"));
        first.try_grow(100).unwrap();
        assert!(first.try_grow(1).is_err(), "the other half is not its own");
        second.try_grow(100).unwrap();
    }

    #[test]
    fn a_session_without_slots_has_the_memory_of_one() {
        let pool = pool(100, 0);
        let sort = MemoryConsumer::new("a sort").register(&pool);
        sort.try_grow(100).unwrap();
    }
}
