//! One set against the union of several candidates' sets: one product, best matches of each.

use std::sync::{Mutex, PoisonError, atomic::AtomicBool};

use rayon::prelude::*;

use super::{
    bound::{amplification, error_bound, wants_double},
    estimate::Formula,
    matches::{Candidates, Matches, Piece},
    neuron::{Neuron, Part, Plan},
    options::{Bandwidth, Normalize, Options, Precision},
    tile::{FeatureTile, KernelTile},
};
use crate::{
    Result,
    kernel::{
        difference::median_difference,
        distance::{median_distance, published_width},
        standardise::Standardised,
    },
    parallel::check,
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

/// Best matches of one set against every candidate, and how they were found.
#[derive(Debug)]
pub(super) struct Outcome {
    pub matches: Matches,
    pub x_widths: Vec<f64>,
    pub y_widths: Vec<f64>,
    pub rank: usize,
    pub error_bound: f64,
}

/// The neurons of both sets.
pub(super) type Sets<T> = [Vec<Neuron<T>>; 2];

/// The kernel widths of both sets.
pub(super) type Widths = [Vec<f64>; 2];

impl Request<'_> {
    /// Compute, or return nothing where no kernel width is defined.
    pub fn run(&self) -> Result<Option<Outcome>> {
        match self.options.precision {
            Precision::F32 => self.run_in::<f32>(),
            Precision::F64 => self.run_in::<f64>(),
        }
    }

    fn run_in<T: Real>(&self) -> Result<Option<Outcome>> {
        let widths = self.widths()?;
        widths.map(|widths| self.compute::<T>(widths)).transpose()
    }

    /// Kernel widths of both sets, or nothing where none is defined.
    pub fn widths(&self) -> Result<Option<Widths>> {
        let values = |rows: &[&Standardised]| -> Result<Vec<f64>> {
            let one = |row: &&Standardised| {
                check(self.stop)?;
                Ok(median_difference(&row.values).unwrap_or(f64::NAN))
            };
            rows.par_iter().map(one).collect()
        };
        let (x, y) = (slices(self.x), slices(self.y));
        let width = match self.options.bandwidth {
            Bandwidth::Neuron => return Ok(Some([values(self.x)?, values(self.y)?])),
            Bandwidth::Layer => median_distance(&[x, y].concat(), self.stop)?,
            Bandwidth::Reference => Some(published_width(&x, &y, self.stop)?),
            Bandwidth::Fixed(width) => Some(width),
        };
        Ok(width.map(|width| [vec![width; self.x.len()], vec![width; self.y.len()]]))
    }

    fn compute<T: Real>(&self, [x_widths, y_widths]: Widths) -> Result<Outcome> {
        let samples = self.samples();
        let formula = Formula::new(self.options, samples);
        let [mut x, mut y] = self.prepare::<T>(&x_widths, &y_widths, formula)?;
        if wants_double(&x, &y) {
            return self.compute::<f64>([x_widths, y_widths]);
        }
        let bound = error_bound(&x, &y);
        let rank = x.iter().chain(&y).map(|neuron| neuron.rank).max().unwrap_or(0);
        self.add_kernels(&mut x, &y, (self.x, &x_widths), &formula)?;
        self.add_kernels(&mut y, &x, (self.y, &y_widths), &formula)?;
        let matches = self.matches(&mut x, &mut y, samples, &formula)?;
        Ok(Outcome { matches, x_widths, y_widths, rank, error_bound: bound })
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.x.first().or(self.y.first()).map_or(0, |row| row.values.len())
    }

    /// Prepare every neuron; again, more accurately, where normalising makes errors grow, and through
    /// kernels where no features keep the tolerance.
    fn prepare<T: Real>(
        &self,
        x_widths: &[f64],
        y_widths: &[f64],
        formula: Formula,
    ) -> Result<Sets<T>> {
        let asked = self.options.tolerance;
        let attempt = |amplifications: [f64; 2], tolerance: f64| {
            let plan = |amplification| Plan { formula, tolerance, amplification, kernels: true };
            self.neurons::<T>([x_widths, y_widths], &amplifications.map(plan))
        };
        let mut neurons = attempt([1.0, 1.0], asked)?;
        for share in [1.0, 0.25, 0.0] {
            let [x, y] = &neurons;
            let normalised = formula.normalize == Normalize::Cka;
            if !normalised || error_bound(x, y) <= asked {
                break;
            }
            neurons = attempt([amplification(y), amplification(x)], asked * share)?;
        }
        Ok(neurons)
    }

    /// Prepare the neurons of each set by its plan.
    pub fn neurons<T: Real>(&self, widths: [&[f64]; 2], plans: &[Plan; 2]) -> Result<Sets<T>> {
        let set = |rows: &[&Standardised], widths: &[f64], plan: &Plan| -> Result<Vec<Neuron<T>>> {
            let one = |(row, &width): (&&Standardised, &f64)| {
                check(self.stop)?;
                Neuron::new(row, width, plan, self.stop)
            };
            rows.par_iter().zip(widths).map(one).collect()
        };
        Ok([set(self.x, widths[0], &plans[0])?, set(self.y, widths[1], &plans[1])?])
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
            neuron.add_kernel(row, width, formula, self.stop)
        })
    }

    /// Multiply every tile of `x` with every tile of `y`.
    fn matches<T: Real>(
        &self,
        x: &mut [Neuron<T>],
        y: &mut [Neuron<T>],
        samples: usize,
        formula: &Formula,
    ) -> Result<Matches> {
        let parts = [&*x, &*y].map(|set| set.iter().map(|neuron| neuron.part).collect());
        let matches = Mutex::new(Matches::new(parts, self.members.len(), self.matrix));
        let candidates = Candidates::new(self.members, y.len());
        let merge = |x: &[usize], y: &[usize], scores| {
            let piece = Piece::new(x, y, scores, &candidates, self.matrix);
            matches.lock().unwrap_or_else(PoisonError::into_inner).merge(&piece);
        };
        let first = FeatureTile::cut(x, samples, self.stop)?;
        let second = FeatureTile::cut(y, samples, self.stop)?;
        for_all(&first, &second, |one, other| {
            check(self.stop)?;
            merge(&one.members, &other.members, one.scores(other, samples, formula));
            Ok(())
        })?;
        let any = |part| matches!(part, Part::Features | Part::Kernel);
        for (of_x, of_y) in [(Part::Kernel, None), (Part::Features, Some(Part::Kernel))] {
            let first = KernelTile::cut(x, |part| part == of_x);
            let second = KernelTile::cut(y, |part| of_y.map_or(any(part), |only| part == only));
            for_all(&first, &second, |one, other| {
                merge(
                    &one.members,
                    &other.members,
                    one.scores(other, samples, formula, self.stop)?,
                );
                Ok(())
            })?;
        }
        let mut matches = matches.into_inner().unwrap_or_else(PoisonError::into_inner);
        matches.finish(self.members);
        Ok(matches)
    }
}

fn for_all<A: Sync, B: Sync>(
    first: &[A],
    second: &[B],
    operation: impl Fn(&A, &B) -> Result<()> + Sync,
) -> Result<()> {
    (0..first.len() * second.len()).into_par_iter().try_for_each(|index| {
        operation(&first[index / second.len()], &second[index % second.len()])
    })
}

fn slices<'a>(rows: &[&'a Standardised]) -> Vec<&'a [f64]> {
    rows.iter().map(|row| row.values.as_slice()).collect()
}
