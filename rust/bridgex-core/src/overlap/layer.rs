//! Layers of the neuron axis, which begin and end anywhere within a word.

use std::ops::Range;

use crate::{Error, Result, bitset::WORD};

/// The words of a layer.
#[derive(Debug, PartialEq)]
pub(super) struct Layer {
    /// Words that are the layer's alone.
    pub(super) whole: Range<usize>,
    /// Words that it shares, and the bits that are its own: at most two.
    pub(super) edges: Vec<(usize, u64)>,
}

impl Layer {
    /// The layers between successive offsets.
    ///
    /// # Errors
    /// [`Error::Offsets`] when the offsets fall, or leave the sets.
    pub(super) fn between(offsets: &[usize], words: usize) -> Result<Vec<Self>> {
        let bits = words * WORD;
        offsets
            .windows(2)
            .map(|pair| {
                let (previous, next) = (pair[0], pair[1]);
                if previous > next || next > bits {
                    return Err(Error::Offsets { previous, next, bits });
                }
                Ok(Self::new(previous, next))
            })
            .collect()
    }

    fn new(start: usize, end: usize) -> Self {
        let whole = start.div_ceil(WORD)..end / WORD;
        let after = !(u64::MAX << (end % WORD));
        let before = u64::MAX << (start % WORD);
        if whole.start > whole.end {
            // Both ends lie in one word.
            return Self { whole: 0..0, edges: vec![(whole.end, before & after)] };
        }
        let first = (!start.is_multiple_of(WORD)).then(|| (whole.start - 1, before));
        let last = (!end.is_multiple_of(WORD)).then_some((whole.end, after));
        Self { whole, edges: first.into_iter().chain(last).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_layer_is_in_it_once() {
        for start in 0..=3 * WORD {
            for end in start..=3 * WORD {
                let layer = Layer::new(start, end);
                let mut words = [0_u64; 3];
                layer.whole.for_each(|word| words[word] = u64::MAX);
                for (word, mask) in layer.edges {
                    assert_eq!(words[word] & mask, 0, "{start}..{end}");
                    words[word] |= mask;
                }
                let found: Vec<usize> = crate::bitset::members(&words).collect();
                assert_eq!(found, (start..end).collect::<Vec<_>>());
            }
        }
    }
}
