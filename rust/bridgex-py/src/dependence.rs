//! Dependence between sets of neurons.

use bridgex_core::{
    Error, Rows,
    dependence::{self as core, Bandwidth, Draws, Layer, LayerScores, Options},
    rows::Values,
};
use numpy::{
    PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::{call::interruptible, errors::translate};

/// A matrix of either precision.
#[derive(FromPyObject)]
pub(crate) enum Matrix<'py> {
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
}

impl Matrix<'_> {
    fn rows(&self, py: Python<'_>) -> PyResult<Rows<'_>> {
        let (values, shape) = match self {
            Self::F32(array) => (Values::F32(array.as_slice()?), array.shape()),
            Self::F64(array) => (Values::F64(array.as_slice()?), array.shape()),
        };
        Rows::new(values, shape[0], shape[1]).map_err(|error| translate(py, &error))
    }
}

/// A rule or a number.
#[derive(FromPyObject)]
pub(crate) enum Width {
    Rule(String),
    Number(f64),
}

impl Width {
    fn bandwidth(&self) -> Result<Bandwidth, Error> {
        match self {
            Self::Rule(name) => name.parse(),
            Self::Number(width) => Ok(Bandwidth::Fixed(*width)),
        }
    }
}

type DependenceArrays<'py> = (
    f64,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Option<Bound<'py, PyArray2<f64>>>,
    usize,
    f64,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    usize,
    usize,
);

/// The fields of `bridgex.analysis.scores.Dependence`.
#[pyfunction]
#[pyo3(signature = (x, y, *, estimator, normalize, bandwidth, tol, dtype, threads, matrix))]
#[allow(clippy::too_many_arguments)] // one call per operation, options by name
#[allow(clippy::needless_pass_by_value)] // arguments are extracted by value
pub(crate) fn dependence<'py>(
    py: Python<'py>,
    x: Matrix<'py>,
    y: Matrix<'py>,
    estimator: &str,
    normalize: &str,
    bandwidth: Width,
    tol: f64,
    dtype: &str,
    threads: Option<usize>,
    matrix: bool,
) -> PyResult<DependenceArrays<'py>> {
    let options = options(estimator, normalize, &bandwidth, tol, dtype)
        .map_err(|error| translate(py, &error))?;
    let (x, y) = (x.rows(py)?, y.rows(py)?);
    let result = interruptible(py, |stop| core::dependence(x, y, &options, matrix, threads, stop))?;
    let vector = |values| PyArray1::from_vec(py, values);
    let matrix = result.matrix.map(|all| vector(all).reshape([x.count(), y.count()]));
    Ok((
        result.layer_score,
        vector(result.row_max),
        vector(result.column_max),
        matrix.transpose()?,
        result.rank,
        result.error_bound,
        vector(result.x_widths),
        vector(result.y_widths),
        result.constant_rows,
        result.left_out,
    ))
}

/// The chance of a dependence as large or larger under independence, for every pair of rows.
#[pyfunction]
#[pyo3(signature = (x, y, *, estimator, bandwidth, tol, dtype, threads))]
#[allow(clippy::too_many_arguments)] // one call per operation, options by name
#[allow(clippy::needless_pass_by_value)] // arguments are extracted by value
pub(crate) fn p_values<'py>(
    py: Python<'py>,
    x: Matrix<'py>,
    y: Matrix<'py>,
    estimator: &str,
    bandwidth: Width,
    tol: f64,
    dtype: &str,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let options = options(estimator, "none", &bandwidth, tol, dtype)
        .map_err(|error| translate(py, &error))?;
    let (x, y) = (x.rows(py)?, y.rows(py)?);
    let values = interruptible(py, |stop| core::p_values(x, y, &options, threads, stop))?;
    PyArray1::from_vec(py, values).reshape([x.count(), y.count()])
}

type SpectrumArrays<'py> = (
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<u8>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray2<i64>>,
    Bound<'py, PyArray2<i64>>,
);

/// The fields of `bridgex.analysis.scores.SpectrumScores`.
#[pyfunction]
#[pyo3(signature = (
    pair_rows, bridge_rows, members, *, estimator, normalize, bandwidth, tol, dtype, threads
))]
#[allow(clippy::too_many_arguments)] // one call per operation, options by name
#[allow(clippy::needless_pass_by_value)] // arguments are extracted by value
pub(crate) fn spectrum_scores<'py>(
    py: Python<'py>,
    pair_rows: Vec<Matrix<'py>>,
    bridge_rows: Vec<Matrix<'py>>,
    members: Vec<Vec<PyReadonlyArray1<'py, i64>>>,
    estimator: &str,
    normalize: &str,
    bandwidth: Width,
    tol: f64,
    dtype: &str,
    threads: Option<usize>,
) -> PyResult<SpectrumArrays<'py>> {
    let options = options(estimator, normalize, &bandwidth, tol, dtype)
        .map_err(|error| translate(py, &error))?;
    let members = indices(&members)?;
    let layers = pair_rows
        .iter()
        .zip(&bridge_rows)
        .zip(&members)
        .map(|((pair, bridge), members)| {
            Ok(Layer { pair: pair.rows(py)?, bridge: bridge.rows(py)?, members })
        })
        .collect::<PyResult<Vec<_>>>()?;
    let scores = interruptible(py, |stop| core::spectrum(&layers, &options, threads, stop))?;
    spectrum_arrays(py, &scores, members.first().map_or(0, Vec::len))
}

type ResampledArrays<'py> =
    (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray2<f64>>, Bound<'py, PyArray2<f64>>, usize);

/// Scores of one layer as they are, permuted, and of some of the samples; and the rank.
#[pyfunction]
#[pyo3(signature = (
    pair_rows, bridge_rows, members, *, position, permutations, subsets, estimator, normalize, bandwidth,
    tol, dtype, threads
))]
#[allow(clippy::too_many_arguments)] // one call per operation, options by name
#[allow(clippy::needless_pass_by_value)] // arguments are extracted by value
pub(crate) fn resampled_scores<'py>(
    py: Python<'py>,
    pair_rows: Matrix<'py>,
    bridge_rows: Matrix<'py>,
    members: Vec<PyReadonlyArray1<'py, i64>>,
    position: usize,
    permutations: PyReadonlyArray2<'py, i64>,
    subsets: PyReadonlyArray2<'py, bool>,
    estimator: &str,
    normalize: &str,
    bandwidth: Width,
    tol: f64,
    dtype: &str,
    threads: Option<usize>,
) -> PyResult<ResampledArrays<'py>> {
    let options = options(estimator, normalize, &bandwidth, tol, dtype)
        .map_err(|error| translate(py, &error))?;
    let members: Vec<Vec<usize>> = members.iter().map(vector).collect::<PyResult<_>>()?;
    let orders: Vec<usize> = permutations.as_slice()?.iter().copied().map(index).collect();
    let layer =
        Layer { pair: pair_rows.rows(py)?, bridge: bridge_rows.rows(py)?, members: &members };
    let draws = Draws { permutations: &orders, subsets: subsets.as_slice()? };
    let scores = interruptible(py, |stop| {
        core::resampled(&layer, position, draws, &options, threads, stop)
    })?;
    let table =
        |values, draws: usize| PyArray1::from_vec(py, values).reshape([draws, members.len()]);
    Ok((
        PyArray1::from_vec(py, scores.observed),
        table(scores.permuted, permutations.shape()[0])?,
        table(scores.subset, subsets.shape()[0])?,
        scores.rank,
    ))
}

fn spectrum_arrays<'py>(
    py: Python<'py>,
    scores: &[LayerScores],
    bridges: usize,
) -> PyResult<SpectrumArrays<'py>> {
    let shape = [scores.len(), bridges];
    let cells = || scores.iter().flat_map(|layer| &layer.cells);
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Ok((
        PyArray1::from_iter(py, cells().map(|cell| cell.score)).reshape(shape)?,
        PyArray1::from_iter(py, cells().map(|cell| cell.reason as u8)).reshape(shape)?,
        PyArray1::from_iter(py, scores.iter().map(|layer| count(layer.rank))),
        PyArray1::from_iter(py, scores.iter().map(|layer| layer.error_bound)),
        PyArray1::from_iter(py, cells().map(|cell| count(cell.constant_rows))).reshape(shape)?,
        PyArray1::from_iter(py, cells().map(|cell| count(cell.left_out))).reshape(shape)?,
    ))
}

/// Members as indices; negative ones become one that no layer has.
fn indices(members: &[Vec<PyReadonlyArray1<'_, i64>>]) -> PyResult<Vec<Vec<Vec<usize>>>> {
    members.iter().map(|layer| layer.iter().map(vector).collect()).collect()
}

fn vector(array: &PyReadonlyArray1<'_, i64>) -> PyResult<Vec<usize>> {
    Ok(array.as_slice()?.iter().copied().map(index).collect())
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn options(
    estimator: &str,
    normalize: &str,
    bandwidth: &Width,
    tolerance: f64,
    precision: &str,
) -> Result<Options, Error> {
    Ok(Options {
        estimator: estimator.parse()?,
        normalize: normalize.parse()?,
        bandwidth: bandwidth.bandwidth()?,
        tolerance,
        precision: precision.parse()?,
    })
}
