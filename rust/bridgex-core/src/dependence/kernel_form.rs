//! One neuron through its kernel.

use std::sync::atomic::AtomicBool;

use super::{
    estimate::Formula,
    options::{Estimator, Normalize},
};
use crate::{
    Result,
    kernel::exact::Centring,
    simd::{dot, magnitude, sum, vectorised},
};

/// An own term of the estimator counts as positive from this share of the biased one: below it
/// there is only rounding.
pub(super) const POSITIVE: f64 = 1e-9;

/// The square of a smaller norm has lost digits.
const LEAST_NORM: f64 = 1e-146;

/// A neuron through its kernel, in double precision throughout.
#[derive(Debug)]
pub(super) struct KernelForm {
    /// The row over the kernel's width.
    pub u: Vec<f64>,
    pub centring: Centring,
    /// ‖HKH‖.
    pub norm: f64,
    /// Factor of its scores.
    pub scale: f64,
    /// The estimator's vector over the samples, over ‖HKH‖.
    pub vector: Vec<f64>,
    /// Sum of the vector.
    pub total: f64,
}

impl KernelForm {
    /// Nothing where the neuron cannot be estimated.
    pub fn new(u: Vec<f64>, formula: &Formula, stop: &AtomicBool) -> Result<Option<Self>> {
        let centring = Centring::new(&u, stop)?;
        let norm = centring.squared_norm(&u, stop)?.sqrt();
        let mut vector = match formula.estimator {
            Estimator::Unbiased => centring.diagonal(),
            Estimator::Reference => centring.row_sums(),
            Estimator::Biased | Estimator::Linear => Vec::new(),
        };
        vector.iter_mut().for_each(|value| *value /= norm);
        let total = sum(&vector);
        let own = formula.own(1.0, dot(&vector, &vector), total);
        let estimable =
            has_digits(norm) && (formula.normalize == Normalize::None || own > POSITIVE);
        Ok(estimable.then(|| Self {
            scale: formula.scale(own, norm),
            u,
            centring,
            norm,
            vector,
            total,
        }))
    }
}

/// Whether a norm can be divided by.
pub(super) fn has_digits(norm: f64) -> bool {
    norm.is_finite() && norm > LEAST_NORM
}

/// `x / σ`, or nothing where it cannot be represented.
pub(super) fn scaled(row: &[f64], width: f64) -> Option<Vec<f64>> {
    let inverse = 1.0 / width;
    let u: Vec<f64> = vectorised(
        #[inline(always)]
        || row.iter().map(|&value| value * inverse).collect(),
    );
    (inverse.is_finite() && magnitude(&u).is_finite()).then_some(u)
}
