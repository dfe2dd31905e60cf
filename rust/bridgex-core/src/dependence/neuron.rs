//! One neuron, prepared: few features, or its kernel where few do not suffice.

use std::{ops::Range, sync::atomic::AtomicBool};

use super::{
    estimate::Formula,
    kernel_form::{KernelForm, POSITIVE, has_digits, scaled},
    options::{Estimator, Normalize},
};
use crate::{
    Result,
    kernel::{
        columns::{diagonal, square_sum, sum_of},
        eigen::Eigen,
        features::Factor,
        standardise::Standardised,
    },
    real::Real,
    simd::{dot, magnitude, sum},
};

/// An own term of the estimator counts as positive from this share of the biased one, where it was
/// computed from features of that precision.
pub(super) fn positive<T: Real>() -> f64 {
    POSITIVE.max(32.0 * T::EPSILON)
}

/// Where the own term is a smaller share than this, its reciprocal would blow up every error, and
/// the kernel itself is used.
const SMALL_OWN: f64 = 1e-4;

/// Amplification that the shares of the tolerance leave room for.
const HARMLESS: f64 = 1.05;

/// So many features are affordable whatever the number of samples.
const FEW_SAMPLES: usize = 32;

/// A factor has no more columns than this: with twice as many it takes four times as long, and
/// twice the memory.
const MOST_COLUMNS: usize = 320;

/// Share of the tolerance that the columns left out of a factor may use.
const RESIDUAL_SHARE: f64 = 0.01;

/// Features are computed in single precision where the tolerance is at least this, and otherwise in
/// double: their rounding is about a hundredth of it.
const SINGLE_LIMIT: f64 = 1e-4;

/// Where there are no kernels to fall back on, no more than this is asked of features.
const LEAST_LIMIT: f64 = 1e-12;

/// The largest distances from the mean, in kernel widths, at which single precision suffices: of
/// smaller ones it does not hold the squares, and between larger ones not the differences.
const SINGLE_RANGE: Range<f64> = 1e-9..256.0;

/// Where normalising makes errors grow by more, features are computed in double precision.
const SINGLE_AMPLIFICATION: f64 = 2.0;

/// Share of the tolerance that one neuron's truncation may use; a pair has two of them.
const TRUNCATION_SHARE: f64 = 0.45;

/// How neurons are to be prepared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub formula: Formula,
    /// Largest error of a normalised score.
    pub tolerance: f64,
    /// The largest normalising factor of the other set, by which errors grow.
    pub amplification: f64,
    /// Whether neurons that need many features take part through their kernels. Without kernels
    /// the product of a neuron's features is taken as its kernel.
    pub kernels: bool,
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
    /// ‖HKH‖.
    pub norm: f64,
    /// `1 / √own` where scores are normalised, else 1.
    pub amplification: f64,
    /// Factor of its scores.
    pub scale: f64,
    /// Features, one after another over the samples, scaled so that ‖ΦᵀΦ‖ is 1.
    pub features: Vec<T>,
    /// Number of features.
    pub rank: usize,
    /// Sums of the features before they were centred, over √‖HKH‖.
    pub sums: Vec<f64>,
    /// The estimator's vector over the samples, over ‖HKH‖.
    pub vector: Vec<T>,
    /// Sum of the vector.
    pub total: f64,
    /// Its kernel, where that is used for some pair.
    pub kernel: Option<KernelForm>,
}

impl<T: Real> Neuron<T> {
    /// Prepare a standardised row with a kernel of that width.
    pub fn new(row: &Standardised, width: f64, plan: &Plan, stop: &AtomicBool) -> Result<Self> {
        if row.constant {
            return Ok(Self::without(Part::Constant));
        }
        if plan.formula.estimator == Estimator::Linear {
            let factor = Factor::<f64>::linear(&row.values);
            let neuron = Neuron::<f64>::from_factor(&factor, &factor.spectrum(), 1, plan);
            return Ok(neuron.map_or_else(|| Self::without(Part::LeftOut), Neuron::rounded));
        }
        let Some(u) = scaled(&row.values, width) else {
            return Ok(Self::without(Part::LeftOut));
        };
        match Self::by_features(&u, plan) {
            Some(neuron) => Ok(neuron),
            None if plan.kernels => Self::by_kernel(u, plan, stop),
            None => Ok(Self::without(Part::LeftOut)),
        }
    }

    /// Through features, where few suffice.
    fn by_features(u: &[f64], plan: &Plan) -> Option<Self> {
        let limit = plan.tolerance / plan.amplification;
        let limit = if plan.kernels { limit } else { limit.max(LEAST_LIMIT) };
        if limit <= 0.0 {
            return None;
        }
        let single = limit >= SINGLE_LIMIT && SINGLE_RANGE.contains(&magnitude(u));
        let first = Self::by_features_in(single, u, limit, 1.0, plan)?;
        let own = first.amplification;
        if own <= HARMLESS || (!plan.kernels && own.powi(2) <= SINGLE_AMPLIFICATION) {
            return Some(first);
        }
        let single = single && own.powi(2) <= SINGLE_AMPLIFICATION;
        let second = Self::by_features_in(single, u, limit, own, plan)?;
        let enough = !plan.kernels || second.amplification.powi(2) * SMALL_OWN <= 1.0;
        enough.then_some(second)
    }

    /// In single precision where that is allowed and suffices.
    fn by_features_in(
        single: bool,
        u: &[f64],
        limit: f64,
        amplification: f64,
        plan: &Plan,
    ) -> Option<Self> {
        if single && let Some(neuron) = Self::by_features_of(u, limit, amplification, plan) {
            return Some(neuron);
        }
        Neuron::<f64>::by_features_of(u, limit, amplification, plan).map(Neuron::rounded)
    }

    /// Errors of the scores grow with the amplification, those of the own term with its square.
    fn by_features_of(u: &[f64], limit: f64, amplification: f64, plan: &Plan) -> Option<Self> {
        let max_rank = max_rank(u.len(), plan.kernels);
        let residual = RESIDUAL_SHARE * limit / amplification.powi(2);
        let columns = (2 * max_rank + 16).min(MOST_COLUMNS);
        let factor = Factor::<T>::gaussian(u, residual, columns);
        let spectrum = factor.spectrum();
        if T::EPSILON > f64::EPSILON && factor.residual > 2.0 * residual * spectrum.values[0] {
            return None;
        }
        let kept = TRUNCATION_SHARE * limit / amplification;
        let rank = truncation(&spectrum, factor.residual, kept);
        if !plan.kernels {
            let rank = rank.unwrap_or(spectrum.values.len()).min(max_rank);
            return Self::from_factor(&factor, &spectrum, rank, plan);
        }
        let rank = rank.filter(|&rank| rank <= max_rank)?;
        Self::from_factor(&factor, &spectrum, rank, plan)
    }

    fn by_kernel(u: Vec<f64>, plan: &Plan, stop: &AtomicBool) -> Result<Self> {
        let kernel = KernelForm::new(u, &plan.formula, stop)?;
        let part = if kernel.is_some() { Part::Kernel } else { Part::LeftOut };
        Ok(Self { kernel, ..Self::without(part) })
    }

    fn without(part: Part) -> Self {
        Self {
            part,
            accuracy: Accuracy::default(),
            amplification: 1.0,
            scale: 0.0,
            features: Vec::new(),
            rank: 0,
            sums: Vec::new(),
            norm: 0.0,
            vector: Vec::new(),
            total: 0.0,
            kernel: None,
        }
    }

    /// Nothing where the neuron cannot be estimated.
    fn from_factor(factor: &Factor<T>, spectrum: &Eigen, rank: usize, plan: &Plan) -> Option<Self> {
        let norm = dot(&spectrum.values, &spectrum.values).sqrt();
        if !has_digits(norm) {
            return None;
        }
        let residual = factor.residual / norm;
        let tail = &spectrum.values[rank..];
        let scale = 1.0 / norm.sqrt();
        let mut neuron = Self {
            rank,
            norm,
            features: factor.directions(spectrum, rank, scale),
            sums: factor.direction_sums(spectrum, rank, scale),
            ..Self::without(Part::Features)
        };
        neuron.accuracy = Accuracy {
            norm: dot(tail, tail).sqrt() / norm + residual,
            trace: sum(tail) / norm + residual,
            leading: spectrum.values[0] / norm + residual,
            residual,
            ..Accuracy::default()
        };
        let kept = &spectrum.values[..rank];
        let squared_norm = if plan.kernels { 1.0 } else { dot(kept, kept) / (norm * norm) };
        neuron.add_vector(factor, squared_norm, plan)?;
        Some(neuron)
    }

    /// Fill in what depends on the estimator's vector.
    fn add_vector(&mut self, factor: &Factor<T>, squared_norm: f64, plan: &Plan) -> Option<()> {
        let formula = &plan.formula;
        let samples = self.features.len() / self.rank;
        let vector = match formula.estimator {
            Estimator::Biased | Estimator::Linear => Vec::new(),
            Estimator::Unbiased if plan.kernels => factor.diagonal(1.0 / self.norm),
            Estimator::Unbiased => diagonal(&self.features, samples),
            Estimator::Reference => factor.row_sums(1.0 / self.norm),
        };
        let (squared, total) = (square_sum(&vector), sum_of(&vector));
        let own = formula.own(squared_norm, squared, total);
        if formula.normalize == Normalize::Cka && own <= positive::<T>() {
            return None;
        }
        self.total = total;
        self.scale = formula.scale(own, self.norm);
        self.accuracy.vector = formula.vector_error(self.accuracy.leading, squared);
        if formula.normalize == Normalize::Cka {
            self.amplification = self.scale;
            self.accuracy.own =
                (1.0 + self.accuracy.vector) * self.accuracy.residual * self.amplification.powi(2);
        }
        self.vector = vector;
        Some(())
    }

    /// Prepare the kernel too, for pairs with a neuron that needs its own.
    pub fn add_kernel(
        &mut self,
        row: &Standardised,
        width: f64,
        formula: &Formula,
        stop: &AtomicBool,
    ) -> Result<()> {
        if self.part == Part::Features
            && let Some(u) = scaled(&row.values, width)
        {
            self.kernel = KernelForm::new(u, formula, stop)?;
        }
        Ok(())
    }
}

impl Neuron<f64> {
    /// The same with features in another precision.
    fn rounded<T: Real>(self) -> Neuron<T> {
        let round = |values: Vec<f64>| values.into_iter().map(T::of).collect();
        Neuron {
            part: self.part,
            accuracy: self.accuracy,
            norm: self.norm,
            amplification: self.amplification,
            scale: self.scale,
            features: round(self.features),
            rank: self.rank,
            sums: self.sums,
            vector: round(self.vector),
            total: self.total,
            kernel: self.kernel,
        }
    }
}

/// More features than this cost more than kernels do, or, where there are many samples, take long
/// to be found.
fn max_rank(samples: usize, kernels: bool) -> usize {
    let worthwhile = (samples / 2).isqrt().max(samples / 16).min(MOST_COLUMNS / 2);
    if kernels { worthwhile } else { worthwhile.max(FEW_SAMPLES.min(samples)) }
}

/// The smallest rank at which what is cut off is at most `limit` of the whole.
fn truncation(spectrum: &Eigen, residual: f64, limit: f64) -> Option<usize> {
    let norm = dot(&spectrum.values, &spectrum.values).sqrt();
    if !has_digits(norm) || residual > limit * norm {
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
