//! `bridgex._native`: arrays in, arrays out, errors translated.

use pyo3::prelude::*;

/// The compiled core of bridgex.
#[pymodule]
mod _native {}
