//! Few columns whose products are a centred kernel, up to a residual that is known.

use super::eigen::eigen;
use crate::simd::{dot, exp_not_positive, sum, vectorised};

/// Highest degree of the Taylor series; wider spreads use the Cholesky factor.
const MAX_DEGREE: usize = 8;

/// Largest |x| / σ at which the Taylor series is tried.
const WIDE: f64 = 1.0;

/// A factor of a centred kernel: HKH = ΦΦᵀ + E with E positive semidefinite.
pub(crate) struct Factor {
    /// Columns of Φ, centred over the samples.
    columns: Vec<Vec<f64>>,
    /// Sums of the columns before they were centred.
    sums: Vec<f64>,
    /// Upper bound of tr E.
    pub residual: f64,
}

/// The directions of a factor, leading ones first.
pub(crate) struct Spectrum {
    /// Eigenvalues of ΦᵀΦ, descending.
    pub values: Vec<f64>,
    vectors: Vec<Vec<f64>>,
}

impl Factor {
    /// Factor the Gaussian kernel of a row, `u = x / σ`, with at most `max_columns` columns, until
    /// tr E is at most `relative` times the largest eigenvalue.
    pub fn gaussian(u: &[f64], relative: f64, max_columns: usize) -> Self {
        let largest = u
            .iter()
            .fold(0.0, |largest: f64, value| largest.max(value.abs()));
        if largest <= WIDE
            && let Some(factor) = Self::taylor(u, relative)
        {
            return factor;
        }
        Self::cholesky(u, relative, max_columns)
    }

    /// The single column of the linear kernel.
    pub fn linear(row: &[f64]) -> Self {
        Self {
            columns: vec![row.to_vec()],
            sums: vec![0.0],
            residual: 0.0,
        }
    }

    /// Columns `e^(-u²/2) u^k / √k!`; the residual of degree m is at most `u^(2m+2) / (m+1)!` on
    /// the diagonal.
    fn taylor(u: &[f64], relative: f64) -> Option<Self> {
        vectorised(|| {
            let mut factor = Self {
                columns: Vec::new(),
                sums: Vec::new(),
                residual: 0.0,
            };
            let half: Vec<f64> = u.iter().map(|&value| -0.5 * value * value).collect();
            factor.push(half.iter().map(|&power| power.exp_m1()).collect());
            factor.sums[0] += u.len() as f64;
            let mut column: Vec<f64> = half.iter().map(|&power| exp_not_positive(power)).collect();
            let mut rest: Vec<f64> = u.iter().map(|&value| value * value).collect();
            let mut target = 0.0;
            for degree in 1..=MAX_DEGREE {
                let root = (degree as f64).sqrt();
                column
                    .iter_mut()
                    .zip(u)
                    .for_each(|(entry, &value)| *entry *= value / root);
                let squared_norm = factor.push(column.clone());
                if degree == 1 {
                    target = relative * squared_norm;
                }
                let next = (degree + 1) as f64;
                rest.iter_mut()
                    .zip(u)
                    .for_each(|(entry, &value)| *entry *= value * value / next);
                factor.residual = sum(&rest);
                if factor.residual <= target {
                    return Some(factor);
                }
            }
            None
        })
    }

    /// Pivoted Cholesky factorisation: the next column belongs to the sample that is worst
    /// represented so far.
    fn cholesky(u: &[f64], relative: f64, max_columns: usize) -> Self {
        vectorised(|| {
            let rounding = 4.0 * f64::EPSILON * u.len() as f64;
            let mut factor = Self {
                columns: Vec::new(),
                sums: Vec::new(),
                residual: f64::INFINITY,
            };
            let mut plain: Vec<Vec<f64>> = Vec::new();
            let mut diagonal = vec![1.0; u.len()];
            let mut leading: f64 = 0.0;
            while plain.len() < max_columns.min(u.len()) {
                let pivot = largest(&diagonal);
                if diagonal[pivot] <= 1e-14 {
                    break;
                }
                let column = next_column(u, &plain, pivot, diagonal[pivot].sqrt());
                for (entry, value) in diagonal.iter_mut().zip(&column) {
                    *entry = (*entry - value * value).max(0.0);
                }
                diagonal[pivot] = 0.0;
                leading = leading.max(factor.push(column.clone()));
                plain.push(column);
                factor.residual = sum(&diagonal) + rounding;
                if factor.residual <= relative * leading {
                    break;
                }
            }
            factor
        })
    }

    /// Centre a column and keep it; returns its squared norm.
    #[inline(always)]
    fn push(&mut self, mut column: Vec<f64>) -> f64 {
        let total = sum(&column);
        let mean = total / column.len() as f64;
        column.iter_mut().for_each(|entry| *entry -= mean);
        let squared_norm = dot(&column, &column);
        self.columns.push(column);
        self.sums.push(total);
        squared_norm
    }

    /// Diagonalise ΦᵀΦ.
    pub fn spectrum(&self) -> Spectrum {
        let size = self.columns.len();
        let mut gram = vec![0.0; size * size];
        vectorised(|| {
            for i in 0..size {
                for j in i..size {
                    gram[i * size + j] = dot(&self.columns[i], &self.columns[j]);
                    gram[j * size + i] = gram[i * size + j];
                }
            }
        });
        let eigen = eigen(gram, size);
        Spectrum {
            values: eigen.values,
            vectors: eigen.vectors,
        }
    }

    /// Column `index` of Φ rotated to the directions of its spectrum.
    pub fn direction(&self, spectrum: &Spectrum, index: usize) -> Vec<f64> {
        self.combine(&spectrum.vectors[index])
    }

    /// H K 1: the centred row sums of the kernel.
    pub fn row_sums(&self) -> Vec<f64> {
        self.combine(&self.sums)
    }

    /// The diagonal of ΦΦᵀ.
    pub fn diagonal(&self) -> Vec<f64> {
        vectorised(|| {
            let mut diagonal = vec![0.0; self.columns[0].len()];
            for column in &self.columns {
                diagonal
                    .iter_mut()
                    .zip(column)
                    .for_each(|(sum, value)| *sum += value * value);
            }
            diagonal
        })
    }

    fn combine(&self, weights: &[f64]) -> Vec<f64> {
        vectorised(|| {
            let mut result = vec![0.0; self.columns[0].len()];
            for (column, weight) in self.columns.iter().zip(weights) {
                result
                    .iter_mut()
                    .zip(column)
                    .for_each(|(sum, value)| *sum += weight * value);
            }
            result
        })
    }
}

#[inline(always)]
fn next_column(u: &[f64], columns: &[Vec<f64>], pivot: usize, root: f64) -> Vec<f64> {
    let centre = u[pivot];
    let mut next: Vec<f64> = u
        .iter()
        .map(|&value| exp_not_positive(-0.5 * (value - centre) * (value - centre)))
        .collect();
    for column in columns {
        let weight = column[pivot];
        next.iter_mut()
            .zip(column)
            .for_each(|(entry, value)| *entry -= weight * value);
    }
    next.iter_mut().for_each(|entry| *entry /= root);
    next
}

#[inline(always)]
fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
