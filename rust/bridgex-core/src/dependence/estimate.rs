//! The three estimators as one formula.
//!
//! With `v` = ⟨A, B⟩ / (‖A‖ ‖B‖) for the centred kernels A = HKH and B = HLH, every estimator is,
//! up to a factor per neuron,
//!
//! `v + weight · pᵀq + total_weight · (Σp)(Σq)`
//!
//! where `p` is a vector over the samples: diag(A) / ‖A‖ for `unbiased`, HK1 / ‖A‖ for `reference`.

use super::options::{Estimator, Normalize, Options};

/// The constants of an estimator for a number of samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Formula {
    pub estimator: Estimator,
    pub normalize: Normalize,
    pub weight: f64,
    pub total_weight: f64,
    /// What the sum is multiplied by where it is not normalised.
    factor: f64,
    /// Root of the number of samples.
    root: f64,
    /// How much larger than `tr E · λ₁` the error of the vectors' part can be, for `unbiased`.
    diagonal_error: f64,
}

impl Formula {
    pub fn new(options: &Options, samples: usize) -> Self {
        let s = samples as f64;
        let squared = 1.0 / ((s - 1.0) * (s - 1.0));
        let (weight, total_weight, factor) = match options.estimator {
            Estimator::Unbiased => {
                (-s / (s - 2.0), 1.0 / ((s - 1.0) * (s - 2.0)), 1.0 / (s * (s - 3.0)))
            }
            Estimator::Reference => (1.0 / s, 0.0, 1.0),
            Estimator::Biased | Estimator::Linear => (0.0, 0.0, squared),
        };
        Self {
            estimator: options.estimator,
            normalize: options.normalize,
            weight,
            total_weight,
            factor,
            root: s.sqrt(),
            diagonal_error: s * s / ((s - 1.0) * (s - 2.0)),
        }
    }

    /// The same for a part of `samples`: what grows with their number is brought to that of all.
    pub fn of_part(self, samples: usize) -> Self {
        match self.estimator {
            Estimator::Reference => {
                let share = self.root * self.root / samples as f64;
                Self { factor: self.factor / (share * share), ..self }
            }
            _ => self,
        }
    }

    /// Whether the estimator has a vector over the samples.
    pub fn has_vector(&self) -> bool {
        self.weight != 0.0
    }

    /// The sum of a neuron with itself, from its ‖A‖² and the square and the sum of its vector.
    pub fn own(&self, squared_norm: f64, squared_vector: f64, total: f64) -> f64 {
        squared_norm + self.weight * squared_vector + self.total_weight * total * total
    }

    /// What scores of a neuron are multiplied by: its part of the normalisation, or of the
    /// estimator's factor.
    pub fn scale(&self, own: f64, norm: f64) -> f64 {
        match self.normalize {
            Normalize::Cka => 1.0 / own.sqrt(),
            Normalize::None => norm * self.factor.sqrt(),
        }
    }

    /// How an error of another neuron's kernel (its trace) reaches the vectors' part.
    pub fn vector_error(&self, leading: f64, squared_vector: f64) -> f64 {
        match self.estimator {
            Estimator::Unbiased => self.diagonal_error * leading,
            Estimator::Reference => squared_vector.sqrt() / self.root,
            Estimator::Biased | Estimator::Linear => 0.0,
        }
    }
}
