//! Dependence between two sets of neurons over the same samples, and layer scores for many
//! candidates at once.
//!
//! With centred kernels A = HKH and B = HLH of two neurons and s = tr(AB), d = diag(A),
//! e = diag(B):
//!
//! - `unbiased`: [s - S/(S-2) dᵀe + (Σd)(Σe) / ((S-1)(S-2))] / (S(S-3)) (Song et al. 2012, eq. 5)
//! - `biased`: s / (S-1)² (Gretton et al. 2005)
//! - `reference`: tr(KHL) = s + (1/S)(K1)ᵀH(L1)
//! - `linear`: the squared correlation
//!
//! The layer score is (mean of the row maxima + mean of the column maxima) / 2.

mod block;
mod bound;
mod estimate;
mod kernel_form;
mod matches;
mod neuron;
mod options;
mod resample;
mod significance;
mod subset;
mod tile;

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use self::{
    block::{Outcome, Request},
    matches::Matches,
    neuron::Part,
};
pub use self::{
    options::{Bandwidth, Estimator, Normalize, Options, Precision},
    resample::{Draws, Resampled, resampled},
    significance::p_values,
};
use crate::{
    Error, Result, Rows,
    kernel::standardise::{Standardised, standardise},
    parallel,
    simd::vectorised,
};

/// Dependence between two sets of neurons.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependence {
    /// (mean of the row maxima + mean of the column maxima) / 2 over the rows that can be
    /// estimated; NaN where one set has none.
    pub layer_score: f64,
    /// Best match of every row of the first set, NaN for rows that are left out.
    pub row_max: Vec<f64>,
    /// Best match of every row of the second set, NaN for rows that are left out.
    pub column_max: Vec<f64>,
    /// Every score, row after row, where asked for.
    pub matrix: Option<Vec<f64>>,
    /// Largest number of features in use; 0 where all pairs used kernels.
    pub rank: usize,
    /// Largest error that truncated features make in any score.
    pub error_bound: f64,
    /// Kernel width of every row of the first set, NaN where it has none.
    pub x_widths: Vec<f64>,
    /// Kernel width of every row of the second set, NaN where it has none.
    pub y_widths: Vec<f64>,
    /// Rows of both sets that hold one value only.
    pub constant_rows: usize,
    /// Rows of both sets that cannot be estimated.
    pub left_out: usize,
}

/// One layer of a spectrum.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Activations of the pair's neurons.
    pub pair: Rows<'a>,
    /// Activations of the neurons that any candidate has.
    pub bridge: Rows<'a>,
    /// The rows of `bridge` that every candidate has, each at most once.
    pub members: &'a [Vec<usize>],
}

/// Why a layer has no score for a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// It has one.
    Estimable = 0,
    /// The pair's set is empty.
    NoPairNeurons = 1,
    /// The candidate's set is empty.
    NoBridgeNeurons = 2,
    /// No neuron of the pair's set can be estimated.
    PairLeftOut = 3,
    /// No neuron of the candidate's set can be estimated.
    BridgeLeftOut = 4,
    /// The rows have no positive distance from each other.
    NoBandwidth = 5,
}

/// The score of one layer for one candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Layer score, NaN where there is none.
    pub score: f64,
    /// Why there is none.
    pub reason: Reason,
    /// Rows of the pair and the candidate that hold one value only.
    pub constant_rows: usize,
    /// Rows of the pair and the candidate that cannot be estimated.
    pub left_out: usize,
}

/// The scores of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerScores {
    /// One per candidate.
    pub cells: Vec<Cell>,
    /// Largest number of features in use; 0 where all pairs used kernels.
    pub rank: usize,
    /// Largest error that truncated features make in any score.
    pub error_bound: f64,
}

/// Measure how strongly two sets of neurons depend on each other.
///
/// # Errors
/// [`Error::SampleMismatch`], [`Error::EmptySet`], [`Error::NotFinite`], [`Error::TooFewSamples`],
/// [`Error::NoBandwidth`], bad options, [`Error::Interrupted`] when `stop` is set, and the errors
/// of [`parallel::run`].
///
/// # Example
/// ```
/// use std::sync::atomic::AtomicBool;
/// use bridgex_core::{Rows, dependence::{Options, dependence}, rows::Values};
/// let x: Vec<f64> = (0..32).map(|a| f64::from(a * a % 17)).collect();
/// let rows = Rows::new(Values::F64(&x), 1, 32)?;
/// let stop = AtomicBool::new(false);
/// let result = dependence(rows, rows, &Options::default(), false, None, &stop)?;
/// assert!((result.layer_score - 1.0).abs() < 1e-3);
/// # Ok::<(), bridgex_core::Error>(())
/// ```
pub fn dependence(
    x: Rows<'_>,
    y: Rows<'_>,
    options: &Options,
    matrix: bool,
    threads: Option<usize>,
    stop: &AtomicBool,
) -> Result<Dependence> {
    check_sets(x, y, options)?;
    for (set, rows) in [("x", x), ("y", y)] {
        if rows.count() == 0 {
            return Err(Error::EmptySet { set });
        }
    }
    let everyone: Vec<usize> = (0..y.count()).collect();
    let outcome = parallel::run(threads, || -> Result<Option<Outcome>> {
        let x = standardised(x, "x", None, options, stop)?;
        let y = standardised(y, "y", None, options, stop)?;
        let (x, y): (Vec<_>, Vec<_>) = (x.iter().collect(), y.iter().collect());
        let members = [everyone.as_slice()];
        Request { x: &x, y: &y, members: &members, options, matrix, stop }.run()
    })??;
    let outcome = outcome.ok_or(Error::NoBandwidth)?;
    let cell = cell(&outcome.matches, 0, &everyone);
    Ok(Dependence {
        layer_score: cell.score,
        row_max: outcome.matches.row_max,
        column_max: outcome.matches.column_max,
        matrix: outcome.matches.matrix,
        rank: outcome.rank,
        error_bound: outcome.error_bound,
        x_widths: outcome.x_widths,
        y_widths: outcome.y_widths,
        constant_rows: cell.constant_rows,
        left_out: cell.left_out,
    })
}

/// Score every candidate in every layer.
///
/// A layer is multiplied once against the union of all candidates' neurons, except with
/// [`Bandwidth::Reference`], whose width depends on the candidate. As many layers as there are
/// threads are in memory at a time.
///
/// # Errors
/// As [`dependence`], except that an empty set or a missing bandwidth is a [`Reason`], and
/// [`Error::Member`] when a member is not a row.
pub fn spectrum(
    layers: &[Layer<'_>],
    options: &Options,
    threads: Option<usize>,
    stop: &AtomicBool,
) -> Result<Vec<LayerScores>> {
    for layer in layers {
        check_sets(layer.pair, layer.bridge, options)?;
        check_members(layer)?;
    }
    let at_once = parallel::thread_count(threads)?;
    parallel::run(threads, || {
        let mut scores = Vec::with_capacity(layers.len());
        for (group, part) in layers.chunks(at_once).enumerate() {
            let group: Vec<Result<LayerScores>> = part
                .par_iter()
                .enumerate()
                .map(|(index, layer)| layer_scores(layer, group * at_once + index, options, stop))
                .collect();
            scores.extend(group.into_iter().collect::<Result<Vec<_>>>()?);
        }
        Ok(scores)
    })?
}

fn layer_scores(
    layer: &Layer<'_>,
    position: usize,
    options: &Options,
    stop: &AtomicBool,
) -> Result<LayerScores> {
    let pair = standardised(layer.pair, "pair_rows", Some(position), options, stop)?;
    let bridge = standardised(layer.bridge, "bridge_rows", Some(position), options, stop)?;
    let x: Vec<&Standardised> = pair.iter().collect();
    let request = |y: &[&Standardised], members: &[&[usize]]| {
        Request { x: &x, y, members, options, matrix: false, stop }.run()
    };
    if pair.is_empty() || bridge.is_empty() {
        return Ok(collect(layer, None));
    }
    if options.bandwidth != Bandwidth::Reference {
        let y: Vec<&Standardised> = bridge.iter().collect();
        let members: Vec<&[usize]> = layer.members.iter().map(Vec::as_slice).collect();
        return Ok(collect(layer, request(&y, &members)?.as_ref()));
    }
    let single: Result<Vec<LayerScores>> = layer
        .members
        .par_iter()
        .map(|members| {
            let y: Vec<&Standardised> = members.iter().map(|&member| &bridge[member]).collect();
            let everyone = vec![(0..y.len()).collect::<Vec<usize>>()];
            let outcome = if y.is_empty() { None } else { request(&y, &[everyone[0].as_slice()])? };
            Ok(collect(&Layer { members: &everyone, ..*layer }, outcome.as_ref()))
        })
        .collect();
    Ok(single?.into_iter().fold(
        LayerScores { cells: Vec::new(), rank: 0, error_bound: 0.0 },
        |mut all, one| {
            all.cells.extend(one.cells);
            all.rank = all.rank.max(one.rank);
            all.error_bound = all.error_bound.max(one.error_bound);
            all
        },
    ))
}

fn collect(layer: &Layer<'_>, outcome: Option<&Outcome>) -> LayerScores {
    let cells = layer.members.iter().enumerate().map(|(candidate, members)| {
        let none = |reason| Cell { score: f64::NAN, reason, constant_rows: 0, left_out: 0 };
        match outcome {
            _ if layer.pair.count() == 0 => none(Reason::NoPairNeurons),
            _ if members.is_empty() => none(Reason::NoBridgeNeurons),
            None => none(Reason::NoBandwidth),
            Some(outcome) => cell(&outcome.matches, candidate, members),
        }
    });
    LayerScores {
        cells: cells.collect(),
        rank: outcome.map_or(0, |outcome| outcome.rank),
        error_bound: outcome.map_or(0.0, |outcome| outcome.error_bound),
    }
}

/// The layer score of a candidate.
fn cell(matches: &Matches, candidate: usize, members: &[usize]) -> Cell {
    let parts = || {
        let members = members.iter().map(|&member| matches.y_parts[member]);
        matches.x_parts.iter().copied().chain(members)
    };
    let count = |wanted: Part| parts().filter(|&part| part == wanted).count();
    let reason = if matches.x_parts.iter().all(|&part| part == Part::LeftOut) {
        Reason::PairLeftOut
    } else if members.iter().all(|&member| matches.y_parts[member] == Part::LeftOut) {
        Reason::BridgeLeftOut
    } else {
        Reason::Estimable
    };
    Cell {
        score: matches.layer_score(candidate, members),
        reason,
        constant_rows: count(Part::Constant),
        left_out: count(Part::LeftOut),
    }
}

fn standardised(
    rows: Rows<'_>,
    set: &'static str,
    layer: Option<usize>,
    options: &Options,
    stop: &AtomicBool,
) -> Result<Vec<Standardised>> {
    let rows: Vec<Result<Standardised>> = (0..rows.count())
        .into_par_iter()
        .map(|index| {
            parallel::check(stop)?;
            let row = rows.row(index);
            if let Some(sample) = first_not_finite(&row) {
                let value = row[sample];
                return Err(Error::NotFinite { set, layer, row: index, sample, value });
            }
            Ok(standardise(row, options.epsilon()))
        })
        .collect();
    // Of several bad rows always the first is reported.
    rows.into_iter().collect()
}

/// Position of the first value that is infinite or not a number.
fn first_not_finite(row: &[f64]) -> Option<usize> {
    let finite = vectorised(
        #[inline(always)]
        || row.iter().fold(true, |all, value| all & value.is_finite()),
    );
    if finite { None } else { row.iter().position(|value| !value.is_finite()) }
}

fn check_sets(x: Rows<'_>, y: Rows<'_>, options: &Options) -> Result<()> {
    if x.samples() != y.samples() {
        return Err(Error::SampleMismatch { x: x.samples(), y: y.samples() });
    }
    options.check(x.samples())
}

fn check_members(layer: &Layer<'_>) -> Result<()> {
    let rows = layer.bridge.count();
    for (candidate, members) in layer.members.iter().enumerate() {
        if let Some(&member) = members.iter().find(|&&member| member >= rows) {
            return Err(Error::Member { candidate, member, rows });
        }
    }
    Ok(())
}
