//! Kernel widths from the distances between rows.

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::{
    Result,
    parallel::check,
    product::add_product,
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

/// Squared distances are all written down up to this many, which takes 16 MB. Where there are
/// more, they are counted first, and only those around the wanted ranks are kept.
const KEPT: usize = 1 << 21;

/// Bins of equal width that squared distances are counted in.
const BINS: usize = 1 << 16;

/// Rows that are multiplied at a time.
const TILE: usize = 64;

/// Where a squared distance is a smaller share of both squared norms, the difference of products
/// would lose digits, and it is computed from the differences of the rows.
const CLOSE: f64 = 0.01;

/// Squared distances between the rows of every set.
struct Squares<'a> {
    sets: Vec<Packed<'a>>,
    kept: usize,
    stop: &'a AtomicBool,
}

/// Rows of a set, ready to be multiplied.
struct Packed<'a> {
    rows: &'a [&'a [f64]],
    values: Vec<f64>,
    norms: Vec<f64>,
}

impl<'a> Packed<'a> {
    fn new(rows: &'a [&'a [f64]]) -> Self {
        let mut values = Vec::with_capacity(rows.iter().map(|row| row.len()).sum());
        rows.iter().for_each(|row| values.extend_from_slice(row));
        Self {
            rows,
            values,
            norms: rows
                .iter()
                .map(|row| {
                    vectorised(
                        #[inline(always)]
                        || dot(row, row),
                    )
                })
                .collect(),
        }
    }

    fn tiles(&self) -> usize {
        self.rows.len().div_ceil(TILE)
    }

    /// Squared distances between the rows of two tiles, or between those of one, every pair once.
    fn squares(&self, one: usize, other: usize) -> Vec<f64> {
        let range = |tile: usize| tile * TILE..((tile + 1) * TILE).min(self.rows.len());
        let (first, second) = (range(one), range(other));
        let samples = self.rows[0].len();
        let part = |range: &std::ops::Range<usize>| {
            &self.values[range.start * samples..range.end * samples]
        };
        let mut products = vec![0.0; first.len() * second.len()];
        add_product(part(&first), part(&second), samples, &mut products);
        let mut squares = Vec::with_capacity(products.len());
        for (row, line) in first.zip(products.chunks_exact(second.len())) {
            for (column, product) in second.clone().zip(line).filter(|&(column, _)| column > row) {
                squares.push(self.square(row, column, *product));
            }
        }
        squares
    }

    fn square(&self, row: usize, column: usize, product: f64) -> f64 {
        let norms = self.norms[row] + self.norms[column];
        let square = norms - 2.0 * product;
        if square > CLOSE * norms {
            return square;
        }
        vectorised(
            #[inline(always)]
            || squared_distance(self.rows[row], self.rows[column]),
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
        let zeros = |tile: Vec<f64>| tile.iter().filter(|&&square| square <= 0.0).count();
        let count = self.by_tile().map(zeros).sum();
        check(self.stop).map(|()| count)
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
        if self.count() <= self.kept {
            let all = self.by_tile().flatten_iter().collect();
            return check(self.stop).map(|()| pick(all, ranks));
        }
        let largest = self.by_tile().map(|tile| tile.iter().copied().fold(0.0, f64::max));
        let largest = largest.reduce(|| 0.0, f64::max);
        let bin = |square: f64| bin(square, largest);
        let counts = self.by_tile().fold(
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
        let around = self.by_tile().flatten_iter();
        let around = around.filter(|&square| (first..=last).contains(&bin(square)));
        let around = around.collect();
        check(self.stop).map(|()| pick(around, ranks.map(|rank| rank - before)))
    }

    /// Squared distances tile by tile; nothing more once the caller asked to stop.
    fn by_tile(&self) -> impl ParallelIterator<Item = Vec<f64>> + '_ {
        self.sets.par_iter().flat_map(|set| {
            let pairs =
                (0..set.tiles()).flat_map(|one| (one..set.tiles()).map(move |other| (one, other)));
            let pairs: Vec<(usize, usize)> = pairs.collect();
            pairs.into_par_iter().map(|(one, other)| match check(self.stop) {
                Ok(()) => set.squares(one, other),
                Err(_) => Vec::new(),
            })
        })
    }
}

/// Elements of two ranks, the lower one first.
fn pick(mut values: Vec<f64>, [lower, upper]: [usize; 2]) -> [f64; 2] {
    let (below, &mut high, _) = values.select_nth_unstable_by(upper, f64::total_cmp);
    if lower == upper {
        return [high, high];
    }
    [*below.select_nth_unstable_by(lower, f64::total_cmp).1, high]
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and BINS
fn bin(square: f64, largest: f64) -> usize {
    ((square / largest * BINS as f64) as usize).min(BINS - 1)
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
