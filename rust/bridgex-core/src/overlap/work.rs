//! The work of one call, and its division among threads and kernels.

use std::{ops::Range, sync::atomic::AtomicBool};

use super::{
    Kernel,
    block::{BLOCK, Block, add_dense},
    hybrid::Hybrid,
    instructions::{self, Instructions, Operation},
};
use crate::{Result, bitset::WORD, simd::Path};

/// One word in so many is looked at before the kernel is chosen.
const SAMPLE: usize = 8;

/// Cost of a neuron in two or three sets in the hybrid kernel, in words of a set.
const NEURON_COST: usize = 4;

/// What all parts of a call share.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) sets: &'a [u64],
    pub(super) count: usize,
    /// Words of a set.
    pub(super) words: usize,
    pub(super) path: Path,
    pub(super) kernel: Kernel,
    /// Set once the caller wants no result any more.
    pub(super) stop: &'a AtomicBool,
}

impl Work<'_> {
    /// Words of a set that one thread takes at a time: all, where there is one thread.
    pub(super) fn share(&self, words: usize) -> usize {
        match rayon::current_num_threads() {
            1 => self.words.max(BLOCK),
            threads => words.div_ceil(4 * threads).next_multiple_of(BLOCK).max(BLOCK),
        }
    }

    /// Add the counts of all pairs within some words to the upper triangle of a table.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] once `stop` is set.
    pub(super) fn add(&self, words: Range<usize>, share: usize, table: &mut [u64]) -> Result<()> {
        if words.len() <= share {
            return instructions::run(self.path, Run { work: self, words, table });
        }
        let blocks = words.len().div_ceil(BLOCK);
        let middle = words.start + blocks / 2 * BLOCK;
        let mut other = vec![0; table.len()];
        let (one, another) = rayon::join(
            || self.add(words.start..middle, share, table),
            || self.add(middle..words.end, share, &mut other),
        );
        one.and(another)?;
        table.iter_mut().zip(other).for_each(|(cell, found)| *cell += found);
        Ok(())
    }

    /// Add the counts within the masked words at the ends of a layer.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] once `stop` is set.
    pub(super) fn add_edges(&self, edges: &[(usize, u64)], table: &mut [u64]) -> Result<()> {
        if edges.is_empty() {
            return Ok(());
        }
        let sets = self.sets.chunks(self.words);
        let masked: Vec<u64> =
            sets.flat_map(|set| edges.iter().map(|&(word, mask)| set[word] & mask)).collect();
        let words = edges.len();
        let work = Work { sets: &masked, words, kernel: Kernel::Dense, ..*self };
        instructions::run(self.path, Run { work: &work, words: 0..words, table })
    }

    /// Cost of looking at one word of a set in the hybrid kernel, in words of pairs that the dense
    /// kernel looks at in that time. Measured; no result depends on it.
    fn scan_cost(&self) -> usize {
        match self.path {
            Path::Portable => 9,
            Path::Popcnt | Path::Neon => 14,
            Path::Avx2 => 17,
            Path::Avx512 => 40,
        }
    }

    /// Pairs of sets, and of a set with itself.
    fn pairs(&self) -> usize {
        self.count * (self.count + 1) / 2
    }

    /// Whether the hybrid kernel could cost less, if all neurons were in no set or in one.
    fn hybrid_can_pay(&self) -> bool {
        self.scan_cost() * self.count < self.pairs()
    }

    /// Whether the hybrid kernel costs less in a block, judged by its first words.
    #[inline(always)]
    fn hybrid_pays(&self, hybrid: &mut Hybrid, block: &Block<'_>) -> bool {
        let sample = block.head(block.len().div_ceil(SAMPLE));
        let (few, many) = hybrid.census(&sample, self.count);
        let scanned = self.count * sample.len() + NEURON_COST * few;
        self.scan_cost() * scanned + self.pairs() * many / WORD < self.pairs() * sample.len()
    }
}

/// The work on some words, on one thread.
struct Run<'a> {
    work: &'a Work<'a>,
    words: Range<usize>,
    table: &'a mut [u64],
}

impl Operation for Run<'_> {
    #[inline(always)]
    fn run(self, instructions: impl Instructions) -> Result<()> {
        let Self { work, words, table } = self;
        let (count, stop) = (work.count, work.stop);
        let (forced, auto) = (work.kernel == Kernel::Hybrid, work.kernel == Kernel::Auto);
        let hybrid_can_pay = forced || auto && work.hybrid_can_pay();
        let mut hybrid = hybrid_can_pay.then(|| Hybrid::new(count));
        for start in words.clone().step_by(BLOCK) {
            let block = Block::new(work.sets, work.words, start..words.end.min(start + BLOCK));
            if let Some(hybrid) = &mut hybrid
                && (forced || work.hybrid_pays(hybrid, &block))
            {
                hybrid.add(instructions, &block, count, table, stop)?;
            } else {
                add_dense(instructions, &block, count, table, stop)?;
            }
        }
        if let Some(hybrid) = &mut hybrid {
            hybrid.finish(instructions, count, table, stop)?;
        }
        Ok(())
    }
}
