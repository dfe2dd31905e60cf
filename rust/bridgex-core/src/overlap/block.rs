//! A run of whole words of many sets, and the dense kernel over it.

use std::{array::from_fn, ops::Range, sync::atomic::AtomicBool};

use super::instructions::{Instructions, Rows, TILE};
use crate::{Result, parallel::check};

/// Words of a set that are worked on at a time: those of a few hundred sets stay in the second
/// level cache, those of a tile's rows in the first.
pub(super) const BLOCK: usize = 512;

/// What sets that fill no tile are filled up with.
static NONE: [u64; BLOCK] = [0; BLOCK];

/// At most [`BLOCK`] words of every set.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// The words of one set after those of another.
    sets: &'a [u64],
    /// Words from the start of a set to that of the next.
    stride: usize,
    start: usize,
    len: usize,
}

impl<'a> Block<'a> {
    pub(super) fn new(sets: &'a [u64], stride: usize, words: Range<usize>) -> Self {
        debug_assert!(words.len() <= BLOCK && words.end <= stride);
        Self { sets, stride, start: words.start, len: words.len() }
    }

    /// Words of a set.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first words only.
    pub(super) fn head(self, len: usize) -> Self {
        Self { len: len.min(self.len), ..self }
    }

    #[inline(always)]
    pub(super) fn set(&self, index: usize) -> &'a [u64] {
        let start = index * self.stride + self.start;
        &self.sets[start..start + self.len]
    }

    /// A set, or an empty one where there is none of that index.
    #[inline(always)]
    pub(super) fn set_or_none(&self, index: usize, count: usize) -> &'a [u64] {
        if index < count { self.set(index) } else { &NONE[..self.len] }
    }

    #[inline(always)]
    fn tile(&self, first: usize, count: usize) -> Rows<'a> {
        from_fn(|row| self.set_or_none(first + row, count))
    }
}

/// Add the intersection sizes of all pairs to the upper triangle of a table.
///
/// Tiles of 4 × 4 sets: a word that is loaded is used four times.
///
/// # Errors
/// [`crate::Error::Interrupted`] once `stop` is set.
#[inline(always)]
pub(super) fn add_dense(
    instructions: impl Instructions,
    block: &Block<'_>,
    count: usize,
    table: &mut [u64],
    stop: &AtomicBool,
) -> Result<()> {
    for first in (0..count).step_by(TILE) {
        check(stop)?;
        let rows = block.tile(first, count);
        for second in (first..count).step_by(TILE) {
            let counts = instructions.tile(rows, block.tile(second, count));
            for (row, line) in (first..count).zip(&counts) {
                let start = row * count;
                let cells = &mut table[start + second..start + count.min(second + TILE)];
                cells.iter_mut().zip(line).for_each(|(cell, found)| *cell += found);
            }
        }
    }
    Ok(())
}
