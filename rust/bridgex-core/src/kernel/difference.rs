//! The median difference within a row, exactly, without writing all differences down.

use crate::simd::vectorised;

/// Order statistics of a row whose differences give the first guess.
const SAMPLE: usize = 64;

/// Differences are written down from where they are at most so many times the samples: counting
/// those that are written down is quicker than counting all of them, but they have to be written.
const FEW: usize = 4;

/// Differences that are sorted out one by one.
const LAST: usize = 128;

/// Steps of interpolation before bisection takes over, which many equal differences need.
const STEPS: usize = 8;

/// The median of `|row[a] - row[b]|` over all pairs of samples, as the mean of the two middle
/// values where their number is even.
///
/// Where that is zero, the median of the differences that are not; `None` where all are. Costs
/// O(S log S): ranks of a sorted row's differences are counted with two pointers.
///
/// # Example
/// ```
/// use bridgex_core::kernel::difference::median_difference;
/// assert_eq!(median_difference(&[0.0, 1.0, 3.0]), Some(2.0));
/// assert_eq!(median_difference(&[0.0, 0.0, 0.0, 0.0, 5.0]), Some(5.0));
/// assert_eq!(median_difference(&[2.0, 2.0]), None);
/// ```
#[must_use]
pub fn median_difference(row: &[f64]) -> Option<f64> {
    let mut padded = Vec::with_capacity(row.len() + 1);
    padded.extend_from_slice(row);
    padded.sort_unstable_by(f64::total_cmp);
    padded.push(f64::INFINITY);
    let differences = Differences { sorted: &padded[..row.len()], padded: &padded };
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
    /// The same, and infinity.
    padded: &'a [f64],
}

/// Where a value stands among the differences.
#[derive(Clone, Copy)]
struct Around {
    /// How many are at most the value.
    count: usize,
    /// The largest of those.
    below: f64,
    /// The smallest of the others.
    above: f64,
}

/// Two values between which a rank is: as many differences as `low_count` are at most `low`, and
/// the rank is not among them; it is among the `high_count` that are at most `high`.
#[derive(Clone, Copy)]
struct Bracket {
    low: f64,
    low_count: usize,
    high: f64,
    high_count: usize,
}

impl Bracket {
    fn inside(&self) -> usize {
        self.high_count - self.low_count
    }

    fn holds(&self, value: f64) -> bool {
        self.low < value && value <= self.high
    }

    /// Take in what is known about a value.
    fn add(&mut self, value: f64, count: usize, rank: usize) {
        if count > rank && value < self.high {
            (self.high, self.high_count) = (value, count);
        } else if count <= rank && value > self.low {
            (self.low, self.low_count) = (value, count);
        }
    }

    /// Where the rank would be if differences were spread evenly.
    fn guess(&self, rank: usize) -> f64 {
        let share = (rank - self.low_count) as f64 / self.inside() as f64;
        (self.low + (self.high - self.low) * share.clamp(0.05, 0.95)).max(0.0)
    }

    /// Leave no more than `few` differences inside, if so few steps reach that.
    fn narrow(&mut self, rank: usize, few: usize, count: impl Fn(f64) -> usize) {
        for _ in 0..STEPS {
            if self.inside() <= few {
                break;
            }
            let guess = self.guess(rank);
            self.add(guess, count(guess), rank);
        }
    }
}

impl Differences<'_> {
    /// The median of those from rank `start` up to rank `end`.
    fn median(&self, start: usize, end: usize) -> Option<f64> {
        let count = end.checked_sub(start).filter(|&count| count > 0)?;
        let (lower, upper) = self.select(start + (count - 1) / 2);
        if count % 2 == 1 {
            return Some(lower);
        }
        let next = || {
            let around = self.around(lower);
            if around.count > start + count / 2 { lower } else { around.above }
        };
        Some(f64::midpoint(lower, upper.unwrap_or_else(next)))
    }

    /// The difference of that rank, counted from 0, and the one of the next rank where it came up.
    fn select(&self, rank: usize) -> (f64, Option<f64>) {
        let mut bracket = self.bracket(rank);
        if bracket.inside() > FEW * self.sorted.len() {
            return (self.bisect(bracket, rank), None);
        }
        let inside = self.within(&bracket);
        let below = bracket.low_count;
        bracket.narrow(rank, LAST, |value| below + count_up_to(&inside, value));
        let mut last: Vec<f64> = inside.into_iter().filter(|&value| bracket.holds(value)).collect();
        last.sort_unstable_by(f64::total_cmp);
        let place = rank - bracket.low_count;
        (last[place], last.get(place + 1).copied())
    }

    /// A bracket with few differences in it, if so few steps reach one.
    fn bracket(&self, rank: usize) -> Bracket {
        let size = self.sorted.len();
        // No difference is below 0, and those of 0 are among the ones inside.
        let mut bracket = Bracket {
            low: -1.0,
            low_count: 0,
            high: self.sorted[size - 1] - self.sorted[0],
            high_count: size * (size - 1) / 2,
        };
        if let Some(guesses) = self.first_guesses(rank) {
            for (guess, count) in guesses.into_iter().zip(self.count(guesses)) {
                bracket.add(guess, count, rank);
            }
        }
        bracket.narrow(rank, FEW * size, |value| self.count([value])[0]);
        bracket
    }

    /// Differences somewhat below and above the same quantile within a sample.
    fn first_guesses(&self, rank: usize) -> Option<[f64; 4]> {
        let size = self.sorted.len();
        if size < 2 * SAMPLE {
            return None;
        }
        let place = |index: usize| self.sorted[(2 * index + 1) * size / (2 * SAMPLE)];
        let mut sample = Vec::with_capacity(SAMPLE * (SAMPLE - 1) / 2);
        for last in 1..SAMPLE {
            sample.extend((0..last).map(|first| place(last) - place(first)));
        }
        let pairs = sample.len();
        let near = rank * pairs / (size * (size - 1) / 2);
        let mut at = |place: usize| *sample.select_nth_unstable_by(place, f64::total_cmp).1;
        let (far, close) = (pairs / 100 + 1, pairs / 400 + 1);
        Some([
            at(near.saturating_sub(far)),
            at(near.saturating_sub(close)),
            at((near + close).min(pairs - 1)),
            at((near + far).min(pairs - 1)),
        ])
    }

    /// Narrow a bracket down to one difference.
    fn bisect(&self, bracket: Bracket, rank: usize) -> f64 {
        let (mut low, mut high) = (bracket.low.max(0.0), bracket.high);
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

    /// How many differences are at most each of the values.
    ///
    /// Every step moves one of a value's two pointers, without a branch that could be guessed
    /// wrong, and the steps of several values do not wait for each other.
    fn count<const VALUES: usize>(&self, values: [f64; VALUES]) -> [usize; VALUES] {
        let (mut first, mut last) = ([0; VALUES], [0; VALUES]);
        let mut counts = [0; VALUES];
        for _ in 0..2 * self.sorted.len() {
            for k in 0..VALUES {
                let difference = self.padded[last[k]] - self.padded[first[k]];
                let exceeds = usize::from(difference > values[k]);
                counts[k] += (last[k] - first[k]) * (1 - exceeds);
                first[k] += exceeds;
                last[k] += 1 - exceeds;
            }
        }
        counts
    }

    /// The differences above the low end of a bracket and up to its high end.
    fn within(&self, bracket: &Bracket) -> Vec<f64> {
        let mut inside = Vec::with_capacity(bracket.inside());
        let (mut first, mut end) = (0, 0);
        for (last, &right) in self.sorted.iter().enumerate() {
            while right - self.sorted[first] > bracket.high {
                first += 1;
            }
            while end < last && right - self.sorted[end] > bracket.low {
                end += 1;
            }
            inside.extend(self.sorted[first..end.max(first)].iter().map(|&left| right - left));
        }
        inside
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

/// How many of the values are at most that large.
fn count_up_to(values: &[f64], limit: f64) -> usize {
    vectorised(
        #[inline(always)]
        || values.iter().map(|&value| usize::from(value <= limit)).sum(),
    )
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
        fn many_samples_are_narrowed_down_by_counting(
            seed in 0..1000_u64, levels in prop_oneof![Just(2_u64), Just(40), Just(1 << 30)]
        ) {
            let next = |state: &mut u64| {
                *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *state >> 33
            };
            let mut state = seed;
            let row: Vec<f64> =
                (0..257).map(|_| (next(&mut state) % levels).pow(2) as f64).collect();
            prop_assert_eq!(median_difference(&row), plain_median(all_differences(&row)));
        }
    }
}
