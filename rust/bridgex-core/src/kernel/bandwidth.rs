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
    let mut squares = squared_distances(rows);
    let median = median(&mut squares)?;
    if median > 0.0 {
        return Some(median);
    }
    squares.retain(|&square| square > 0.0);
    self::median(&mut squares)
}

/// The width of the published scripts: the lower median of the distances within `x` and within
/// `y`, both orders and every row's distance to itself included, plus 1e-6.
///
/// # Panics
/// When there are no rows.
#[must_use]
pub fn published_width(x: &[&[f64]], y: &[&[f64]]) -> f64 {
    let zeros = x.len() + y.len();
    let mut squares = squared_distances(x);
    squares.extend(squared_distances(y));
    let middle = (zeros + 2 * squares.len() - 1) / 2;
    let median = match middle.checked_sub(zeros) {
        None => 0.0,
        Some(rank) => *squares.select_nth_unstable_by(rank / 2, f64::total_cmp).1,
    };
    median.sqrt() + 1e-6
}

fn squared_distances(rows: &[&[f64]]) -> Vec<f64> {
    rows.par_iter()
        .enumerate()
        .flat_map_iter(|(index, one)| {
            let later = &rows[index + 1..];
            vectorised(|| {
                later.iter().map(|other| squared_distance(one, other)).collect::<Vec<_>>()
            })
        })
        .collect()
}

/// The root of the middle square, or the mean of the roots of the two middle ones.
fn median(squares: &mut [f64]) -> Option<f64> {
    let count = squares.len();
    if count == 0 {
        return None;
    }
    let (below, &mut upper, _) = squares.select_nth_unstable_by(count / 2, f64::total_cmp);
    if count % 2 == 1 {
        return Some(upper.sqrt());
    }
    let lower = below.iter().fold(0.0, |largest: f64, &square| largest.max(square));
    Some(f64::midpoint(lower.sqrt(), upper.sqrt()))
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
    }

    #[test]
    fn the_published_width_collapses_for_two_sets_of_two() {
        let rows: [&[f64]; 2] = [&[0.0], &[1.0]];
        assert!((published_width(&rows, &rows) - 1e-6).abs() <= 0.0);
        let three: [&[f64]; 3] = [&[0.0], &[1.0], &[3.0]];
        assert!((published_width(&rows, &three) - (1.0 + 1e-6)).abs() <= 1e-15);
    }
}
