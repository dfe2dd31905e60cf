//! Kernel widths from the distances between rows.

use std::{
    cmp::Ordering,
    ops::{Range, RangeInclusive},
    sync::atomic::AtomicBool,
};

use rayon::prelude::*;

use crate::{
    Result,
    parallel::check,
    product::{BLOCK, add_product},
    real::Real,
    simd::{dot, squared_distance, vectorised},
};

/// The median Euclidean distance between rows, over all pairs of rows.
///
/// Where that is zero, the median of the distances that are not; `None` where there is none.
///
/// # Errors
/// [`Error::Interrupted`](crate::Error::Interrupted) once `stop` is set.
pub fn median_distance(rows: &[&[f64]], stop: &AtomicBool) -> Result<Option<f64>> {
    let squares = Squares::new(&[rows], KEPT, stop);
    let count = squares.count();
    match squares.median(0, count)? {
        Some(median) if median <= 0.0 => squares.median(squares.zeros()?, count),
        found => Ok(found),
    }
}

/// The width of the published scripts: the lower median of the distances within `x` and within
/// `y`, both orders and every row's distance to itself included, plus 1e-6.
///
/// # Errors
/// [`Error::Interrupted`](crate::Error::Interrupted) once `stop` is set.
///
/// # Panics
/// When there are no rows.
pub fn published_width(x: &[&[f64]], y: &[&[f64]], stop: &AtomicBool) -> Result<f64> {
    let squares = Squares::new(&[x, y], KEPT, stop);
    let own = x.len() + y.len();
    let middle = (own + 2 * squares.count() - 1) / 2;
    let square = match middle.checked_sub(own) {
        Some(rank) => squares.select([rank / 2; 2])?[0],
        None => 0.0,
    };
    Ok(square.sqrt() + 1e-6)
}

/// Squared distances are all written down up to this many, which takes 8 MB. Where there are more,
/// they are counted first, and only those around the wanted ranks are kept.
const KEPT: usize = 1 << 21;

/// Bins of equal width that squared distances are counted in.
const BINS: usize = 1 << 16;

/// Rows that are multiplied at a time.
const TILE: usize = 64;

/// Squared distances between the rows of every set.
///
/// They are ranked by products in single precision, and those that may be at the wanted ranks are
/// computed anew from the differences of the rows, in double precision.
struct Squares<'a> {
    sets: Vec<Packed<'a>>,
    kept: usize,
    stop: &'a AtomicBool,
}

/// Rows of a set, ready to be multiplied.
struct Packed<'a> {
    rows: &'a [&'a [f64]],
    values: Vec<f32>,
    norms: Vec<f64>,
}

/// Two runs of rows of a set, or one run twice.
#[derive(Clone)]
struct Tile<'a> {
    set: &'a Packed<'a>,
    first: Range<usize>,
    second: Range<usize>,
}

/// What a window holds.
#[derive(Default)]
struct Refined {
    /// How many approximate values are below it.
    below: usize,
    /// How many of those within are zero.
    zeros: usize,
    /// The exact values of the others within.
    around: Vec<f64>,
}

impl Refined {
    fn with(mut self, other: Self) -> Self {
        self.below += other.below;
        self.zeros += other.zeros;
        self.around.extend(other.around);
        self
    }
}

impl<'a> Packed<'a> {
    fn new(rows: &'a [&'a [f64]]) -> Self {
        let samples = rows.first().map_or(0, |row| row.len());
        let mut values = vec![0.0; rows.len() * samples];
        let mut norms = Vec::with_capacity(rows.len());
        vectorised(
            #[inline(always)]
            || {
                for (row, values) in rows.iter().zip(values.chunks_exact_mut(samples.max(1))) {
                    values.iter_mut().zip(*row).for_each(|(to, &from)| *to = f32::of(from));
                    norms.push(dot(row, row));
                }
            },
        );
        Self { rows, values, norms }
    }

    fn tiles(&self) -> Vec<Tile<'_>> {
        let count = self.rows.len();
        let run = |start: usize| start..(start + TILE).min(count);
        let tile = |one, other| Tile { set: self, first: run(one), second: run(other) };
        let starts = (0..count).step_by(TILE);
        starts
            .flat_map(|one| (one..count).step_by(TILE).map(move |other| tile(one, other)))
            .collect()
    }
}

impl Tile<'_> {
    /// Every pair of rows, once.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let columns = |row| self.second.start.max(row + 1)..self.second.end;
        self.first.clone().flat_map(move |row| columns(row).map(move |column| (row, column)))
    }

    /// Squared distances of the pairs, up to rounding.
    fn approximate(&self) -> Vec<f32> {
        let samples = self.set.rows[0].len();
        let part = |run: &Range<usize>| &self.set.values[run.start * samples..run.end * samples];
        let width = self.second.len();
        let mut products = vec![0.0; self.first.len() * width];
        add_product(part(&self.first), part(&self.second), samples, &mut products);
        let norms = &self.set.norms;
        let square = |(row, column): (usize, usize)| {
            let product = products[(row - self.first.start) * width + column - self.second.start];
            f32::of(norms[row] + norms[column] - 2.0 * product.wide())
        };
        self.pairs().map(square).collect()
    }

    /// The squared distance of a pair.
    fn exact(&self, (row, column): (usize, usize)) -> f64 {
        let (one, other) = (self.set.rows[row], self.set.rows[column]);
        vectorised(
            #[inline(always)]
            || squared_distance(one, other),
        )
    }
}

impl<'a> Squares<'a> {
    fn new(sets: &[&'a [&'a [f64]]], kept: usize, stop: &'a AtomicBool) -> Self {
        Self { sets: sets.iter().map(|rows| Packed::new(rows)).collect(), kept, stop }
    }

    fn count(&self) -> usize {
        let pairs = |rows: usize| rows * rows.saturating_sub(1) / 2;
        self.sets.iter().map(|set| pairs(set.rows.len())).sum()
    }

    fn zeros(&self) -> Result<usize> {
        let window = f32::NEG_INFINITY..=f32::of(self.rounding());
        Ok(self.refine(self.by_tile(), window)?.zeros)
    }

    /// The median distance of those from rank `start` up to rank `end`.
    fn median(&self, start: usize, end: usize) -> Result<Option<f64>> {
        let Some(count) = end.checked_sub(start).filter(|&count| count > 0) else {
            return Ok(None);
        };
        let [lower, upper] = self.select([start + (count - 1) / 2, start + count / 2])?;
        Ok(Some(f64::midpoint(lower.sqrt(), upper.sqrt())))
    }

    /// The squared distances of two ranks, the lower one first.
    fn select(&self, ranks: [usize; 2]) -> Result<[f64; 2]> {
        let refined = if self.count() <= self.kept {
            let tiles: Vec<(Tile<'_>, Vec<f32>)> = self.by_tile().collect();
            check(self.stop)?;
            let all = tiles.iter().flat_map(|(_, squares)| squares.iter().copied()).collect();
            let found = pick(all, ranks, f32::total_cmp);
            self.refine(tiles.into_par_iter(), self.window(found))?
        } else {
            let found = self.select_by_counting(ranks)?;
            self.refine(self.by_tile(), self.window(found))?
        };
        let zeros = refined.below + refined.zeros;
        match ranks.map(|rank| rank.checked_sub(zeros)) {
            [None, None] => Ok([0.0; 2]),
            [None, Some(upper)] => Ok([0.0, pick(refined.around, [upper; 2], f64::total_cmp)[1]]),
            [Some(lower), upper] => {
                Ok(pick(refined.around, [lower, upper.unwrap_or(lower)], f64::total_cmp))
            }
        }
    }

    /// Where the approximate squares are of those that may be at the ranks of these two: a rank's
    /// value moves by no more than the values do.
    fn window(&self, [low, high]: [f32; 2]) -> RangeInclusive<f32> {
        let margin = 2.0 * self.rounding();
        f32::of(low.wide() - margin)..=f32::of(high.wide() + margin)
    }

    /// More than the error of any squared distance.
    ///
    /// As a share of both squared norms, that is one rounding for every addition that a product is
    /// made of, in blocks and over blocks, and for the conversions.
    fn rounding(&self) -> f64 {
        let samples = self.sets.iter().flat_map(|set| set.rows).map(|row| row.len()).max();
        let additions = BLOCK + samples.unwrap_or(0).div_ceil(BLOCK) + 4;
        let norms = self.sets.iter().flat_map(|set| &set.norms);
        let largest = norms.fold(0.0, |most: f64, &norm| most.max(norm));
        additions as f64 * <f32 as Real>::EPSILON * largest
    }

    /// Compute anew what is within a window.
    fn refine<'t>(
        &self,
        tiles: impl ParallelIterator<Item = (Tile<'t>, Vec<f32>)>,
        window: RangeInclusive<f32>,
    ) -> Result<Refined> {
        let parts = tiles.map(|(tile, squares)| {
            let below = squares.iter().filter(|square| *square < window.start()).count();
            let around = tile.pairs().zip(squares).filter(|(_, square)| window.contains(square));
            let exact = around.map(|(pair, _)| tile.exact(pair));
            let (zeros, around): (Vec<f64>, Vec<f64>) = exact.partition(|&square| square <= 0.0);
            Refined { below, zeros: zeros.len(), around }
        });
        let refined = parts.reduce(Refined::default, Refined::with);
        check(self.stop).map(|()| refined)
    }

    fn select_by_counting(&self, ranks: [usize; 2]) -> Result<[f32; 2]> {
        let squares = || self.by_tile().map(|(_, squares)| squares);
        let largest = squares().map(|tile| tile.iter().copied().fold(0.0, f32::max));
        let largest = largest.reduce(|| 0.0, f32::max);
        let bin = |square: f32| bin(square, largest);
        let counts = squares().fold(
            || vec![0; BINS],
            |mut counts: Vec<usize>, tile| {
                tile.iter().for_each(|&square| counts[bin(square)] += 1);
                counts
            },
        );
        let counts = counts.reduce(
            || vec![0; BINS],
            |mut all, some| {
                all.iter_mut().zip(some).for_each(|(sum, count)| *sum += count);
                all
            },
        );
        check(self.stop)?;
        let [first, last] = ranks.map(|rank| bin_of_rank(&counts, rank));
        let before: usize = counts[..first].iter().sum();
        let around = squares().flat_map_iter(|tile| {
            tile.into_iter().filter(|&square| (first..=last).contains(&bin(square)))
        });
        let around = around.collect();
        check(self.stop).map(|()| pick(around, ranks.map(|rank| rank - before), f32::total_cmp))
    }

    /// Approximate squares tile by tile; nothing more once the caller asked to stop.
    fn by_tile(&self) -> impl ParallelIterator<Item = (Tile<'_>, Vec<f32>)> + '_ {
        let tiles: Vec<Tile<'_>> = self.sets.iter().flat_map(Packed::tiles).collect();
        tiles.into_par_iter().filter_map(|tile| {
            check(self.stop).ok()?;
            let squares = tile.approximate();
            Some((tile, squares))
        })
    }
}

/// Elements of two ranks, the lower one first.
fn pick<V: Copy>(
    mut values: Vec<V>,
    [lower, upper]: [usize; 2],
    order: impl Fn(&V, &V) -> Ordering,
) -> [V; 2] {
    let (below, &mut high, _) = values.select_nth_unstable_by(upper, &order);
    if lower == upper {
        return [high, high];
    }
    [*below.select_nth_unstable_by(lower, &order).1, high]
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and BINS
fn bin(square: f32, largest: f32) -> usize {
    ((square.wide() / largest.wide() * BINS as f64) as usize).min(BINS - 1)
}

fn bin_of_rank(counts: &[usize], rank: usize) -> usize {
    let mut seen = 0;
    let reached = counts.iter().position(|count| {
        seen += count;
        seen > rank
    });
    reached.unwrap_or(counts.len() - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::difference::median_difference;

    static GO: AtomicBool = AtomicBool::new(false);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_median_distance_of_single_columns_is_the_median_difference(
            row in prop::collection::vec(-3.0..3.0, 0..30)
        ) {
            let rows: Vec<&[f64]> = row.chunks(1).collect();
            let found = median_distance(&rows, &GO).unwrap();
            let expected = median_difference(&row);
            prop_assert_eq!(found.is_some(), expected.is_some());
            prop_assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12);
        }

        #[test]
        fn counting_first_selects_the_same(
            row in prop::collection::vec(prop_oneof![-3.0..3.0, Just(0.0)], 4..40),
            at in any::<prop::sample::Index>(),
        ) {
            let rows: Vec<&[f64]> = row.chunks(1).collect();
            let sets = [&rows[..], &rows[..2]];
            let [all, few] = [KEPT, 0].map(|kept| Squares::new(&sets, kept, &GO));
            let rank = at.index(all.count() - 1);
            let pair = |squares: &Squares| squares.select([rank, rank + 1]).unwrap().map(f64::to_bits);
            prop_assert_eq!(pair(&all), pair(&few));
            prop_assert_eq!(all.select([rank; 2]).unwrap().map(f64::to_bits)[0], pair(&few)[0]);
        }
    }

    #[test]
    fn the_published_width_collapses_for_two_sets_of_two() {
        let rows: [&[f64]; 2] = [&[0.0], &[1.0]];
        assert!((published_width(&rows, &rows, &GO).unwrap() - 1e-6).abs() <= 0.0);
        let three: [&[f64]; 3] = [&[0.0], &[1.0], &[3.0]];
        assert!((published_width(&rows, &three, &GO).unwrap() - (1.0 + 1e-6)).abs() <= 1e-15);
    }

    #[test]
    fn an_interrupted_median_is_none() {
        let rows: [&[f64]; 4] = [&[0.0], &[1.0], &[3.0], &[7.0]];
        let stopped = AtomicBool::new(true);
        assert_eq!(median_distance(&rows, &stopped), Err(crate::Error::Interrupted));
        assert_eq!(published_width(&rows, &rows, &stopped), Err(crate::Error::Interrupted));
    }
}
