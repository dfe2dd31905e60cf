//! Bitsets, top-k selection and kernel dependence between sets of neurons.
//!
//! Pure Rust: arrays come in as slices and go out as vectors. Every operation is one call over
//! many rows, runs on a thread pool of its own, and gives the same result for any number of
//! threads.

pub mod bitset;
pub mod dependence;
pub mod error;
pub mod kernel;
pub mod overlap;
pub mod parallel;
mod product;
pub mod real;
pub mod rows;
pub mod simd;
pub mod topk;

pub use error::{Error, Result};
pub use rows::Rows;
