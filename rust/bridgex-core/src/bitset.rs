//! Sets of neurons as packed words: member `n` is bit `n % 64` of word `n / 64`, counted from the
//! least significant bit, and the bits past the last neuron are zero.

use std::ops::Range;

/// Bits in a word.
pub const WORD: usize = u64::BITS as usize;

/// Number of words that hold a set over `bits` neurons.
#[must_use]
pub fn word_count(bits: usize) -> usize {
    bits.div_ceil(WORD)
}

/// Pack members into words.
///
/// # Panics
/// When a member is not below `bits` rounded up to whole words.
///
/// # Example
/// ```
/// assert_eq!(bridgex_core::bitset::pack(&[0, 2, 64], 65), [0b101, 1]);
/// ```
#[must_use]
pub fn pack(members: &[usize], bits: usize) -> Vec<u64> {
    let mut words = vec![0; word_count(bits)];
    for &member in members {
        words[member / WORD] |= 1 << (member % WORD);
    }
    words
}

/// Iterate over the members, ascending.
///
/// # Example
/// ```
/// let members: Vec<usize> = bridgex_core::bitset::members(&[0b101, 1]).collect();
/// assert_eq!(members, [0, 2, 64]);
/// ```
pub fn members(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(index, &word)| {
        std::iter::successors((word != 0).then_some(word), |&rest| {
            let rest = rest & (rest - 1);
            (rest != 0).then_some(rest)
        })
        .map(move |rest| index * WORD + rest.trailing_zeros() as usize)
    })
}

/// A run of bits in whole words, with masks for the words at its ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    words: Range<usize>,
    first: u64,
    last: u64,
}

impl Span {
    /// The span of `bits.start..bits.end`.
    ///
    /// # Example
    /// ```
    /// use bridgex_core::bitset::Span;
    /// let span = Span::new(2..66);
    /// assert_eq!(span.intersection_count(&[u64::MAX, u64::MAX], &[0b1111, 0b1111]), 4);
    /// ```
    #[must_use]
    pub fn new(bits: Range<usize>) -> Self {
        if bits.is_empty() {
            return Self { words: 0..0, first: 0, last: 0 };
        }
        let used = (bits.end - 1) % WORD + 1;
        Self {
            words: bits.start / WORD..word_count(bits.end),
            first: u64::MAX << (bits.start % WORD),
            last: u64::MAX >> (WORD - used),
        }
    }

    /// Number of members that two sets share within the span.
    ///
    /// # Panics
    /// When a set ends before the span.
    #[must_use]
    pub fn intersection_count(&self, one: &[u64], other: &[u64]) -> u64 {
        let (one, other) = (&one[self.words.clone()], &other[self.words.clone()]);
        let both = |index: usize| one[index] & other[index];
        match one.len() {
            0 => 0,
            1 => u64::from((both(0) & self.first & self.last).count_ones()),
            len => {
                let ends =
                    (both(0) & self.first).count_ones() + (both(len - 1) & self.last).count_ones();
                let middle = one[1..len - 1].iter().zip(&other[1..len - 1]);
                u64::from(ends) + middle.map(|(a, b)| u64::from((a & b).count_ones())).sum::<u64>()
            }
        }
    }
}
