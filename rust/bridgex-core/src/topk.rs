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
            return Err(Error::Length {
                what: "tie_break",
                expected: len,
                found: second.len(),
            });
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
