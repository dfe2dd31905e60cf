//! Top-k sets and their overlaps.

use bridgex_core::{overlap, topk};
use numpy::{
    PyArray1, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::call::sized;

/// Times that a value is looked at.
const PASSES: usize = 16;

/// The set of the k largest values, as a bitset.
#[pyfunction]
#[pyo3(signature = (values, k, *, tie_break=None))]
#[allow(clippy::needless_pass_by_value)] // arguments are extracted by value
pub(crate) fn top_k<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, f64>,
    k: usize,
    tie_break: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let values = values.as_slice()?;
    let tie_break = tie_break.as_ref().map(|array| array.as_slice()).transpose()?;
    let steps = PASSES * values.len();
    let set = sized(py, steps, |stop| topk::top_k(values, k, tie_break, stop))?;
    Ok(PyArray1::from_vec(py, set))
}

/// Intersection sizes of all pairs of sets, layer by layer.
#[pyfunction]
#[pyo3(signature = (bitsets, layer_offsets, *, threads=None))]
#[allow(clippy::needless_pass_by_value)] // arguments are extracted by value
pub(crate) fn overlap_counts<'py>(
    py: Python<'py>,
    bitsets: PyReadonlyArray2<'py, u64>,
    layer_offsets: Vec<usize>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray3<u64>>> {
    let count = bitsets.shape()[0];
    let sets = bitsets.as_slice()?;
    let options = overlap::Options { threads, ..Default::default() };
    // All words of all pairs, and the tables.
    let steps = count.saturating_mul(sets.len() + layer_offsets.len() * count);
    let counts = sized(py, steps, |stop| {
        overlap::overlap_counts(sets, count, &layer_offsets, &options, stop)
    })?;
    PyArray1::from_vec(py, counts).reshape([layer_offsets.len().saturating_sub(1), count, count])
}
