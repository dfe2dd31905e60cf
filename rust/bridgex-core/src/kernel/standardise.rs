//! Rows of mean 0 and standard deviation 1.

use crate::simd::{dot, extremes, sum, vectorised};

/// A standardised row.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardised {
    /// The values; zeros where the row is constant.
    pub values: Vec<f64>,
    /// Whether the row holds one value only.
    pub constant: bool,
}

/// Centre a row of finite numbers and divide it by its standard deviation (ddof = 1) plus
/// `epsilon`.
///
/// # Example
/// ```
/// use bridgex_core::kernel::standardise::standardise;
/// assert_eq!(standardise(vec![1.0, 2.0, 3.0], 0.0).values, [-1.0, 0.0, 1.0]);
/// assert!(standardise(vec![2.0, 2.0], 0.0).constant);
/// ```
#[must_use]
pub fn standardise(mut row: Vec<f64>, epsilon: f64) -> Standardised {
    let (least, most) = vectorised(
        #[inline(always)]
        || extremes(&row),
    );
    if least >= most {
        row.fill(0.0);
        return Standardised { values: row, constant: true };
    }
    let unit = unit(most.max(-least));
    vectorised(
        #[inline(always)]
        || {
            if let Some(unit) = unit {
                row.iter_mut().for_each(|value| *value /= unit);
            }
            let mean = sum(&row) / row.len() as f64;
            row.iter_mut().for_each(|value| *value -= mean);
            let deviation = (dot(&row, &row) / (row.len() - 1) as f64).sqrt();
            let divisor = deviation + epsilon / unit.unwrap_or(1.0);
            row.iter_mut().for_each(|value| *value /= divisor);
        },
    );
    Standardised { values: row, constant: false }
}

/// A unit in which the squares of numbers up to that size can be represented, where 1 is none.
fn unit(largest: f64) -> Option<f64> {
    (!(1e-100..1e100).contains(&largest)).then_some(largest)
}
