//! The decisions that a generated query is made of.
//!
//! A query is a function of a list of small numbers. A seed makes the list; a shorter list, or one with smaller numbers,
//! makes a simpler query, because 0 stands for the simplest decision everywhere. So a failing query is shrunk without
//! knowing SQL: by taking numbers away.

/// Where decisions come from.
#[derive(Debug, Clone)]
pub struct Choices {
    given: Vec<u32>,
    random: Option<u64>,
    made: Vec<u32>,
}

impl Choices {
    /// Decisions of a seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            given: vec![],
            random: Some(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03),
            made: vec![],
        }
    }

    /// These decisions, and the simplest ones after them.
    pub fn given(given: Vec<u32>) -> Self {
        Self {
            given,
            random: None,
            made: vec![],
        }
    }

    /// What was decided so far.
    pub fn made(self) -> Vec<u32> {
        self.made
    }

    /// One of `0..n`; 0 is the simplest.
    pub fn below(&mut self, n: u32) -> u32 {
        let n = n.max(1);
        let number = match (self.given.get(self.made.len()), &mut self.random) {
            (Some(given), _) => given % n,
            (None, Some(state)) => (next(state) % u64::from(n)) as u32,
            (None, None) => 0,
        };
        self.made.push(number);
        number
    }

    /// True in so many of a hundred cases; false is the simplest.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.below(100) >= 100 - percent.min(100)
    }

    /// One of a few; the first is the simplest. `None` if there are none.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() {
            return None;
        }
        of.get(self.below(of.len() as u32) as usize).copied()
    }

    /// One of a few by weight; the first is the simplest, those of weight 0 are never taken.
    pub fn weighted<T: Copy>(&mut self, of: &[(u32, T)]) -> Option<T> {
        let total: u32 = of.iter().map(|(weight, _)| weight).sum();
        if total == 0 {
            return None;
        }
        let mut at = self.below(total);
        for (weight, choice) in of {
            if at < *weight {
                return Some(*choice);
            }
            at -= weight;
        }
        None
    }
}

/// The generator SplitMix64, by Sebastiano Vigna: seeds mean the same on every machine and in every version.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_can_be_decided_again() {
        let mut seeded = Choices::seeded(7);
        let first: Vec<u32> = (1..50).map(|n| seeded.below(n)).collect();
        let mut again = Choices::given(seeded.made());
        let second: Vec<u32> = (1..50).map(|n| again.below(n)).collect();
        assert_eq!(first, second);
        assert_eq!(again.below(9), 0);
    }

    #[test]
    fn weights_are_kept() {
        let mut choices = Choices::seeded(1);
        let taken: Vec<char> = (0..1000)
            .filter_map(|_| choices.weighted(&[(1, 'a'), (0, 'b'), (3, 'c')]))
            .collect();
        let count = |c| taken.iter().filter(|t| **t == c).count();
        assert!((200..300).contains(&count('a')), "{}", count('a'));
        assert_eq!(count('b'), 0);
    }
}
