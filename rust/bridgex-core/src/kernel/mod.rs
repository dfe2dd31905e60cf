//! From a row of activations to the features of its centred kernel.
//!
//! A row is standardised, gets a width σ and with it the Gaussian kernel
//! `K[a, b] = exp(-(x_a - x_b)² / (2σ²))` over the samples. With `H = I - 1 1ᵀ / S`, the centred
//! kernel is written `HKH = ΦΦᵀ + E`, where Φ has few columns and E is positive semidefinite.

pub(crate) mod columns;
pub mod difference;
pub mod distance;
pub(crate) mod eigen;
pub(crate) mod exact;
pub(crate) mod features;
pub mod standardise;
