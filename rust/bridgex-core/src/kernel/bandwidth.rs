//! Kernel widths: medians of differences within a row, or of distances between rows.

use rayon::prelude::*;

use crate::simd::{squared_distance, vectorised};

/// The median of `|row[a] - row[b]|` over all pairs of samples, as the mean of the two middle
/// values where their number is even.
///
/// Where that is zero, the median of the differences that are not; `None` where all are. Costs
/// O(S log S): the k-th difference of a sorted row is found by bisection, counting with two
/// pointers.
///
/// # Example
/// ```
/// use bridgex_core::kernel::bandwidth::median_difference;
/// assert_eq!(median_difference(&[0.0, 1.0, 3.0]), Some(2.0));
/// assert_eq!(median_difference(&[0.0, 0.0, 0.0, 0.0, 5.0]), Some(5.0));
/// assert_eq!(median_difference(&[2.0, 2.0]), None);
/// ```
#[must_use]
pub fn median_difference(row: &[f64]) -> Option<f64> {
    let mut sorted = row.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let differences = Differences { sorted: &sorted };
    let total = row.len() * row.len().saturating_sub(1) / 2;
    let median = differences.median(0, total)?;
    if median > 0.0 {
        return Some(median);
    }
    differences.median(differences.around(0.0).count, total)
}

/// All differences of a sorted row, never written down.
struct Differences<'a> {
    sorted: &'a [f64],
}

/// Where a value stands among the differences.
struct Around {
    /// How many are at most the value.
    count: usize,
    /// The largest of those.
    below: f64,
    /// The smallest of the others.
    above: f64,
}

impl Differences<'_> {
    /// The median of those from rank `start` up to rank `end`.
    fn median(&self, start: usize, end: usize) -> Option<f64> {
        let count = end.checked_sub(start).filter(|&count| count > 0)?;
        let lower = self.select(start + (count - 1) / 2);
        if count % 2 == 1 {
            return Some(lower);
        }
        let around = self.around(lower);
        let upper = if around.count > start + count / 2 { lower } else { around.above };
        Some(f64::midpoint(lower, upper))
    }

    /// The difference of that rank, counted from 0.
    fn select(&self, rank: usize) -> f64 {
        let (mut low, mut high) = (0.0, self.sorted[self.sorted.len() - 1] - self.sorted[0]);
        while low < high {
            let middle = f64::midpoint(low, high);
            // Between neighbouring numbers the midpoint may round up to the higher one.
            let around = self.around(if middle < high { middle } else { low });
            if around.count > rank {
                high = around.below;
            } else {
                low = around.above;
            }
        }
        high
    }

    fn around(&self, value: f64) -> Around {
        let mut around = Around { count: 0, below: 0.0, above: f64::INFINITY };
        let mut first = 0;
        for (last, &right) in self.sorted.iter().enumerate() {
            while right - self.sorted[first] > value {
                first += 1;
            }
            around.count += last - first;
            around.below = around.below.max(right - self.sorted[first]);
            if first > 0 {
                around.above = around.above.min(right - self.sorted[first - 1]);
            }
        }
        around
    }
}

/// The median Euclidean distance between rows, over all pairs of rows.
///
/// Where that is zero, the median of the distances that are not; `None` where there is none.
#[must_use]
pub fn median_distance(rows: &[&[f64]]) -> Option<f64> {
    let squares = Squares { sets: &[rows], kept: KEPT };
    let count = squares.count();
    let median = squares.median(0, count)?;
    if median > 0.0 {
        return Some(median);
    }
    squares.median(squares.zeros(), count)
}

/// The width of the published scripts: the lower median of the distances within `x` and within
/// `y`, both orders and every row's distance to itself included, plus 1e-6.
///
/// # Panics
/// When there are no rows.
#[must_use]
pub fn published_width(x: &[&[f64]], y: &[&[f64]]) -> f64 {
    let squares = Squares { sets: &[x, y], kept: KEPT };
    let own = x.len() + y.len();
    let middle = (own + 2 * squares.count() - 1) / 2;
    let median = middle.checked_sub(own).map_or(0.0, |rank| squares.select([rank / 2; 2])[0]);
    median.sqrt() + 1e-6
}

/// Squared distances are all written down up to this many, which takes 16 MB. Where there are
/// more, they are counted first, and only those around the wanted ranks are kept.
const KEPT: usize = 1 << 21;

/// Bins of equal width that squared distances are counted in.
const BINS: usize = 1 << 16;

/// Squared distances between the rows of every set.
struct Squares<'a> {
    sets: &'a [&'a [&'a [f64]]],
    kept: usize,
}

impl Squares<'_> {
    fn count(&self) -> usize {
        self.sets.iter().map(|rows| rows.len() * rows.len().saturating_sub(1) / 2).sum()
    }

    fn zeros(&self) -> usize {
        self.by_row().map(|row| row.iter().filter(|&&square| square <= 0.0).count()).sum()
    }

    /// The median distance of those from rank `start` up to rank `end`.
    fn median(&self, start: usize, end: usize) -> Option<f64> {
        let count = end.checked_sub(start).filter(|&count| count > 0)?;
        let [lower, upper] = self.select([start + (count - 1) / 2, start + count / 2]);
        Some(f64::midpoint(lower.sqrt(), upper.sqrt()))
    }

    /// The squared distances of two ranks, the lower one first.
    fn select(&self, ranks: [usize; 2]) -> [f64; 2] {
        if self.count() <= self.kept {
            return pick(self.by_row().flatten_iter().collect(), ranks);
        }
        let largest = self.by_row().map(|row| row.iter().copied().fold(0.0, f64::max));
        let largest = largest.reduce(|| 0.0, f64::max);
        let bin = |square: f64| bin(square, largest);
        let counts = self.by_row().fold(
            || vec![0; BINS],
            |mut counts: Vec<usize>, row| {
                row.iter().for_each(|&square| counts[bin(square)] += 1);
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
        let [first, last] = ranks.map(|rank| bin_of_rank(&counts, rank));
        let before: usize = counts[..first].iter().sum();
        let around = self.by_row().flatten_iter();
        let around = around.filter(|&square| (first..=last).contains(&bin(square)));
        pick(around.collect(), ranks.map(|rank| rank - before))
    }

    /// The squared distances of every row to those after it in its set.
    fn by_row(&self) -> impl ParallelIterator<Item = Vec<f64>> + '_ {
        self.sets.par_iter().flat_map(|rows| {
            (0..rows.len()).into_par_iter().map(|index| {
                let (one, later) = (rows[index], &rows[index + 1..]);
                vectorised(
                    #[inline(always)]
                    || later.iter().map(|other| squared_distance(one, other)).collect(),
                )
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

    fn plain_median(mut values: Vec<f64>) -> Option<f64> {
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let middle = |values: &[f64]| f64::midpoint(values[(count - 1) / 2], values[count / 2]);
        if count == 0 {
            return None;
        }
        let median = middle(&values);
        if median > 0.0 {
            return Some(median);
        }
        let rest: Vec<f64> = values.into_iter().filter(|&value| value > 0.0).collect();
        (!rest.is_empty()).then(|| f64::midpoint(rest[(rest.len() - 1) / 2], rest[rest.len() / 2]))
    }

    fn all_differences(row: &[f64]) -> Vec<f64> {
        let later = |index: usize| &row[index + 1..];
        let pairs = row.iter().enumerate();
        pairs.flat_map(|(i, one)| later(i).iter().map(move |other| (one - other).abs())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_median_difference_is_the_plain_one(
            row in prop::collection::vec(prop_oneof![-3.0..3.0, Just(0.0), Just(1.0)], 0..60)
        ) {
            prop_assert_eq!(median_difference(&row), plain_median(all_differences(&row)));
        }

        #[test]
        fn neighbouring_numbers_do_not_stall_the_bisection(
            steps in prop::collection::vec(0_u64..3, 2..20)
        ) {
            let row: Vec<f64> = steps.iter().map(|step| f64::from_bits(1.0_f64.to_bits() + step)).collect();
            prop_assert_eq!(median_difference(&row), plain_median(all_differences(&row)));
        }

        #[test]
        fn the_median_distance_of_single_columns_is_the_median_difference(
            row in prop::collection::vec(-3.0..3.0, 0..30)
        ) {
            let rows: Vec<&[f64]> = row.chunks(1).collect();
            let (found, expected) = (median_distance(&rows), median_difference(&row));
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
            let [all, few] = [KEPT, 0].map(|kept| Squares { sets: &sets, kept });
            let rank = at.index(all.count() - 1);
            let pair = |squares: &Squares| squares.select([rank, rank + 1]).map(f64::to_bits);
            prop_assert_eq!(pair(&all), pair(&few));
            prop_assert_eq!(all.select([rank; 2]).map(f64::to_bits)[0], pair(&few)[0]);
        }
    }

    #[test]
    fn the_published_width_collapses_for_two_sets_of_two() {
        let rows: [&[f64]; 2] = [&[0.0], &[1.0]];
        assert!((published_width(&rows, &rows) - 1e-6).abs() <= 0.0);
        let three: [&[f64]; 3] = [&[0.0], &[1.0], &[3.0]];
        assert!((published_width(&rows, &three) - (1.0 + 1e-6)).abs() <= 1e-15);
    }
}
