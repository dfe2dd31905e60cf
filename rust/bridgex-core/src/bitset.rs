//! Sets of neurons as packed words: member `n` is bit `n % 64` of word `n / 64`, counted from the
//! least significant bit, and the bits past the last neuron are zero.

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
