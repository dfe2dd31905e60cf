//! Sizes of the pairwise intersections of many sets, overall or layer by layer.
//!
//! The size of an intersection is the number of bits in the conjunction of two bitsets (its
//! population count). Two kernels find it: [`Kernel::Dense`] looks at all words of all pairs, in
//! tiles of 4 × 4 sets; [`Kernel::Hybrid`] first finds in how many sets every neuron is, and looks
//! at pairs only where there are any. Both are exact, and so the result is the same for either, for
//! every instruction set, and for any number of threads.

mod block;
mod hybrid;
mod instructions;
mod layer;
mod work;

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::{Error, Result, parallel, simd};
use layer::Layer;
use work::Work;

/// How the pairs are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernel {
    /// Whichever costs less, block by block of words.
    #[default]
    Auto,
    /// Every word of every pair.
    Dense,
    /// Few pairs for neurons that are in few sets.
    Hybrid,
}

/// Options of [`overlap_counts`]. The result depends on none of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Worker threads; see [`parallel::thread_count`].
    pub threads: Option<usize>,
    /// Kernel.
    pub kernel: Kernel,
    /// Instruction set; by default the one in use.
    pub path: Option<simd::Path>,
}

/// Intersection sizes of all pairs of sets in every layer: `layer × set × set`, row after row.
///
/// `sets` holds the words of one set after those of another. Layer `l` is the bits from
/// `offsets[l]` to `offsets[l + 1]` and need not begin at a word. Once `stop` is set, the call ends within milliseconds.
///
/// # Errors
/// [`Error::Length`] when the words are not a whole number of sets, [`Error::Offsets`] when the
/// offsets fall or leave the sets, [`Error::Processor`] when it lacks the instruction set,
/// [`Error::Interrupted`] once `stop` is set, and the errors of [`parallel::run`].
///
/// # Example
/// ```
/// use std::sync::atomic::AtomicBool;
/// use bridgex_core::overlap::{Options, overlap_counts};
/// let (options, stop) = (Options::default(), AtomicBool::new(false));
/// let counts = overlap_counts(&[0b0111, 0b1110], 2, &[0, 2, 4], &options, &stop)?;
/// assert_eq!(counts, [2, 1, 1, 1, 1, 1, 1, 2]);
/// # Ok::<(), bridgex_core::Error>(())
/// ```
pub fn overlap_counts(
    sets: &[u64],
    count: usize,
    offsets: &[usize],
    options: &Options,
    stop: &AtomicBool,
) -> Result<Vec<u64>> {
    let path = options.path.map_or_else(simd::path, |path| simd::Path::named(path.name()))?;
    let words = sets.len().checked_div(count).unwrap_or(0);
    if words * count != sets.len() {
        return Err(Error::Length { what: "sets", expected: words * count, found: sets.len() });
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let layers = Layer::between(offsets, words)?;
    let work = Work { sets, count, words, path, kernel: options.kernel, stop };
    let mut counts = vec![0; layers.len() * count * count];
    parallel::run(options.threads, || {
        let share = work.share(layers.iter().map(|layer| layer.whole.len()).sum());
        let tables = counts.par_chunks_mut(count * count);
        tables.zip(&layers).try_for_each(|(table, layer)| {
            work.add_edges(&layer.edges, table)?;
            work.add(layer.whole.clone(), share, table)?;
            mirror(table, count, stop)
        })
    })??;
    Ok(counts)
}

/// Copy the upper triangle of a square table into the lower one.
fn mirror(table: &mut [u64], count: usize, stop: &AtomicBool) -> Result<()> {
    for row in 0..count {
        parallel::check(stop)?;
        for column in 0..row {
            table[row * count + column] = table[column * count + row];
        }
    }
    Ok(())
}
