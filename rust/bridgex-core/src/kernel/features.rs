//! Few columns whose products are a centred kernel, up to a residual that is known.

use super::{
    columns::{add_weighted, combination, diagonal, largest, sum, variation},
    eigen::{Eigen, eigen},
};
use crate::{
    product::add_product,
    real::{Real, exp, exp_m1},
    simd::{dot, magnitude, vectorised},
};

/// Highest degree of the Taylor series; wider spreads use the Cholesky factor.
const MAX_DEGREE: usize = 8;

/// Largest |x| / σ at which the Taylor series is tried.
const WIDE: f64 = 1.0;

/// Columns that most Cholesky factors do with.
const TYPICAL: usize = 32;

/// A factor of a centred kernel: HKH = ΦΦᵀ + E with E positive semidefinite.
pub(crate) struct Factor<T> {
    samples: usize,
    /// Columns of Φ, centred over the samples, one after another.
    columns: Vec<T>,
    /// Sums of the columns before they were centred.
    sums: Vec<f64>,
    /// Upper bound of tr E.
    pub residual: f64,
}

impl<T: Real> Factor<T> {
    /// Factor the Gaussian kernel of a row, `u = x / σ`, with at most `max_columns` columns, until
    /// tr E is about `relative` times the largest eigenvalue or less.
    pub fn gaussian(u: &[f64], relative: f64, max_columns: usize) -> Self {
        let wide = magnitude(u) <= WIDE;
        let u: Vec<T> = vectorised(
            #[inline(always)]
            || u.iter().map(|&value| T::of(value)).collect(),
        );
        if wide && let (factor, true) = Self::taylor(&u, relative, MAX_DEGREE) {
            return factor;
        }
        Self::cholesky(&u, relative, max_columns)
    }

    /// The single column of the linear kernel.
    pub fn linear(row: &[f64]) -> Self {
        let columns = row.iter().map(|&value| T::of(value)).collect();
        Self { samples: row.len(), columns, sums: vec![0.0], residual: 0.0 }
    }

    fn empty(samples: usize, columns: usize) -> Self {
        Self {
            samples,
            columns: Vec::with_capacity(columns * samples),
            sums: Vec::new(),
            residual: f64::INFINITY,
        }
    }

    /// Columns `e^(-u²/2) u^k / √k!`; the residual of degree m is at most `u^(2m+2) / (m+1)!` on
    /// the diagonal. Also returns whether the residual is as small as asked for.
    fn taylor(u: &[T], relative: f64, max_degree: usize) -> (Self, bool) {
        vectorised(
            #[inline(always)]
            || {
                let mut factor = Self::empty(u.len(), max_degree + 1);
                let half = T::of(-0.5);
                factor.columns.extend(u.iter().map(|&value| exp_m1(half * value * value)));
                let mut column: Vec<T> =
                    factor.columns.iter().map(|&entry| entry + T::ONE).collect();
                let mut rest: Vec<T> = u.iter().map(|&value| value * value).collect();
                let target = relative * sum(&rest);
                for degree in 1..=max_degree {
                    let inverse_root = T::of((degree as f64).sqrt().recip());
                    let entries = column.iter_mut().zip(u);
                    entries.for_each(|(entry, &value)| *entry = *entry * (value * inverse_root));
                    factor.columns.extend_from_slice(&column);
                    let inverse = T::of(1.0 / (degree + 1) as f64);
                    let entries = rest.iter_mut().zip(u);
                    entries.for_each(|(entry, &value)| *entry = *entry * (value * value * inverse));
                    factor.residual = sum(&rest);
                    if factor.residual <= target {
                        break;
                    }
                }
                factor.centre();
                // The first column lacks a 1 everywhere, which centring does not notice but its sum does.
                factor.sums[0] += u.len() as f64;
                let reached = factor.residual <= target;
                (factor, reached)
            },
        )
    }

    /// Pivoted Cholesky factorisation: the next column belongs to the sample that is worst
    /// represented so far.
    fn cholesky(u: &[T], relative: f64, max_columns: usize) -> Self {
        vectorised(
            #[inline(always)]
            || {
                let rounding = 4.0 * T::EPSILON * u.len() as f64;
                let mut factor = Self::empty(u.len(), max_columns.min(TYPICAL));
                let mut diagonal = vec![T::ONE; u.len()];
                let mut leading: f64 = 0.0;
                for _ in 0..max_columns.min(u.len()) {
                    let pivot = largest(&diagonal);
                    if diagonal[pivot].wide() <= 64.0 * T::EPSILON {
                        break;
                    }
                    factor.add_column(u, pivot, &mut diagonal);
                    diagonal[pivot] = T::default();
                    leading = leading.max(variation(factor.last_column()));
                    factor.residual = sum(&diagonal) + rounding;
                    if factor.residual <= relative * leading {
                        break;
                    }
                }
                factor.centre();
                factor
            },
        )
    }

    /// The next column of a Cholesky factor, and what it leaves of the diagonal.
    #[inline(always)]
    fn add_column(&mut self, u: &[T], pivot: usize, diagonal: &mut [T]) {
        let (centre, half) = (u[pivot], T::of(-0.5));
        let inverse_root = T::of(diagonal[pivot].wide().sqrt().recip());
        let before = self.columns.len();
        let weights: Vec<T> =
            self.columns.chunks_exact(self.samples).map(|column| -column[pivot]).collect();
        self.columns.extend_from_slice(u);
        let (columns, next) = self.columns.split_at_mut(before);
        for entry in &mut *next {
            let distance = *entry - centre;
            *entry = exp(half * distance * distance);
        }
        add_weighted(columns, &weights, next);
        for (entry, left) in next.iter_mut().zip(diagonal) {
            *entry = *entry * inverse_root;
            *left = (-*entry).fused(*entry, *left).larger(T::default());
        }
    }

    fn last_column(&self) -> &[T] {
        &self.columns[self.columns.len() - self.samples..]
    }

    /// Centre every column.
    #[inline(always)]
    fn centre(&mut self) {
        for column in self.columns.chunks_exact_mut(self.samples) {
            let total = sum(column);
            let mean = T::of(total / column.len() as f64);
            column.iter_mut().for_each(|entry| *entry = *entry - mean);
            self.sums.push(total);
        }
    }

    /// Diagonalise ΦᵀΦ: row `i` of the vectors makes direction `i` out of the columns.
    pub fn spectrum(&self) -> Eigen {
        let size = self.columns.len() / self.samples;
        let mut gram = vec![T::default(); size * size];
        add_product(&self.columns, &self.columns, self.samples, &mut gram);
        eigen(gram.into_iter().map(T::wide).collect(), size)
    }

    /// Φ rotated to the first `rank` directions of its spectrum, one after another.
    pub fn directions(&self, spectrum: &Eigen, rank: usize, scale: f64) -> Vec<T> {
        let size = self.columns.len() / self.samples;
        let mut rotated = vec![T::default(); rank * self.samples];
        vectorised(
            #[inline(always)]
            || {
                let vectors = spectrum.vectors.chunks_exact(size);
                for (direction, vector) in rotated.chunks_exact_mut(self.samples).zip(vectors) {
                    let weights: Vec<T> =
                        vector.iter().map(|&weight| T::of(weight * scale)).collect();
                    add_weighted(&self.columns, &weights, direction);
                }
            },
        );
        rotated
    }

    /// Sums of the same directions before the columns were centred.
    pub fn direction_sums(&self, spectrum: &Eigen, rank: usize, scale: f64) -> Vec<f64> {
        let vectors = spectrum.vectors.chunks_exact(self.sums.len()).take(rank);
        vectors.map(|vector| scale * dot(vector, &self.sums)).collect()
    }

    /// H K 1, the centred row sums of the kernel, times a number.
    pub fn row_sums(&self, scale: f64) -> Vec<T> {
        let weights: Vec<f64> = self.sums.iter().map(|&weight| weight * scale).collect();
        combination(&self.columns, &weights, self.samples)
    }

    /// The diagonal of ΦΦᵀ times a number.
    pub fn diagonal(&self, scale: f64) -> Vec<T> {
        let mut diagonal = diagonal(&self.columns, self.samples);
        let scale = T::of(scale);
        diagonal.iter_mut().for_each(|entry| *entry = *entry * scale);
        diagonal
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::kernel::{distance::published_width, standardise::standardise};

    const SAMPLES: u8 = 16;

    fn rows() -> [Vec<Vec<f64>>; 2] {
        let row = |of: &dyn Fn(f64) -> f64| -> Vec<f64> {
            standardise((0..SAMPLES).map(|a| of(f64::from(a))).collect(), 1e-6).values
        };
        [
            vec![row(&|a| (a + 1.0).sin()), row(&|a| (2.0 * a).cos()), row(&|a| (7.0 * a) % 16.0)],
            vec![row(&|a| (a + 1.0).sin().powi(2)), row(&|a| (5.0 * a) % 11.0), row(&f64::ln_1p)],
        ]
    }

    fn columns(factor: &Factor<f64>) -> impl Iterator<Item = &[f64]> {
        factor.columns.chunks_exact(factor.samples)
    }

    /// s of two factors.
    fn trace(one: &Factor<f64>, other: &Factor<f64>) -> f64 {
        columns(one).flat_map(|a| columns(other).map(|b| dot(a, b).powi(2))).sum()
    }

    #[test]
    fn the_taylor_series_errs_as_derived() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/dependence.json");
        let golden: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let [x, y] = rows();
        let [xs, ys] = [&x, &y].map(|rows| rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let width = published_width(&xs, &ys, &AtomicBool::new(false)).unwrap();
        let scaled = |row: &Vec<f64>| row.iter().map(|value| value / width).collect::<Vec<_>>();
        let by_degree = golden["taylor_error"]["by_degree"].as_object().unwrap();
        assert_eq!(by_degree.len(), 4);
        for (degree, expected) in by_degree {
            let degree = degree.parse().unwrap();
            let mut worst: f64 = 0.0;
            for one in &x {
                for other in &y {
                    let (u, v) = (scaled(one), scaled(other));
                    let exact =
                        trace(&Factor::cholesky(&u, 0.0, 16), &Factor::cholesky(&v, 0.0, 16));
                    let series = trace(
                        &Factor::taylor(&u, 0.0, degree).0,
                        &Factor::taylor(&v, 0.0, degree).0,
                    );
                    worst = worst.max((exact - series).abs());
                }
            }
            let expected = expected.as_f64().unwrap();
            assert!((worst - expected).abs() <= 0.05 * expected, "{degree}: {worst} {expected}");
        }
    }

    #[test]
    fn the_residual_bounds_what_a_factor_lacks() {
        let u: Vec<f64> = (0..60_u32).map(|a| f64::from(a * a % 61) / 15.0).collect();
        for relative in [1e-1, 1e-3, 1e-6, 1e-9] {
            for factor in [Factor::cholesky(&u, relative, 60), Factor::taylor(&u[..4], 0.0, 3).0] {
                let samples = factor.samples;
                let kernel_row = |a: usize| -> Vec<f64> {
                    (0..samples).map(|b| (-0.5 * (u[a] - u[b]).powi(2)).exp()).collect()
                };
                let means: Vec<f64> =
                    (0..samples).map(|a| sum(&kernel_row(a)) / samples as f64).collect();
                let mean = sum(&means) / samples as f64;
                let trace: f64 = means.iter().map(|row| 1.0 - 2.0 * row + mean).sum();
                let lacking = trace - sum(&factor.diagonal(1.0));
                assert!(lacking >= -1e-12 && lacking <= factor.residual, "{lacking}");
            }
        }
    }

    #[test]
    fn rotated_columns_have_the_same_products() {
        let u: Vec<f64> = (0..40_u32).map(|a| f64::from(a * a % 41) / 10.0).collect();
        let factor = Factor::<f64>::cholesky(&u, 1e-8, 40);
        let spectrum = factor.spectrum();
        let size = spectrum.values.len();
        let directions = factor.directions(&spectrum, size, 1.0);
        let directions: Vec<&[f64]> = directions.chunks_exact(u.len()).collect();
        for (i, one) in directions.iter().enumerate() {
            for (j, other) in directions.iter().enumerate() {
                let expected = if i == j { spectrum.values[i] } else { 0.0 };
                assert!((dot(one, other) - expected).abs() < 1e-11);
            }
        }
        assert!(spectrum.values.windows(2).all(|pair| pair[0] >= pair[1]));
    }
}
