//! Exactly k of n: the largest values, ties broken by a second value and then by position.

use std::{cmp::Ordering, sync::atomic::AtomicBool};

use crate::{
    Error, Result,
    bitset::{self, WORD},
    parallel::check,
};

/// Bits of a key that one pass looks at: its counts stay in the first level cache.
const DIGIT: u32 = 11;

/// So many keys are not worth another pass over all.
const FEW: usize = 1024;

/// Values between two looks at whether to stop: less than a millisecond's work.
const CHUNK: usize = 1 << 16;

/// The set of the `k` largest values as a bitset with exactly `k` bits.
///
/// Of equal values the one with the larger `tie_break` comes first, then the lower index. The cost
/// is linear in the number of values, for any of them and any `k`; there is no memory to
/// speak of but the result. Once `stop` is set, the call ends within milliseconds.
///
/// # Errors
/// [`Error::SetSize`] when `k` exceeds the number of values, [`Error::Length`] when the lengths
/// differ, [`Error::NotANumber`] when a value is NaN, [`Error::Interrupted`] once `stop` is set.
///
/// # Example
/// ```
/// let stop = std::sync::atomic::AtomicBool::new(false);
/// let set = bridgex_core::topk::top_k(&[0.5, 1.0, 0.5, 1.0], 3, None, &stop)?;
/// assert_eq!(set, [0b1011]);
/// # Ok::<(), bridgex_core::Error>(())
/// ```
pub fn top_k(
    values: &[f64],
    k: usize,
    tie_break: Option<&[f64]>,
    stop: &AtomicBool,
) -> Result<Vec<u64>> {
    let len = values.len();
    if k > len {
        return Err(Error::SetSize { k, len });
    }
    check_numbers(values, "values", stop)?;
    if let Some(second) = tie_break {
        if second.len() != len {
            return Err(Error::Length { what: "tie_break", expected: len, found: second.len() });
        }
        check_numbers(second, "tie_break", stop)?;
    }
    if k == 0 {
        return Ok(vec![0; bitset::word_count(len)]);
    }
    let value = |index: usize| key(values[index]);
    let last = kth_largest(len, k, |index| Some(value(index)), stop)?;
    let Some(second) = tie_break.filter(|_| last.rank < last.equal) else {
        return take(len, last.rank, |index| value(index).cmp(&last.key), stop);
    };
    let tie = |index: usize| key(second[index]);
    let tied = |index| (value(index) == last.key).then(|| tie(index));
    let last_tied = kth_largest(len, last.rank, tied, stop)?;
    let order = |index| (value(index), tie(index)).cmp(&(last.key, last_tied.key));
    take(len, last_tied.rank, order, stop)
}

/// The last key that is among the largest.
struct Last {
    key: u64,
    /// How many of those that equal it are among the largest.
    rank: usize,
    /// How many equal it.
    equal: usize,
}

/// Find the k-th largest of the keys that there are, for `k` from 1 to their number.
///
/// Digit by digit from the highest: how many keys have each digit, of those that agree with the
/// k-th largest so far, tells which digit that one has. Once those that agree are few, they are
/// selected from as they are.
fn kth_largest(
    len: usize,
    k: usize,
    keys: impl Fn(usize) -> Option<u64>,
    stop: &AtomicBool,
) -> Result<Last> {
    let mut last = Last { key: 0, rank: k, equal: len };
    let mut shift = u64::BITS;
    let agrees = |key: &u64, head, shift| key.checked_shr(shift).unwrap_or(0) == head;
    while shift > 0 && last.equal > FEW {
        let width = DIGIT.min(shift);
        let mut counts = [0; 1 << DIGIT];
        each(len, stop, |index| {
            if let Some(key) = keys(index).filter(|key| agrees(key, last.key, shift)) {
                counts[digit(key >> (shift - width), width)] += 1;
            }
        })?;
        shift -= width;
        let mut found = (1 << width) - 1;
        while counts[found] < last.rank {
            last.rank -= counts[found];
            found -= 1;
        }
        last = Last { key: last.key << width | found as u64, equal: counts[found], ..last };
    }
    if shift == 0 {
        return Ok(last);
    }
    let mut few = Vec::with_capacity(last.equal);
    each(len, stop, |index| {
        few.extend(keys(index).filter(|key| agrees(key, last.key, shift)));
    })?;
    Ok(select(&mut few, last.rank))
}

/// The k-th largest of all keys.
fn select(keys: &mut [u64], k: usize) -> Last {
    let (larger, &mut key, smaller) =
        keys.select_nth_unstable_by(k - 1, |one, other| other.cmp(one));
    let equals = |keys: &[u64]| keys.iter().filter(|&&other| other == key).count();
    let rank = 1 + equals(larger);
    Last { key, rank, equal: rank + equals(smaller) }
}

/// The lowest bits of a key.
#[allow(clippy::cast_possible_truncation)] // a digit is what the mask leaves
fn digit(key: u64, width: u32) -> usize {
    key as usize & ((1 << width) - 1)
}

/// The set of those that are greater, and of the first so many that are equal.
fn take(
    len: usize,
    mut equal: usize,
    order: impl Fn(usize) -> Ordering,
    stop: &AtomicBool,
) -> Result<Vec<u64>> {
    let mut set = vec![0; bitset::word_count(len)];
    each(len, stop, |index| {
        let order = order(index);
        let taken = order.is_gt() || order.is_eq() && equal > 0;
        equal -= usize::from(taken && order.is_eq());
        set[index / WORD] |= u64::from(taken) << (index % WORD);
    })?;
    Ok(set)
}

/// Visit every index, unless asked to stop.
fn each(len: usize, stop: &AtomicBool, mut visit: impl FnMut(usize)) -> Result<()> {
    for start in (0..len).step_by(CHUNK) {
        check(stop)?;
        (start..len.min(start + CHUNK)).for_each(&mut visit);
    }
    Ok(())
}

/// A whole number that is larger where the value is; both zeros have the same.
fn key(value: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn check_numbers(values: &[f64], what: &'static str, stop: &AtomicBool) -> Result<()> {
    for (chunk, start) in values.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        check(stop)?;
        if let Some(index) = chunk.iter().position(|value| value.is_nan()) {
            return Err(Error::NotANumber { what, index: start + index });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static RUNNING: AtomicBool = AtomicBool::new(false);

    /// Few values, so that many are equal, or any at all.
    fn value() -> impl Strategy<Value = f64> {
        let few = [f64::NEG_INFINITY, -2.0, -0.0, 0.0, 1.0, 1.0 + 1e-15, f64::INFINITY];
        prop_oneof![3 => prop::sample::select(few.to_vec()), 1 => any::<f64>()]
    }

    /// The indices of the k first of the sorted pairs, ascending.
    fn head(pairs: &[(f64, f64)], k: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by(|&a, &b| pairs[b].partial_cmp(&pairs[a]).unwrap());
        order.truncate(k);
        order.sort_unstable();
        order
    }

    fn members(values: &[f64], k: usize, tie: Option<&[f64]>) -> Vec<usize> {
        bitset::members(&top_k(values, k, tie, &RUNNING).unwrap()).collect()
    }

    /// Whether the set is the head of the sorted neurons, with a second value and without.
    fn assert_head(pairs: &[(f64, f64)], k: usize) {
        let (values, tie): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        assert_eq!(members(&values, k, Some(&tie)), head(pairs, k));
        let alone: Vec<(f64, f64)> = values.iter().map(|&value| (value, 0.0)).collect();
        assert_eq!(members(&values, k, None), head(&alone, k));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn a_set_is_the_head_of_the_sorted_neurons(
            pairs in prop::collection::vec((value(), value()), 0..150),
            times in prop::sample::select(vec![1, 1, FEW / 100, FEW / 20]),
            size in any::<prop::sample::Index>(),
        ) {
            let pairs = pairs.repeat(times);
            assert_head(&pairs, size.index(pairs.len() + 1));
        }
    }

    #[test]
    fn more_values_than_are_looked_at_between_two_stops() {
        let len = 2 * CHUNK + 5;
        let pairs: Vec<(f64, f64)> =
            (0..len).map(|index| ((index % 7) as f64, (index % 31) as f64)).collect();
        for k in [1, len / 2, len] {
            assert_head(&pairs, k);
        }
        let distinct: Vec<f64> = (0..len).map(|index| (index * 65_537 % len) as f64).collect();
        let pairs: Vec<(f64, f64)> = distinct.into_iter().zip(std::iter::repeat(0.0)).collect();
        assert_head(&pairs, len / 3);
        assert_head(&vec![(1.0, 1.0); len], len - 2);
    }

    #[test]
    fn once_stopped_there_is_no_result() {
        let found = top_k(&[1.0], 1, None, &AtomicBool::new(true));
        assert_eq!(found, Err(Error::Interrupted));
    }

    #[test]
    fn bad_input_is_named() {
        let top_k = |values: &[f64], k, tie| top_k(values, k, tie, &RUNNING);
        assert_eq!(top_k(&[1.0], 2, None), Err(Error::SetSize { k: 2, len: 1 }));
        let mut values = vec![1.0; CHUNK + 2];
        values[CHUNK + 1] = f64::NAN;
        assert_eq!(
            top_k(&values, 1, None),
            Err(Error::NotANumber { what: "values", index: CHUNK + 1 })
        );
        assert_eq!(
            top_k(&[1.0], 1, Some(&[f64::NAN])),
            Err(Error::NotANumber { what: "tie_break", index: 0 })
        );
        assert_eq!(
            top_k(&[1.0], 1, Some(&[])),
            Err(Error::Length { what: "tie_break", expected: 1, found: 0 })
        );
    }
}
