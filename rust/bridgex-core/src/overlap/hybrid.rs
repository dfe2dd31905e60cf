//! The kernel for sets that share few neurons: most neurons are in no set, in one, or in a few.
//!
//! Bit-sliced counters find in how many sets every neuron is. Neurons in four or more are packed
//! together and go through the dense kernel; for those in two or three, each pair of their sets is
//! counted at once; the others count for the size of their set only.

use std::{array::from_fn, sync::atomic::AtomicBool};

use super::{
    block::{BLOCK, Block, add_dense},
    instructions::Instructions,
};
use crate::{Result, bitset::WORD};

/// Words of a packed set: there is always room for a block after one that has been packed.
const CAPACITY: usize = 2 * BLOCK;

/// Bits for the index of a set, so that a word holds three. More sets than that have no table of
/// pairs that fits into memory.
const INDEX: u32 = 21;

/// Buffers of the kernel, for one thread.
pub(super) struct Hybrid {
    degrees: Degrees,
    /// Neurons in four sets or more: `count × CAPACITY` words.
    packed: Vec<u64>,
    /// Words in use of every packed set.
    filled: usize,
    /// Neurons in two or three sets: the indices of these, the last in the low bits.
    members: Vec<u64>,
}

impl Hybrid {
    pub(super) fn new(count: usize) -> Self {
        Self {
            degrees: Degrees::new(),
            packed: vec![0; count * CAPACITY],
            filled: 0,
            members: Vec::new(),
        }
    }

    /// Number of neurons of a block in two or three sets, and in four or more.
    #[inline(always)]
    pub(super) fn census(&mut self, block: &Block<'_>, count: usize) -> (usize, usize) {
        self.degrees.count(block, count, |_, _| ());
        let ones = |plane: &[u64]| plane.iter().map(|word| word.count_ones() as usize).sum();
        (ones(&self.degrees.few()[..block.len()]), ones(&self.degrees.many[..block.len()]))
    }

    /// Add the intersection sizes of all pairs in a block to the upper triangle of a table. Part
    /// of them may wait for [`Self::finish`].
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] once `stop` is set.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        instructions: impl Instructions,
        block: &Block<'_>,
        count: usize,
        table: &mut [u64],
        stop: &AtomicBool,
    ) -> Result<()> {
        self.degrees.count(block, count, |index, size| table[index * (count + 1)] += size);
        self.add_few(block, count, table);
        if self.filled + block.len() > CAPACITY {
            self.finish(instructions, count, table, stop)?;
        }
        self.pack(instructions, block, count);
        Ok(())
    }

    /// Add what is packed and not yet counted.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] once `stop` is set.
    #[inline(always)]
    pub(super) fn finish(
        &mut self,
        instructions: impl Instructions,
        count: usize,
        table: &mut [u64],
        stop: &AtomicBool,
    ) -> Result<()> {
        // The diagonal has been counted already.
        let sizes: Vec<u64> = table.iter().step_by(count + 1).copied().collect();
        for start in (0..self.filled).step_by(BLOCK) {
            let words = start..self.filled.min(start + BLOCK);
            let block = Block::new(&self.packed, CAPACITY, words);
            add_dense(instructions, &block, count, table, stop)?;
        }
        table.iter_mut().step_by(count + 1).zip(sizes).for_each(|(cell, size)| *cell = size);
        self.filled = 0;
        Ok(())
    }

    /// Pack the neurons that are in four sets or more.
    #[inline(always)]
    fn pack(&mut self, instructions: impl Instructions, block: &Block<'_>, count: usize) {
        let (places, neurons) = places(&self.degrees.many[..block.len()]);
        let used = neurons.div_ceil(WORD);
        for (index, packed) in self.packed.chunks_mut(CAPACITY).enumerate().take(count) {
            let packed = &mut packed[self.filled..self.filled + used];
            let set = block.set(index);
            packed.fill(0);
            for place in &places {
                let found = instructions.extract(set[place.word], place.mask);
                let (word, shift) = (place.first / WORD, place.first % WORD);
                packed[word] |= found << shift;
                if place.ends_beyond_word {
                    packed[word + 1] |= found >> (WORD - shift);
                }
            }
        }
        self.filled += used;
    }

    /// Add the pairs of sets of the neurons that are in two or three.
    #[inline(always)]
    fn add_few(&mut self, block: &Block<'_>, count: usize, table: &mut [u64]) {
        let (places, neurons) = places(&self.degrees.few()[..block.len()]);
        self.members.clear();
        self.members.resize(neurons, 0);
        for index in 0..count {
            add_members(block.set(index), index as u64, &places, &mut self.members);
        }
        for place in &places {
            for (neuron, bit) in bits(place.mask).enumerate() {
                let [first, second, third] = indices(self.members[place.first + neuron]);
                table[second * count + third] += 1;
                if self.degrees.ones[place.word] & bit != 0 {
                    table[first * count + second] += 1;
                    table[first * count + third] += 1;
                }
            }
        }
    }
}

/// In how many sets every neuron of a block is.
struct Degrees {
    /// Low bit of the number, where it is below four.
    ones: [u64; BLOCK],
    /// High bit of the number, where it is below four.
    twos: [u64; BLOCK],
    /// Whether it is four or more.
    many: [u64; BLOCK],
}

impl Degrees {
    fn new() -> Self {
        Self { ones: [0; BLOCK], twos: [0; BLOCK], many: [0; BLOCK] }
    }

    /// Neurons in two or three sets.
    #[inline(always)]
    fn few(&self) -> [u64; BLOCK] {
        from_fn(|word| self.twos[word] & !self.many[word])
    }

    /// Count the sets of every neuron, two sets at a time, and report the size of every set.
    #[inline(always)]
    fn count(&mut self, block: &Block<'_>, count: usize, mut report: impl FnMut(usize, u64)) {
        let len = block.len();
        let (ones, twos) = (&mut self.ones[..len], &mut self.twos[..len]);
        let many = &mut self.many[..len];
        ones.fill(0);
        twos.fill(0);
        many.fill(0);
        for index in (0..count).step_by(2) {
            let (one, other) = (block.set(index), block.set_or_none(index + 1, count));
            let mut sizes = [0, 0];
            for word in 0..len {
                let (a, b) = (one[word], other[word]);
                // A carry of both and a carry into `ones` exclude each other.
                let carry = a & b | (a ^ b) & ones[word];
                ones[word] ^= a ^ b;
                many[word] |= twos[word] & carry;
                twos[word] ^= carry;
                sizes[0] += u64::from(a.count_ones());
                sizes[1] += u64::from(b.count_ones());
            }
            report(index, sizes[0]);
            if index + 1 < count {
                report(index + 1, sizes[1]);
            }
        }
    }
}

/// A word with neurons that are of interest.
#[derive(Clone, Copy)]
struct Place {
    word: usize,
    mask: u64,
    /// Number of such neurons before it.
    first: usize,
    /// Whether its neurons, packed, go on into a second word.
    ends_beyond_word: bool,
}

/// The words of a mask that are not zero, and the number of neurons in all of it.
#[inline(always)]
fn places(mask: &[u64]) -> (Vec<Place>, usize) {
    let mut first = 0;
    let mut places = Vec::with_capacity(mask.len());
    for (word, &mask) in mask.iter().enumerate().filter(|(_, mask)| **mask != 0) {
        let neurons = mask.count_ones() as usize;
        let ends_beyond_word = first % WORD + neurons > WORD;
        places.push(Place { word, mask, first, ends_beyond_word });
        first += neurons;
    }
    (places, first)
}

/// Append a set to the members of those neurons that are in it.
#[inline(always)]
fn add_members(set: &[u64], index: u64, places: &[Place], members: &mut [u64]) {
    // First a list, without a branch: whether a word has such a neuron cannot be predicted.
    let mut hits = [0; BLOCK + 1];
    let mut found = 0;
    for (hit, place) in (0_u32..).zip(places) {
        hits[found] = hit;
        found += usize::from(set[place.word] & place.mask != 0);
    }
    for &hit in &hits[..found] {
        let place = places[hit as usize];
        for bit in bits(set[place.word] & place.mask) {
            let before = (place.mask & (bit - 1)).count_ones() as usize;
            let member = &mut members[place.first + before];
            *member = *member << INDEX | index;
        }
    }
}

/// The indices of three sets, the last of which is in the low bits.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // what is cut off belongs to the other indices
fn indices(members: u64) -> [usize; 3] {
    [2, 1, 0].map(|place| (members >> (place * INDEX)) as usize & ((1 << INDEX) - 1))
}

/// The bits of a word, one by one.
#[inline(always)]
fn bits(word: u64) -> impl Iterator<Item = u64> {
    let rest = |word: u64| (word != 0).then_some(word);
    std::iter::successors(rest(word), move |&word| rest(word & (word - 1)))
        .map(|word| word & word.wrapping_neg())
}
