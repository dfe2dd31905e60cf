//! The centred kernel itself, row by row and never as a whole.
//!
//! Everything is computed from K - 1, which has the same centred kernel, and keeps its digits where
//! the kernel is nearly flat.

use std::sync::atomic::AtomicBool;

use crate::{
    Result,
    parallel::check,
    real::exp_m1,
    simd::{sum, vectorised},
};

/// What is needed to write down any entry of HKH: entry (a, b) is
/// `K[a, b] - 1 - means[a] - means[b] + mean`.
#[derive(Debug)]
pub(crate) struct Centring {
    /// Mean of every row of K - 1.
    pub means: Vec<f64>,
    /// Mean of all entries.
    pub mean: f64,
}

impl Centring {
    /// Compute the means of the Gaussian kernel of `u = x / σ`, in O(S²) time and O(S) memory.
    pub fn new(u: &[f64], stop: &AtomicBool) -> Result<Self> {
        let size = u.len() as f64;
        vectorised(
            #[inline(always)]
            || {
                let mut row = vec![0.0; u.len()];
                let mut means = vec![0.0; u.len()];
                for (mean, &centre) in means.iter_mut().zip(u) {
                    check(stop)?;
                    kernel_row(u, centre, &mut row);
                    *mean = sum(&row) / size;
                }
                let mean = sum(&means) / size;
                Ok(Self { means, mean })
            },
        )
    }

    /// Write entries (a, a), (a, a + 1), ... of HKH.
    #[inline(always)]
    pub fn row(&self, u: &[f64], a: usize, out: &mut [f64]) {
        kernel_row(&u[a..], u[a], out);
        let shift = self.mean - self.means[a];
        for (entry, mean) in out.iter_mut().zip(&self.means[a..]) {
            *entry = *entry - mean + shift;
        }
    }

    /// The diagonal of HKH.
    pub fn diagonal(&self) -> Vec<f64> {
        self.means.iter().map(|mean| self.mean - 2.0 * mean).collect()
    }

    /// H K 1.
    pub fn row_sums(&self) -> Vec<f64> {
        self.means.iter().map(|mean| (mean - self.mean) * self.means.len() as f64).collect()
    }

    /// tr(HKH HKH).
    pub fn squared_norm(&self, u: &[f64], stop: &AtomicBool) -> Result<f64> {
        vectorised(
            #[inline(always)]
            || {
                let mut row = vec![0.0; u.len()];
                let mut total = 0.0;
                for a in 0..u.len() {
                    check(stop)?;
                    let row = &mut row[..u.len() - a];
                    self.row(u, a, row);
                    let diagonal = row[0] * row[0];
                    total += 2.0 * crate::simd::dot(row, row) - diagonal;
                }
                Ok(total)
            },
        )
    }
}

#[inline(always)]
fn kernel_row(u: &[f64], centre: f64, out: &mut [f64]) {
    for (entry, &value) in out.iter_mut().zip(u) {
        *entry = exp_m1(-0.5 * (value - centre) * (value - centre));
    }
}
