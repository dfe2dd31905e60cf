//! One set against the union of several candidates' sets: one product, best matches of each.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::{
    bound::{error_bound, largest_amplification},
    estimate::Formula,
    neuron::{Neuron, Part, Plan},
    options::{Bandwidth, Normalize, Options, Precision},
    tile::{FeatureTile, KernelTile},
};
use crate::{
    Error, Result,
    kernel::{
        difference::median_difference,
        distance::{median_distance, published_width},
        standardise::Standardised,
    },
    real::Real,
};

/// What is to be computed.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub x: &'a [&'a Standardised],
    pub y: &'a [&'a Standardised],
    /// Rows of `y` that every candidate has.
    pub members: &'a [&'a [usize]],
    pub options: &'a Options,
    pub matrix: bool,
    /// Set by the caller to end the computation.
    pub stop: &'a AtomicBool,
}

/// Best matches of one set against every candidate.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Best match of every row of `x` within every candidate: candidate × n1, NaN where there is
    /// none.
    pub row_max: Vec<f64>,
    /// Best match of every row of `y` within `x`, NaN where there is none.
    pub column_max: Vec<f64>,
    /// Every score, n1 × n2, where asked for.
    pub matrix: Option<Vec<f64>>,
    pub x_parts: Vec<Part>,
    pub y_parts: Vec<Part>,
    pub x_widths: Vec<f64>,
    pub y_widths: Vec<f64>,
    pub rank: usize,
    pub error_bound: f64,
}

impl Request<'_> {
    /// Compute, or return nothing where no kernel width is defined.
    pub fn run(&self) -> Result<Option<Outcome>> {
        match self.options.precision {
            Precision::F32 => self.run_in::<f32>(),
            Precision::F64 => self.run_in::<f64>(),
        }
    }

    fn run_in<T: Real>(&self) -> Result<Option<Outcome>> {
        let widths = self.widths::<T>();
        widths.map(|[x, y]| self.compute::<T>(x, y)).transpose()
    }

    fn widths<T: Real>(&self) -> Option<[Vec<f64>; 2]> {
        let values = |rows: &[&'_ Standardised]| -> Vec<f64> {
            rows.par_iter().map(|row| median_difference(&row.values).unwrap_or(f64::NAN)).collect()
        };
        let slices = |rows| slices(rows);
        let width = match self.options.bandwidth {
            Bandwidth::Neuron => return Some([values(self.x), values(self.y)]),
            Bandwidth::Layer => median_distance::<T>(&[slices(self.x), slices(self.y)].concat())?,
            Bandwidth::Reference => published_width::<T>(&slices(self.x), &slices(self.y)),
            Bandwidth::Fixed(width) => width,
        };
        Some([vec![width; self.x.len()], vec![width; self.y.len()]])
    }

    fn compute<T: Real>(&self, x_widths: Vec<f64>, y_widths: Vec<f64>) -> Result<Outcome> {
        let samples = self.x.first().or(self.y.first()).map_or(0, |row| row.values.len());
        let formula = Formula::new(self.options, samples);
        let [mut x, mut y] = self.prepare::<T>(&x_widths, &y_widths, formula)?;
        let bound = error_bound(&x, &y);
        let rank = x.iter().chain(&y).map(|neuron| neuron.rank).max().unwrap_or(0);
        self.add_kernels(&mut x, &y, (self.x, &x_widths), &formula)?;
        self.add_kernels(&mut y, &x, (self.y, &y_widths), &formula)?;
        let pieces = self.pieces(&mut x, &mut y, samples, &formula)?;
        let parts = |neurons: &[Neuron<T>]| neurons.iter().map(|one| one.part).collect();
        let mut outcome = Outcome {
            row_max: vec![f64::NEG_INFINITY; self.members.len() * x.len()],
            column_max: vec![f64::NEG_INFINITY; y.len()],
            matrix: self.matrix.then(|| vec![0.0; x.len() * y.len()]),
            x_parts: parts(&x),
            y_parts: parts(&y),
            x_widths,
            y_widths,
            rank,
            error_bound: bound,
        };
        pieces.iter().for_each(|piece| outcome.merge(piece));
        outcome.finish(self.members);
        Ok(outcome)
    }

    /// Prepare every neuron; again, more accurately, where normalising makes errors grow.
    fn prepare<T: Real>(
        &self,
        x_widths: &[f64],
        y_widths: &[f64],
        formula: Formula,
    ) -> Result<[Vec<Neuron<T>>; 2]> {
        let tolerance = self.options.tolerance;
        let attempt = |amplification: f64| -> Result<_> {
            let plan = Plan { formula, tolerance, amplification };
            let set = |rows: &[&Standardised], widths: &[f64]| -> Result<Vec<Neuron<T>>> {
                let one = |(row, &width): (&&Standardised, &f64)| {
                    self.check_stop()?;
                    Ok(Neuron::new(row, width, &plan))
                };
                rows.par_iter().zip(widths).map(one).collect()
            };
            Ok([set(self.x, x_widths)?, set(self.y, y_widths)?])
        };
        let neurons = attempt(1.0)?;
        let amplification = largest_amplification([&neurons[0], &neurons[1]]);
        let normalised = formula.normalize == Normalize::Cka;
        if normalised && error_bound(&neurons[0], &neurons[1]) > tolerance {
            return attempt(amplification);
        }
        Ok(neurons)
    }

    /// Give every neuron its kernel where the other set has one that needs it.
    fn add_kernels<T: Real>(
        &self,
        neurons: &mut [Neuron<T>],
        others: &[Neuron<T>],
        (rows, widths): (&[&Standardised], &[f64]),
        formula: &Formula,
    ) -> Result<()> {
        if others.iter().all(|other| other.part != Part::Kernel) {
            return Ok(());
        }
        neurons.par_iter_mut().zip(rows).zip(widths).try_for_each(|((neuron, row), &width)| {
            self.check_stop()?;
            neuron.add_kernel(row, width, formula);
            Ok(())
        })
    }

    /// Multiply every tile of `x` with every tile of `y`.
    fn pieces<T: Real>(
        &self,
        x: &mut [Neuron<T>],
        y: &mut [Neuron<T>],
        samples: usize,
        formula: &Formula,
    ) -> Result<Vec<Piece>> {
        let candidates = self.candidates_of(y.len());
        let (first, second) = (FeatureTile::cut(x, samples), FeatureTile::cut(y, samples));
        let mut pieces = products(&first, &second, |one, other| {
            self.check_stop()?;
            let scores = one.scores(other, samples, formula);
            Ok(self.piece(&one.members, &other.members, scores, &candidates))
        })?;
        let any = |part| matches!(part, Part::Features | Part::Kernel);
        for (of_x, of_y) in [(Part::Kernel, None), (Part::Features, Some(Part::Kernel))] {
            let first = KernelTile::cut(x, |part| part == of_x);
            let second = KernelTile::cut(y, |part| of_y.map_or(any(part), |only| part == only));
            pieces.extend(products(&first, &second, |one, other| {
                self.check_stop()?;
                let scores = one.scores(other, samples, formula);
                Ok(self.piece(&one.members, &other.members, scores, &candidates))
            })?);
        }
        Ok(pieces)
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// The candidates that have each row of `y`.
    fn candidates_of(&self, count: usize) -> Vec<Vec<usize>> {
        let mut candidates = vec![Vec::new(); count];
        for (candidate, members) in self.members.iter().enumerate() {
            members.iter().for_each(|&member| candidates[member].push(candidate));
        }
        candidates
    }

    /// Reduce the scores of a tile to its best matches.
    fn piece(
        &self,
        x: &[usize],
        y: &[usize],
        scores: Vec<f64>,
        candidates: &[Vec<usize>],
    ) -> Piece {
        let mut rows = vec![f64::NEG_INFINITY; self.members.len() * x.len()];
        let mut columns = vec![f64::NEG_INFINITY; y.len()];
        for (place, line) in scores.chunks_exact(y.len()).enumerate() {
            for (column, &score) in line.iter().enumerate() {
                columns[column] = columns[column].max(score);
                for &candidate in &candidates[y[column]] {
                    let best = &mut rows[candidate * x.len() + place];
                    *best = best.max(score);
                }
            }
        }
        let scores = self.matrix.then_some(scores);
        Piece { x: x.to_vec(), y: y.to_vec(), rows, columns, scores }
    }
}

/// Best matches within one tile.
struct Piece {
    x: Vec<usize>,
    y: Vec<usize>,
    /// Candidate × rows of the tile.
    rows: Vec<f64>,
    columns: Vec<f64>,
    scores: Option<Vec<f64>>,
}

impl Outcome {
    fn merge(&mut self, piece: &Piece) {
        let (n1, n2) = (self.x_parts.len(), self.y_parts.len());
        for (index, &best) in piece.rows.iter().enumerate() {
            let (candidate, place) = (index / piece.x.len(), index % piece.x.len());
            let cell = &mut self.row_max[candidate * n1 + piece.x[place]];
            *cell = cell.max(best);
        }
        for (&column, &best) in piece.y.iter().zip(&piece.columns) {
            self.column_max[column] = self.column_max[column].max(best);
        }
        if let (Some(matrix), Some(scores)) = (&mut self.matrix, &piece.scores) {
            for (&row, line) in piece.x.iter().zip(scores.chunks_exact(piece.y.len())) {
                for (&column, &score) in piece.y.iter().zip(line) {
                    matrix[row * n2 + column] = score;
                }
            }
        }
    }

    /// Constant rows score 0 with every row that can be estimated; the others score nothing.
    fn finish(&mut self, members: &[&[usize]]) {
        let n1 = self.x_parts.len();
        for (candidate, members) in members.iter().enumerate() {
            let parts = || members.iter().map(|&member| self.y_parts[member]);
            let line = &mut self.row_max[candidate * n1..(candidate + 1) * n1];
            add_constants(line, &self.x_parts, parts);
        }
        let parts = || self.x_parts.iter().copied();
        add_constants(&mut self.column_max, &self.y_parts, parts);
        if let Some(matrix) = &mut self.matrix {
            let n2 = self.y_parts.len();
            for (index, score) in matrix.iter_mut().enumerate() {
                let parts = [self.x_parts[index / n2], self.y_parts[index % n2]];
                if parts.contains(&Part::LeftOut) {
                    *score = f64::NAN;
                }
            }
        }
    }
}

fn add_constants<I: Iterator<Item = Part>>(best: &mut [f64], own: &[Part], others: impl Fn() -> I) {
    let constant = others().any(|part| part == Part::Constant);
    let none = others().all(|part| part == Part::LeftOut);
    for (cell, &part) in best.iter_mut().zip(own) {
        if part == Part::LeftOut || none {
            *cell = f64::NAN;
        } else if part == Part::Constant || constant {
            *cell = cell.max(0.0);
        }
    }
}

fn products<A: Sync, B: Sync>(
    first: &[A],
    second: &[B],
    product: impl Fn(&A, &B) -> Result<Piece> + Sync,
) -> Result<Vec<Piece>> {
    (0..first.len() * second.len())
        .into_par_iter()
        .map(|index| product(&first[index / second.len()], &second[index % second.len()]))
        .collect()
}

fn slices<'a>(rows: &[&'a Standardised]) -> Vec<&'a [f64]> {
    rows.iter().map(|row| row.values.as_slice()).collect()
}
