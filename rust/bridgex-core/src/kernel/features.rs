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
        let largest = u.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        if largest <= WIDE
            && let (factor, true) = Self::taylor(u, relative, MAX_DEGREE)
        {
            return factor;
        }
        Self::cholesky(u, relative, max_columns)
    }

    /// The single column of the linear kernel.
    pub fn linear(row: &[f64]) -> Self {
        Self { columns: vec![row.to_vec()], sums: vec![0.0], residual: 0.0 }
    }

    /// Columns `e^(-u²/2) u^k / √k!`; the residual of degree m is at most `u^(2m+2) / (m+1)!` on
    /// the diagonal. Also returns whether the residual is as small as asked for.
    fn taylor(u: &[f64], relative: f64, max_degree: usize) -> (Self, bool) {
        vectorised(|| {
            let mut factor = Self { columns: Vec::new(), sums: Vec::new(), residual: 0.0 };
            let half: Vec<f64> = u.iter().map(|&value| -0.5 * value * value).collect();
            factor.push(half.iter().map(|&power| power.exp_m1()).collect());
            factor.sums[0] += u.len() as f64;
            let mut column: Vec<f64> = half.iter().map(|&power| exp_not_positive(power)).collect();
            let mut rest: Vec<f64> = u.iter().map(|&value| value * value).collect();
            let mut target = 0.0;
            for degree in 1..=max_degree {
                let root = (degree as f64).sqrt();
                column.iter_mut().zip(u).for_each(|(entry, &value)| *entry *= value / root);
                let squared_norm = factor.push(column.clone());
                if degree == 1 {
                    target = relative * squared_norm;
                }
                let next = (degree + 1) as f64;
                rest.iter_mut().zip(u).for_each(|(entry, &value)| *entry *= value * value / next);
                factor.residual = sum(&rest);
                if factor.residual <= target {
                    return (factor, true);
                }
            }
            (factor, false)
        })
    }

    /// Pivoted Cholesky factorisation: the next column belongs to the sample that is worst
    /// represented so far.
    fn cholesky(u: &[f64], relative: f64, max_columns: usize) -> Self {
        vectorised(|| {
            let rounding = 4.0 * f64::EPSILON * u.len() as f64;
            let mut factor =
                Self { columns: Vec::new(), sums: Vec::new(), residual: f64::INFINITY };
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
        Spectrum { values: eigen.values, vectors: eigen.vectors }
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
                diagonal.iter_mut().zip(column).for_each(|(sum, value)| *sum += value * value);
            }
            diagonal
        })
    }

    fn combine(&self, weights: &[f64]) -> Vec<f64> {
        vectorised(|| {
            let mut result = vec![0.0; self.columns[0].len()];
            for (column, weight) in self.columns.iter().zip(weights) {
                result.iter_mut().zip(column).for_each(|(sum, value)| *sum += weight * value);
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
        next.iter_mut().zip(column).for_each(|(entry, value)| *entry -= weight * value);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{bandwidth::published_width, standardise::standardise};

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

    /// s of two factors.
    fn trace(one: &Factor, other: &Factor) -> f64 {
        let squares =
            one.columns.iter().flat_map(|a| other.columns.iter().map(|b| dot(a, b).powi(2)));
        squares.sum()
    }

    #[test]
    fn the_taylor_series_errs_as_derived() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/dependence.json");
        let golden: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let [x, y] = rows();
        let [xs, ys] = [&x, &y].map(|rows| rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let width = published_width(&xs, &ys);
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
                let samples = factor.columns[0].len();
                let kernel_row = |a: usize| -> Vec<f64> {
                    (0..samples).map(|b| (-0.5 * (u[a] - u[b]).powi(2)).exp()).collect()
                };
                let means: Vec<f64> =
                    (0..samples).map(|a| sum(&kernel_row(a)) / samples as f64).collect();
                let mean = sum(&means) / samples as f64;
                let trace: f64 = means.iter().map(|row| 1.0 - 2.0 * row + mean).sum();
                let lacking = trace - sum(&factor.diagonal());
                assert!(lacking >= -1e-12 && lacking <= factor.residual, "{lacking}");
            }
        }
    }

    #[test]
    fn rotated_columns_have_the_same_products() {
        let u: Vec<f64> = (0..40_u32).map(|a| f64::from(a * a % 41) / 10.0).collect();
        let factor = Factor::cholesky(&u, 1e-8, 40);
        let spectrum = factor.spectrum();
        let directions: Vec<Vec<f64>> =
            (0..spectrum.values.len()).map(|index| factor.direction(&spectrum, index)).collect();
        for (i, one) in directions.iter().enumerate() {
            for (j, other) in directions.iter().enumerate() {
                let expected = if i == j { spectrum.values[i] } else { 0.0 };
                assert!((dot(one, other) - expected).abs() < 1e-11);
            }
        }
        assert!(spectrum.values.windows(2).all(|pair| pair[0] >= pair[1]));
    }
}
