//! How far the scores of truncated features can be from those of the kernels.
//!
//! With A = A_r + E_x and B = B_r + E_y, all positive semidefinite,
//! `0 ≤ ⟨A, B⟩ - ⟨A_r, B_r⟩ = ⟨E_x, B⟩ + ⟨A_r, E_y⟩`, and each term is at most the product of the
//! trace of one factor with the largest eigenvalue of the other, and also at most the product of
//! their Frobenius norms. The parts of the estimators that come from vectors over the samples, and
//! the own terms, only lack what the factor left out before it was cut. Pairs with a neuron that
//! takes part through its kernel have no such error.

use super::neuron::{Accuracy, Neuron, Part};
use crate::real::Real;

/// Products are in double precision where any neuron's amplification is larger.
const SINGLE_PRODUCTS: f64 = 4.0;

/// An upper bound of the error of every score between two sets.
pub(super) fn error_bound<T>(x: &[Neuron<T>], y: &[Neuron<T>]) -> f64 {
    let (x, y) = (Worst::of(x), Worst::of(y));
    (one_side(&x, &y) + one_side(&y, &x)) * (1.0 + x.residual.max(y.residual)) + x.own + y.own
}

/// The largest factor by which normalising a neuron of the set makes an error grow.
pub(super) fn amplification<T>(neurons: &[Neuron<T>]) -> f64 {
    by_features(neurons).fold(1.0, |most, one| most.max(one.amplification))
}

/// Whether products in single precision would lose too much to the normalising factors.
pub(super) fn wants_double<T: Real>(x: &[Neuron<T>], y: &[Neuron<T>]) -> bool {
    T::EPSILON > f64::EPSILON && amplification(x).max(amplification(y)) > SINGLE_PRODUCTS
}

/// The error that truncating `x` makes.
fn one_side(x: &Worst, y: &Worst) -> f64 {
    let by_norm = x.scaled_norm * y.scale;
    let by_trace = x.scaled_trace * y.scaled_leading;
    by_norm.min(by_trace) + x.scaled_residual * y.scaled_vector
}

/// Largest values over the neurons of a set, each times the neuron's scale.
#[derive(Default)]
struct Worst {
    scale: f64,
    scaled_norm: f64,
    scaled_trace: f64,
    scaled_leading: f64,
    scaled_residual: f64,
    scaled_vector: f64,
    residual: f64,
    own: f64,
}

impl Worst {
    fn of<T>(neurons: &[Neuron<T>]) -> Self {
        by_features(neurons).fold(Self::default(), |worst, neuron| {
            let Accuracy { norm, trace, leading, residual, vector, own } = neuron.accuracy;
            let scale = neuron.scale;
            Self {
                scale: worst.scale.max(scale),
                scaled_norm: worst.scaled_norm.max(scale * norm),
                scaled_trace: worst.scaled_trace.max(scale * trace),
                scaled_leading: worst.scaled_leading.max(scale * leading),
                scaled_residual: worst.scaled_residual.max(scale * residual),
                scaled_vector: worst.scaled_vector.max(scale * vector),
                residual: worst.residual.max(residual),
                own: worst.own.max(own),
            }
        })
    }
}

fn by_features<T>(neurons: &[Neuron<T>]) -> impl Iterator<Item = &Neuron<T>> {
    neurons.iter().filter(|neuron| neuron.part == Part::Features)
}
