//! Randomness that depends on nothing but the seed and what is drawn for.

use rand::RngCore;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Numbers for one entity: the same ones whenever, and in whatever order, the entity is made.
pub(crate) struct Draw(ChaCha8Rng);

/// What is drawn for; each has numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Customer = 1,
    Seller = 2,
    Product = 3,
    Order = 4,
}

impl Draw {
    /// The numbers of entity `index` of `subject`.
    pub(crate) fn of(seed: u64, subject: Subject, index: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ ((subject as u64) << 60));
        rng.set_stream(index);
        Self(rng)
    }

    /// A number from 0 to `n` - 1.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// True `n` times of 10,000.
    pub(crate) fn chance(&mut self, n: u64) -> bool {
        self.below(10_000) < n
    }

    /// A number from 0 to `n` - 1, small ones far more often: a few products make most of the sales.
    pub(crate) fn skewed(&mut self, n: u64) -> u64 {
        // The cube of a uniform number, in fixed point, so that it is the same on every machine.
        let u = u128::from(self.0.next_u32());
        ((u * u * u * u128::from(n)) >> 96) as u64
    }
}

/// A number from 0 to 9,999 for entity `index`, spread evenly over neighbours: a rare kind of entity also turns up
/// among few of them.
pub(crate) fn spread(seed: u64, index: u64) -> u64 {
    // Multiples of the golden ratio in 64-bit fixed point.
    let turn = index
        .wrapping_add(seed % 1_000)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((u128::from(turn) * 10_000) >> 64) as u64
}
