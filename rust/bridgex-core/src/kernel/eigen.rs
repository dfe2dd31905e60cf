//! Eigenvalues of a small symmetric matrix, by Jacobi's rotations.

/// Eigenvalues, largest first, and their vectors.
pub(crate) struct Eigen {
    /// Eigenvalues, descending.
    pub values: Vec<f64>,
    /// `vectors[i]` belongs to `values[i]`.
    pub vectors: Vec<Vec<f64>>,
}

/// Sweeps after which the off-diagonal part is far below rounding.
const SWEEPS: usize = 30;

/// Diagonalise a symmetric matrix of `size` rows.
pub(crate) fn eigen(mut matrix: Vec<f64>, size: usize) -> Eigen {
    let mut vectors = vec![0.0; size * size];
    (0..size).for_each(|i| vectors[i * size + i] = 1.0);
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..size {
            for q in p + 1..size {
                rotated |= rotate(&mut matrix, &mut vectors, size, p, q);
            }
        }
        if !rotated {
            break;
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    let value = |i: usize| matrix[i * size + i];
    order.sort_by(|&a, &b| value(b).total_cmp(&value(a)));
    Eigen {
        values: order.iter().map(|&i| value(i).max(0.0)).collect(),
        vectors: order.iter().map(|&i| vectors[i * size..(i + 1) * size].to_vec()).collect(),
    }
}

/// Annihilate element (p, q); returns whether there was anything to do.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], size: usize, p: usize, q: usize) -> bool {
    let (app, aqq, apq) = (matrix[p * size + p], matrix[q * size + q], matrix[p * size + q]);
    if apq.abs() <= f64::EPSILON * 0.25 * (app * aqq).abs().sqrt() {
        return false;
    }
    let theta = (aqq - app) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for k in 0..size {
        let (kp, kq) = (matrix[k * size + p], matrix[k * size + q]);
        matrix[k * size + p] = c * kp - s * kq;
        matrix[k * size + q] = s * kp + c * kq;
    }
    for rows in [matrix, vectors] {
        for k in 0..size {
            let (pk, qk) = (rows[p * size + k], rows[q * size + k]);
            rows[p * size + k] = c * pk - s * qk;
            rows[q * size + k] = s * pk + c * qk;
        }
    }
    true
}
