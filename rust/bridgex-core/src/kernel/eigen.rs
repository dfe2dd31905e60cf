//! Eigenvalues of a small symmetric matrix: Householder's reduction to three diagonals, then
//! implicit QL (Golub and Van Loan 2013, section 8.3). Vectors are kept as rows, so that every
//! inner loop is along a row.

use crate::simd::{dot, vectorised};

/// Eigenvalues, largest first, and their vectors.
pub(crate) struct Eigen {
    /// Eigenvalues, descending; those below 0, which are rounding, are 0.
    pub values: Vec<f64>,
    /// Row `i` belongs to `values[i]`.
    pub vectors: Vec<f64>,
}

/// Two or three sweeps find an eigenvalue; so many, and what is left is not a number.
const SWEEPS: usize = 100;

/// Couplings up to this are none, beside a largest entry of about 1: their squares lose digits.
const VANISHING: f64 = 1e-150;

/// Diagonalise a positive semidefinite matrix of `size` rows.
pub(crate) fn eigen(mut matrix: Vec<f64>, size: usize) -> Eigen {
    vectorised(
        #[inline(always)]
        || {
            let scale = power_of_two(matrix.iter().step_by(size + 1).copied().fold(0.0, f64::max));
            matrix.iter_mut().for_each(|entry| *entry /= scale);
            let mut diagonals = Diagonals::of(matrix, size);
            diagonals.iterate();
            let mut order: Vec<usize> = (0..size).collect();
            order.sort_by(|&a, &b| diagonals.main[b].total_cmp(&diagonals.main[a]));
            let row = |&i: &usize| &diagonals.vectors[i * size..(i + 1) * size];
            Eigen {
                values: order.iter().map(|&i| diagonals.main[i].max(0.0) * scale).collect(),
                vectors: order.iter().flat_map(row).copied().collect(),
            }
        },
    )
}

/// The power of two below a number, or the smallest there is: dividing by it is exact.
fn power_of_two(number: f64) -> f64 {
    const EXPONENT: u64 = 0x7FF << 52;
    f64::from_bits(number.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}

/// A matrix with three diagonals, and the rotation that made it so.
struct Diagonals {
    main: Vec<f64>,
    /// Element `i` couples rows `i` and `i + 1`; the last is 0.
    off: Vec<f64>,
    /// The transposed rotation, row after row.
    vectors: Vec<f64>,
}

impl Diagonals {
    #[inline(always)]
    fn of(mut matrix: Vec<f64>, size: usize) -> Self {
        let mut off = vec![0.0; size];
        let mut vectors = vec![0.0; size * size];
        (0..size).for_each(|i| vectors[i * size + i] = 1.0);
        for k in 0..size.saturating_sub(2) {
            let from = k + 1;
            let mut mirror = matrix[k * size + from..(k + 1) * size].to_vec();
            let length = dot(&mirror, &mirror).sqrt();
            off[k] = if mirror[0] > 0.0 { -length } else { length };
            mirror[0] -= off[k];
            let squared = dot(&mirror, &mirror);
            if squared > VANISHING * VANISHING {
                reflect_both(&mut matrix, size, from, &mirror, 2.0 / squared);
                reflect_rows(&mut vectors, size, from, &mirror, 2.0 / squared);
            }
        }
        if size > 1 {
            off[size - 2] = matrix[(size - 1) * size - 1];
        }
        Self { main: (0..size).map(|i| matrix[i * size + i]).collect(), off, vectors }
    }

    /// Chase the off-diagonal elements away.
    #[inline(always)]
    fn iterate(&mut self) {
        for first in 0..self.main.len() {
            for _ in 0..SWEEPS {
                let end = self.block_end(first);
                if end == first {
                    break;
                }
                self.sweep(first, end);
            }
        }
    }

    /// The last row of the block that begins at `first`: where the coupling is only rounding.
    #[inline(always)]
    fn block_end(&self, first: usize) -> usize {
        let uncoupled = |&i: &usize| {
            let scale = self.main[i].abs() + self.main[i + 1].abs();
            self.off[i].abs() <= (f64::EPSILON * scale).max(VANISHING)
        };
        let last = self.main.len() - 1;
        (first..last).find(uncoupled).unwrap_or(last)
    }

    /// One implicit QL step with Wilkinson's shift on rows `first..=end`.
    #[inline(always)]
    fn sweep(&mut self, first: usize, end: usize) {
        let (main, off) = (&mut self.main, &mut self.off);
        let half = (main[first + 1] - main[first]) / (2.0 * off[first]);
        let shift = main[first] - off[first] / (half + half.hypot(1.0).copysign(half));
        let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
        let mut bulge = main[end] - shift;
        for i in (first..end).rev() {
            let (carried, coupling) = (sine * off[i], cosine * off[i]);
            let length = (carried * carried + bulge * bulge).sqrt();
            off[i + 1] = length;
            if length <= 0.0 {
                main[i + 1] -= moved;
                off[end] = 0.0;
                return;
            }
            (sine, cosine) = (carried / length, bulge / length);
            let base = main[i + 1] - moved;
            let turned = (main[i] - base) * sine + 2.0 * cosine * coupling;
            moved = sine * turned;
            main[i + 1] = base + moved;
            bulge = cosine * turned - coupling;
            rotate_rows(&mut self.vectors, main.len(), i, sine, cosine);
        }
        main[first] -= moved;
        off[first] = bulge;
        off[end] = 0.0;
    }
}

/// `M ← P M P` with the reflection `P = I - β v vᵀ` on the rows and columns from `from` on.
#[inline(always)]
fn reflect_both(matrix: &mut [f64], size: usize, from: usize, mirror: &[f64], beta: f64) {
    let row = |i: usize| (from + i) * size + from..(from + i + 1) * size;
    let mut image: Vec<f64> =
        (0..mirror.len()).map(|i| beta * dot(&matrix[row(i)], mirror)).collect();
    let along = 0.5 * beta * dot(&image, mirror);
    image.iter_mut().zip(mirror).for_each(|(entry, &value)| *entry -= along * value);
    for (i, (&v, &w)) in mirror.iter().zip(&image).enumerate() {
        let entries = matrix[row(i)].iter_mut().zip(mirror).zip(&image);
        entries.for_each(|((entry, &a), &b)| *entry -= v * b + w * a);
    }
}

/// `R ← P R` with the same reflection.
#[inline(always)]
fn reflect_rows(rows: &mut [f64], size: usize, from: usize, mirror: &[f64], beta: f64) {
    let mut sums = vec![0.0; size];
    for (row, &weight) in rows[from * size..].chunks_exact(size).zip(mirror) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += weight * value);
    }
    for (row, &weight) in rows[from * size..].chunks_exact_mut(size).zip(mirror) {
        row.iter_mut().zip(&sums).for_each(|(entry, &sum)| *entry -= beta * weight * sum);
    }
}

/// Rotate rows `i` and `i + 1` into each other.
#[inline(always)]
fn rotate_rows(rows: &mut [f64], size: usize, i: usize, sine: f64, cosine: f64) {
    let (upper, lower) = rows[i * size..(i + 2) * size].split_at_mut(size);
    for (one, other) in upper.iter_mut().zip(lower) {
        (*one, *other) = (cosine * *one - sine * *other, sine * *one + cosine * *other);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gram(columns: &[Vec<f64>]) -> Vec<f64> {
        columns.iter().flat_map(|a| columns.iter().map(|b| dot(a, b))).collect()
    }

    fn columns() -> impl Strategy<Value = Vec<Vec<f64>>> {
        let entry = prop_oneof![Just(0.0), -1.0..1.0, -1e-6..1e-6, -1e-160..1e-160];
        (0_usize..14).prop_flat_map(move |size| {
            prop::collection::vec(prop::collection::vec(entry.clone(), 9), size)
        })
    }

    proptest! {
        #[test]
        fn a_matrix_is_put_together_again(columns in columns(), power in 0..300) {
            let (size, matrix) = (columns.len(), gram(&columns));
            let scale = 2.0_f64.powi(-3 * power);
            let tiny = matrix.iter().map(|entry| entry * scale).collect();
            let Eigen { mut values, vectors } = eigen(tiny, size);
            values.iter_mut().for_each(|value| *value /= scale);
            prop_assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
            let vector = |i: usize| &vectors[i * size..(i + 1) * size];
            for i in 0..size {
                for j in 0..size {
                    let sum = |of: &dyn Fn(usize) -> f64| (0..size).map(of).sum::<f64>();
                    let entry = sum(&|k| values[k] * vector(k)[i] * vector(k)[j]);
                    prop_assert!((entry - matrix[i * size + j]).abs() < 1e-13);
                    let unit = if i == j { 1.0 } else { 0.0 };
                    prop_assert!((dot(vector(i), vector(j)) - unit).abs() < 1e-13);
                }
            }
        }
    }

    #[test]
    fn couplings_without_a_square_come_to_an_end() {
        for coupling in [5e-324, 1e-310, 1e-170, 1e-161, 1e-155, 1e-120] {
            for (other, near) in [(0.0, 1e-60), (coupling, 1e-60), (coupling, coupling)] {
                let matrix =
                    [1.0, near, coupling, near, other, coupling, coupling, coupling, other];
                let values = eigen(matrix.to_vec(), 3).values;
                assert!((values[0] - 1.0).abs() < 1e-15 && values[1] < 1e-15);
            }
            let values = eigen(vec![coupling; 4], 2).values;
            assert!((values[0] / coupling - 2.0).abs() < 1e-14 && values[1] <= 1e-14 * coupling);
        }
    }
}
