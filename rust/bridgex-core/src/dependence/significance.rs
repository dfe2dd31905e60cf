//! How often chance alone would make a pair of neurons depend as much on each other.
//!
//! The statistic is s = tr(AB) of the centred kernels, whatever estimator is asked for. Under
//! random permutations of the samples its mean and variance are known exactly (Kazi-Aoual et al.
//! 1995), and its skewness in the limit, where s is a sum of λ_i μ_j χ²_1. A gamma distribution
//! shifted to these three moments (Pearson's type III) gives the upper tail.

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use statrs::function::gamma::checked_gamma_ur;

use super::{
    dependence,
    kernel_form::scaled,
    options::{Estimator, Normalize, Options},
};
use crate::{
    Result, Rows,
    kernel::{
        exact::Centring,
        features::Factor,
        standardise::{Standardised, standardise},
    },
    parallel::{self, check},
    simd::{dot, sum},
};

/// Columns of a factor whose eigenvalues give the third moment.
const COLUMNS: usize = 128;

/// Where a factor leaves out more than this share of the largest eigenvalue, the first two moments
/// come from the kernel.
const COMPLETE: f64 = 1e-9;

/// A variance that is a smaller share of the squared mean is rounding.
const NOTHING: f64 = 1e-12;

/// What the distribution of s depends on, of one centred kernel.
#[derive(Clone, Copy, Debug)]
struct Invariants {
    /// tr A.
    trace: f64,
    /// tr A².
    square: f64,
    /// Sum of the squared diagonal.
    diagonal: f64,
    /// tr A³.
    cube: f64,
}

impl Invariants {
    /// Nothing where the kernel has no width.
    fn new(
        row: &Standardised,
        width: f64,
        options: &Options,
        stop: &AtomicBool,
    ) -> Result<Option<Self>> {
        check(stop)?;
        if options.estimator == Estimator::Linear {
            return Ok(Some(Self::of_factor(&Factor::linear(&row.values))));
        }
        let Some(u) = scaled(&row.values, width) else {
            return Ok(None);
        };
        let factor = Factor::<f64>::gaussian(&u, COMPLETE, COLUMNS);
        let invariants = Self::of_factor(&factor);
        if factor.residual <= COMPLETE * invariants.square.sqrt() {
            return Ok(Some(invariants));
        }
        let centring = Centring::new(&u, stop)?;
        let diagonal = centring.diagonal();
        Ok(Some(Self {
            trace: sum(&diagonal),
            square: centring.squared_norm(&u, stop)?,
            diagonal: dot(&diagonal, &diagonal),
            cube: invariants.cube,
        }))
    }

    fn of_factor(factor: &Factor<f64>) -> Self {
        let values = factor.spectrum().values;
        let diagonal = factor.diagonal(1.0);
        Self {
            trace: sum(&diagonal),
            square: dot(&values, &values),
            diagonal: dot(&diagonal, &diagonal),
            cube: values.iter().map(|value| value.powi(3)).sum(),
        }
    }

    /// The chance of an s as large or larger; NaN where permutations leave s as it is.
    fn p_value(&self, other: &Self, s: f64, size: f64) -> f64 {
        let mean = self.trace * other.trace / (size - 1.0);
        let spread = |one: &Self| (size - 1.0) * one.square - one.trace.powi(2);
        let peak = |one: &Self| {
            let shared = one.trace.powi(2) + 2.0 * one.square;
            size * (size + 1.0) * one.diagonal - (size - 1.0) * shared
        };
        let variance = 2.0 * spread(self) * spread(other)
            / ((size - 1.0).powi(2) * (size + 1.0) * (size - 2.0))
            + peak(self) * peak(other)
                / ((size + 1.0) * size * (size - 1.0) * (size - 2.0) * (size - 3.0));
        if variance <= NOTHING * mean * mean {
            return f64::NAN;
        }
        let squares = self.square * other.square;
        let skewness = 8.0_f64.sqrt() * self.cube * other.cube / squares.powf(1.5);
        let shape = 4.0 / (skewness * skewness);
        let value = shape + (s - mean) / variance.sqrt() * shape.sqrt();
        if value <= 0.0 { 1.0 } else { checked_gamma_ur(shape, value).unwrap_or(f64::NAN) }
    }
}

/// The chance of a dependence as large or larger under independence, for every pair of rows:
/// n1 × n2, 1 for a constant row, NaN for a row that is left out.
///
/// Not valid after a maximum over pairs.
///
/// # Errors
/// As [`dependence`], and [`Error::TooFewSamples`] below 4 samples.
///
/// # Example
/// ```
/// use std::sync::atomic::AtomicBool;
/// use bridgex_core::{Rows, dependence::{Options, p_values}, rows::Values};
/// let x: Vec<f64> = (0..32).map(|a| f64::from(a * a % 17)).collect();
/// let rows = Rows::new(Values::F64(&x), 1, 32)?;
/// let p = p_values(rows, rows, &Options::default(), None, &AtomicBool::new(false))?;
/// assert!(p[0] < 1e-6);
/// # Ok::<(), bridgex_core::Error>(())
/// ```
pub fn p_values(
    x: Rows<'_>,
    y: Rows<'_>,
    options: &Options,
    threads: Option<usize>,
    stop: &AtomicBool,
) -> Result<Vec<f64>> {
    let estimator = match options.estimator {
        Estimator::Linear => Estimator::Linear,
        _ => Estimator::Biased,
    };
    Options { estimator: Estimator::Unbiased, ..*options }.check(x.samples())?;
    let plain = Options { estimator, normalize: Normalize::None, ..*options };
    let found = dependence(x, y, &plain, true, threads, stop)?;
    let factor = (x.samples() as f64 - 1.0).powi(2);
    let scores = found.matrix.unwrap_or_default();
    parallel::run(threads, || {
        let first = all_invariants(x, &found.x_widths, &plain, stop)?;
        let second = all_invariants(y, &found.y_widths, &plain, stop)?;
        let pairs = scores.par_iter().enumerate().map(|(index, score)| {
            check(stop)?;
            let pair = [&first[index / y.count()], &second[index % y.count()]];
            Ok(pair_p_value(pair, score * factor, x.samples() as f64))
        });
        pairs.collect()
    })?
}

fn pair_p_value(pair: [&Kernel; 2], s: f64, size: f64) -> f64 {
    match pair {
        _ if s.is_nan() => f64::NAN,
        [Kernel::Constant, _] | [_, Kernel::Constant] => 1.0,
        [Kernel::Varying(one), Kernel::Varying(other)] => one.p_value(other, s, size),
        _ => f64::NAN,
    }
}

/// What is known of the kernel of a row.
enum Kernel {
    Constant,
    Varying(Invariants),
    LeftOut,
}

fn all_invariants(
    rows: Rows<'_>,
    widths: &[f64],
    options: &Options,
    stop: &AtomicBool,
) -> Result<Vec<Kernel>> {
    let one = |(index, &width): (usize, &f64)| {
        let row = standardise(rows.row(index), options.epsilon());
        if row.constant {
            return Ok(Kernel::Constant);
        }
        let invariants = Invariants::new(&row, width, options, stop)?;
        Ok(invariants.map_or(Kernel::LeftOut, Kernel::Varying))
    };
    widths.par_iter().enumerate().map(one).collect()
}
