//! One neuron, prepared: few features, or its kernel where few do not suffice.

use super::{
    estimate::Formula,
    options::{Estimator, Normalize},
};
use crate::{
    kernel::{eigen::Eigen, exact::Centring, features::Factor, standardise::Standardised},
    real::Real,
    simd::{dot, sum},
};

/// An own term of the estimator counts as positive from this share of the biased one: below it
/// there is only rounding.
const POSITIVE: f64 = 1e-9;

/// Where the own term is a smaller share than this, its reciprocal would blow up every error, and
/// the kernel itself is used.
const SMALL_OWN: f64 = 1.0 / 16.0;

/// Share of the tolerance that the columns left out of a factor may use.
const RESIDUAL_SHARE: f64 = 0.01;

/// Features are computed in single precision where the tolerance is at least this, and otherwise in
/// double: their rounding is about a hundredth of it.
const SINGLE_LIMIT: f64 = 1e-4;

/// Further from the mean than this, in kernel widths, squares leave the range of single precision.
const SINGLE_RANGE: f64 = 1e18;

/// Share of the tolerance that one neuron's truncation may use; a pair has two of them.
const TRUNCATION_SHARE: f64 = 0.45;

/// How neurons are to be prepared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub formula: Formula,
    /// Largest error of a normalised score.
    pub tolerance: f64,
    /// A lower bound of the largest normalising factor, by which errors grow.
    pub amplification: f64,
}

/// How a neuron takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It has one value only, and scores 0.
    Constant,
    /// It cannot be estimated.
    LeftOut,
    /// Through features.
    Features,
    /// Through its kernel.
    Kernel,
}

/// What is known about the error of a neuron's features; all relative to ‖HKH‖.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Accuracy {
    /// Frobenius norm of what was cut off.
    pub norm: f64,
    /// Trace of what was cut off.
    pub trace: f64,
    /// Largest eigenvalue of HKH.
    pub leading: f64,
    /// Trace of what the factor left out before it was cut.
    pub residual: f64,
    /// How the residual of another neuron reaches the score through the vectors.
    pub vector: f64,
    /// Relative error of the own term.
    pub own: f64,
}

/// A neuron ready to be multiplied.
#[derive(Debug)]
pub(super) struct Neuron<T> {
    pub part: Part,
    pub accuracy: Accuracy,
    /// `1 / √own` where scores are normalised, else 1.
    pub amplification: f64,
    /// Factor of its scores.
    pub scale: f64,
    /// Features, one after another over the samples, scaled so that ‖ΦᵀΦ‖ is 1.
    pub features: Vec<T>,
    /// Number of features.
    pub rank: usize,
    /// The estimator's vector over the samples, over ‖HKH‖.
    pub vector: Vec<T>,
    /// Sum of the vector.
    pub total: f64,
    /// Its kernel, where that is used for some pair.
    pub kernel: Option<KernelForm>,
}

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
    pub fn new(u: Vec<f64>, formula: &Formula) -> Option<Self> {
        let centring = Centring::new(&u);
        let norm = centring.squared_norm(&u).sqrt();
        let mut vector = match formula.estimator {
            Estimator::Unbiased => centring.diagonal(),
            Estimator::Reference => centring.row_sums(),
            Estimator::Biased | Estimator::Linear => Vec::new(),
        };
        vector.iter_mut().for_each(|value| *value /= norm);
        let total = sum(&vector);
        let own = formula.own(dot(&vector, &vector), total);
        let estimable =
            norm.is_normal() && (formula.normalize == Normalize::None || own > POSITIVE);
        estimable.then(|| Self {
            scale: formula.scale(own, norm),
            u,
            centring,
            norm,
            vector,
            total,
        })
    }
}

impl<T: Real> Neuron<T> {
    /// Prepare a standardised row with a kernel of that width.
    pub fn new(row: &Standardised, width: f64, plan: &Plan) -> Self {
        if row.constant {
            return Self::without(Part::Constant);
        }
        if plan.formula.estimator == Estimator::Linear {
            let factor = Factor::<T>::linear(&row.values);
            return Self::from_factor(&factor, &factor.spectrum(), 1, plan);
        }
        let Some(u) = scaled(&row.values, width) else {
            return Self::without(Part::LeftOut);
        };
        let limit = plan.tolerance / (plan.amplification * plan.amplification);
        if limit <= 0.0 {
            return Self::by_kernel(u, plan);
        }
        let far = u.iter().any(|value| value.abs() > SINGLE_RANGE);
        let neuron = if limit < SINGLE_LIMIT || far {
            Self::by_features::<f64>(&u, limit, plan)
        } else {
            Self::by_features::<T>(&u, limit, plan)
        };
        neuron.unwrap_or_else(|| Self::by_kernel(u, plan))
    }

    /// Through features that are computed in the precision `F`, where few suffice.
    fn by_features<F: Real>(u: &[f64], limit: f64, plan: &Plan) -> Option<Self> {
        let max_rank = max_rank(u.len());
        let factor = Factor::<F>::gaussian(u, RESIDUAL_SHARE * limit, 2 * max_rank + 16);
        let spectrum = factor.spectrum();
        let rank = truncation(&spectrum, factor.residual, TRUNCATION_SHARE * limit)?;
        if rank > max_rank {
            return None;
        }
        let neuron = Self::from_factor(&factor, &spectrum, rank, plan);
        (neuron.amplification.powi(2) * SMALL_OWN <= 1.0).then_some(neuron)
    }

    fn by_kernel(u: Vec<f64>, plan: &Plan) -> Self {
        let kernel = KernelForm::new(u, &plan.formula);
        let part = if kernel.is_some() { Part::Kernel } else { Part::LeftOut };
        Self { kernel, ..Self::without(part) }
    }

    fn without(part: Part) -> Self {
        Self {
            part,
            accuracy: Accuracy::default(),
            amplification: 1.0,
            scale: 0.0,
            features: Vec::new(),
            rank: 0,
            vector: Vec::new(),
            total: 0.0,
            kernel: None,
        }
    }

    fn from_factor<F: Real>(
        factor: &Factor<F>,
        spectrum: &Eigen,
        rank: usize,
        plan: &Plan,
    ) -> Self {
        let norm = dot(&spectrum.values, &spectrum.values).sqrt();
        let residual = factor.residual / norm;
        let tail = &spectrum.values[rank..];
        let mut neuron = Self { rank, ..Self::without(Part::Features) };
        let scale = 1.0 / norm.sqrt();
        let directions = factor.directions(spectrum, rank, scale);
        neuron.features = directions.into_iter().map(|value| T::of(value.wide())).collect();
        neuron.accuracy = Accuracy {
            norm: dot(tail, tail).sqrt() / norm + residual,
            trace: sum(tail) / norm + residual,
            leading: spectrum.values[0] / norm + residual,
            residual,
            ..Accuracy::default()
        };
        neuron.add_vector(factor, norm, &plan.formula);
        neuron
    }

    /// Fill in what depends on the estimator's vector.
    fn add_vector<F: Real>(&mut self, factor: &Factor<F>, norm: f64, formula: &Formula) {
        let vector = match formula.estimator {
            Estimator::Unbiased => factor.diagonal(),
            Estimator::Reference => factor.row_sums(),
            Estimator::Biased | Estimator::Linear => Vec::new(),
        };
        let vector: Vec<f64> = vector.into_iter().map(|value| value.wide() / norm).collect();
        let squared = dot(&vector, &vector);
        self.total = sum(&vector);
        let own = formula.own(squared, self.total).max(0.0);
        self.scale = formula.scale(own, norm);
        self.accuracy.vector = formula.vector_error(self.accuracy.leading, squared);
        if formula.normalize == Normalize::Cka {
            self.amplification = self.scale;
            self.accuracy.own =
                (1.0 + self.accuracy.vector) * self.accuracy.residual * self.amplification.powi(2);
        }
        self.vector = vector.into_iter().map(T::of).collect();
    }

    /// Prepare the kernel too, for pairs with a neuron that needs its own.
    pub fn add_kernel(&mut self, row: &Standardised, width: f64, formula: &Formula) {
        if self.part == Part::Features {
            self.kernel = scaled(&row.values, width).and_then(|u| KernelForm::new(u, formula));
        }
    }
}

/// Neurons that need more features than this take part through their kernels.
fn max_rank(samples: usize) -> usize {
    (samples / 2).isqrt().max(samples / 16)
}

/// `x / σ`, or nothing where it cannot be represented.
pub(super) fn scaled(row: &[f64], width: f64) -> Option<Vec<f64>> {
    let inverse = 1.0 / width;
    let u: Vec<f64> = row.iter().map(|&value| value * inverse).collect();
    u.iter().all(|value| value.is_finite()).then_some(u)
}

/// The smallest rank at which what is cut off is at most `limit` of the whole.
fn truncation(spectrum: &Eigen, residual: f64, limit: f64) -> Option<usize> {
    let norm = dot(&spectrum.values, &spectrum.values).sqrt();
    if !norm.is_normal() || residual > limit * norm {
        return None;
    }
    let mut rank = spectrum.values.len();
    let mut tail = 0.0;
    while rank > 1 {
        tail += spectrum.values[rank - 1].powi(2);
        if f64::sqrt(tail) + residual > limit * norm {
            break;
        }
        rank -= 1;
    }
    Some(rank)
}
