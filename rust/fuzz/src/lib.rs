//! What has to hold for any input of the functions that the extension module calls: they return
//! errors instead of panicking, and what they return obeys the definitions.
//!
//! A normal test run calls the same functions with random bytes (`tests/fuzz_targets.rs` of
//! bridgex-core).

mod bytes;
mod dependences;
mod sets;

pub use dependences::{dependence, spectrum};
pub use sets::{overlap_counts, top_k};
