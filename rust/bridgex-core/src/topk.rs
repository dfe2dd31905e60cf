//! Exactly k of n: the largest values, ties broken by a second value and then by position.

use std::cmp::Ordering;

use crate::{Error, Result, bitset};

/// The set of the `k` largest values as a bitset with exactly `k` bits.
///
/// Of equal values the one with the larger `tie_break` comes first, then the lower index. The cost
/// is linear in the number of values.
///
/// # Errors
/// [`Error::SetSize`] when `k` exceeds the number of values, [`Error::Length`] when the lengths
/// differ, [`Error::NotANumber`] when a value is NaN.
///
/// # Example
/// ```
/// let set = bridgex_core::topk::top_k(&[0.5, 1.0, 0.5, 1.0], 3, None)?;
/// assert_eq!(set, [0b1011]);
/// # Ok::<(), bridgex_core::Error>(())
/// ```
pub fn top_k(values: &[f64], k: usize, tie_break: Option<&[f64]>) -> Result<Vec<u64>> {
    let len = values.len();
    if k > len {
        return Err(Error::SetSize { k, len });
    }
    check_numbers(values, "values")?;
    if let Some(second) = tie_break {
        if second.len() != len {
            return Err(Error::Length { what: "tie_break", expected: len, found: second.len() });
        }
        check_numbers(second, "tie_break")?;
    }
    let descending = |&one: &usize, &other: &usize| {
        compare(values[other], values[one])
            .then_with(|| tie_break.map_or(Ordering::Equal, |tie| compare(tie[other], tie[one])))
            .then(one.cmp(&other))
    };
    let mut order: Vec<usize> = (0..len).collect();
    if 0 < k && k < len {
        order.select_nth_unstable_by(k - 1, descending);
    }
    Ok(bitset::pack(&order[..k], len))
}

/// Compare numbers that are not NaN; both zeros are equal.
fn compare(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or(Ordering::Equal)
}

fn check_numbers(values: &[f64], what: &'static str) -> Result<()> {
    match values.iter().position(|value| value.is_nan()) {
        Some(index) => Err(Error::NotANumber { what, index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let value = prop_oneof![Just(f64::NEG_INFINITY), (-2..3).prop_map(f64::from)];
        prop::collection::vec((value.clone(), value), 0..150)
    }

    proptest! {
        #[test]
        fn a_set_is_the_head_of_the_sorted_neurons(pairs in small(), size in any::<prop::sample::Index>()) {
            let (values, tie): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            let k = size.index(values.len() + 1);
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| pairs[b].partial_cmp(&pairs[a]).unwrap());
            order.truncate(k);
            order.sort_unstable();
            let set = top_k(&values, k, Some(&tie)).unwrap();
            prop_assert_eq!(bitset::members(&set).collect::<Vec<_>>(), order);
        }
    }

    #[test]
    fn bad_input_is_named() {
        assert_eq!(top_k(&[1.0], 2, None), Err(Error::SetSize { k: 2, len: 1 }));
        assert_eq!(
            top_k(&[1.0, f64::NAN], 1, None),
            Err(Error::NotANumber { what: "values", index: 1 })
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
