//! Layer scores of permuted samples, and of some of the samples, from features that are computed
//! once.
//!
//! A kernel is a function of two samples. Permuting samples permutes the rows of a feature, and
//! leaving samples out leaves rows out, which are then centred again; widths and standardisation
//! stay those of all samples. The product of a neuron's features is taken as its kernel
//! throughout, in the observed scores as well, so that they compare with their null.

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::{
    Layer,
    block::Request,
    bound::wants_double,
    estimate::Formula,
    matches::{Candidates, Matches, Piece},
    neuron::{Neuron, Part, Plan},
    options::{Bandwidth, Options, Precision},
    subset::Subset,
    tile::FeatureTile,
};
use crate::{
    Error, Result,
    kernel::standardise::Standardised,
    parallel::{self, check},
    real::Real,
};

/// How samples are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    /// Orders of all samples, one after another: in draw `p`, sample `a` of the candidates is
    /// their sample `permutations[p * samples + a]`.
    pub permutations: &'a [usize],
    /// Which samples are in, one subset after another.
    pub subsets: &'a [bool],
}

/// Layer scores of one layer under every draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampled {
    /// Scores of the samples as they are, by candidate.
    pub observed: Vec<f64>,
    /// Scores of permuted samples, permutation × candidate.
    pub permuted: Vec<f64>,
    /// Scores of some of the samples, subset × candidate.
    pub subset: Vec<f64>,
    /// Largest number of features in use.
    pub rank: usize,
}

/// One way to look at the samples.
enum View {
    All,
    /// The order that puts the pair's samples beside the candidates' permuted ones.
    Order(Vec<usize>),
    Subset(Vec<usize>),
}

/// Score every candidate in a layer under every draw.
///
/// `position` is what errors call the layer. Scores are NaN where a set is empty or has no row that
/// can be estimated. Features are computed to `options.tolerance`, but with at most 32 of them, or
/// S/16, or √(S/2), whichever is most. The features of the layer and, for every thread, a copy of
/// one set's (of both sets', for subsets) are in memory.
///
/// # Errors
/// As [`super::spectrum`], and [`Error::Draw`] when a draw is not a permutation, or keeps too few
/// samples for the estimator.
pub fn resampled(
    layer: &Layer<'_>,
    position: usize,
    draws: Draws<'_>,
    options: &Options,
    threads: Option<usize>,
    stop: &AtomicBool,
) -> Result<Resampled> {
    super::check_sets(layer.pair, layer.bridge, options)?;
    super::check_members(layer)?;
    let views = views(draws, layer.pair.samples(), options)?;
    let scores = parallel::run(threads, || layer_scores(layer, position, &views, options, stop))??;
    let count = layer.members.len();
    let permutations = draws.permutations.len().checked_div(layer.pair.samples()).unwrap_or(0);
    let (observed, rest) = scores.values.split_at(count);
    let (permuted, subset) = rest.split_at(permutations * count);
    Ok(Resampled {
        observed: observed.to_vec(),
        permuted: permuted.to_vec(),
        subset: subset.to_vec(),
        rank: scores.rank,
    })
}

/// Scores of all views, view × candidate.
struct Scores {
    values: Vec<f64>,
    rank: usize,
}

fn layer_scores(
    layer: &Layer<'_>,
    position: usize,
    views: &[View],
    options: &Options,
    stop: &AtomicBool,
) -> Result<Scores> {
    let count = layer.members.len();
    let mut scores = Scores { values: vec![f64::NAN; views.len() * count], rank: 0 };
    let pair = super::standardised(layer.pair, "pair_rows", Some(position), options, stop)?;
    let bridge = super::standardised(layer.bridge, "bridge_rows", Some(position), options, stop)?;
    if pair.is_empty() || bridge.is_empty() || count == 0 {
        return Ok(scores);
    }
    let x: Vec<&Standardised> = pair.iter().collect();
    for group in groups(layer.members, bridge.len(), options.bandwidth) {
        let rows = |&row: &usize| &bridge[row];
        let y: Vec<&Standardised> = group.rows.iter().map(rows).collect();
        let members: Vec<&[usize]> = group.members.iter().map(Vec::as_slice).collect();
        let request = Request { x: &x, y: &y, members: &members, options, matrix: false, stop };
        let (found, rank) = match options.precision {
            Precision::F32 => request.views::<f32>(views)?,
            Precision::F64 => request.views::<f64>(views)?,
        };
        scores.rank = scores.rank.max(rank);
        for (line, values) in scores.values.chunks_exact_mut(count).zip(found) {
            line[group.first..group.first + values.len()].copy_from_slice(&values);
        }
    }
    Ok(scores)
}

/// Candidates that are scored by one product.
struct Group {
    first: usize,
    rows: Vec<usize>,
    members: Vec<Vec<usize>>,
}

/// All candidates together, or each by itself where the kernels' width depends on it.
fn groups(members: &[Vec<usize>], rows: usize, bandwidth: Bandwidth) -> Vec<Group> {
    if bandwidth == Bandwidth::Reference {
        let single = |(first, rows): (usize, &Vec<usize>)| Group {
            first,
            rows: rows.clone(),
            members: vec![(0..rows.len()).collect()],
        };
        let filled = members.iter().enumerate().filter(|(_, rows)| !rows.is_empty());
        return filled.map(single).collect();
    }
    vec![Group { first: 0, rows: (0..rows).collect(), members: members.to_vec() }]
}

impl Request<'_> {
    /// Scores of every view by candidate, and the largest number of features.
    fn views<T: Real>(&self, views: &[View]) -> Result<(Vec<Vec<f64>>, usize)> {
        let nothing = || vec![vec![f64::NAN; self.members.len()]; views.len()];
        let Some([x_widths, y_widths]) = self.widths()? else {
            return Ok((nothing(), 0));
        };
        let samples = self.samples();
        let formula = Formula::new(self.options, samples);
        let tolerance = self.options.tolerance;
        let plan = Plan { formula, tolerance, amplification: 1.0, kernels: false };
        let [mut x, mut y] = self.neurons::<T>([&x_widths, &y_widths], &[plan; 2])?;
        if wants_double(&x, &y) {
            return self.views::<f64>(views);
        }
        let rank = x.iter().chain(&y).map(|neuron| neuron.rank).max().unwrap_or(0);
        let sides =
            [Side::new(&mut x, samples, self.stop)?, Side::new(&mut y, samples, self.stop)?];
        let candidates = Candidates::new(self.members, y.len());
        let scores = views.par_iter().map(|view| self.view(view, &sides, &candidates, samples));
        Ok((scores.collect::<Result<_>>()?, rank))
    }

    fn view<T: Real>(
        &self,
        view: &View,
        [x, y]: &[Side<T>; 2],
        candidates: &Candidates,
        samples: usize,
    ) -> Result<Vec<f64>> {
        let formula = Formula::new(self.options, samples);
        match view {
            View::All => self.matched(x, y, candidates, samples, &formula),
            View::Order(order) => {
                self.matched(&x.reordered(order), y, candidates, samples, &formula)
            }
            View::Subset(kept) => {
                let subset = Subset::new(kept, self.options, samples);
                let (x, y) = (x.subset(&subset), y.subset(&subset));
                self.matched(&x, &y, candidates, kept.len(), &subset.formula)
            }
        }
    }

    /// The layer score of every candidate.
    fn matched<T: Real>(
        &self,
        x: &Side<T>,
        y: &Side<T>,
        candidates: &Candidates,
        samples: usize,
        formula: &Formula,
    ) -> Result<Vec<f64>> {
        let parts = [x.parts.clone(), y.parts.clone()];
        let mut matches = Matches::new(parts, self.members.len(), false);
        for one in &x.tiles {
            for other in &y.tiles {
                check(self.stop)?;
                let scores = one.scores(other, samples, formula);
                let piece = Piece::new(&one.members, &other.members, scores, candidates, false);
                matches.merge(&piece);
            }
        }
        matches.finish(self.members);
        let members = self.members.iter().enumerate();
        Ok(members.map(|(candidate, members)| matches.layer_score(candidate, members)).collect())
    }
}

/// A set of neurons, in tiles.
struct Side<T> {
    tiles: Vec<FeatureTile<T>>,
    parts: Vec<Part>,
}

impl<T: Real> Side<T> {
    fn new(neurons: &mut [Neuron<T>], samples: usize, stop: &AtomicBool) -> Result<Self> {
        let parts = neurons.iter().map(|neuron| neuron.part).collect();
        Ok(Self { tiles: FeatureTile::cut(neurons, samples, stop)?, parts })
    }

    fn reordered(&self, order: &[usize]) -> Self {
        let tiles = self.tiles.iter().map(|tile| tile.reordered(order)).collect();
        Self { tiles, parts: self.parts.clone() }
    }

    fn subset(&self, subset: &Subset) -> Self {
        let mut parts = self.parts.clone();
        let tiles = self.tiles.iter().map(|tile| tile.subset(subset, &mut parts)).collect();
        Self { tiles, parts }
    }
}

/// The samples as they are, then every permutation, then every subset.
fn views(draws: Draws<'_>, samples: usize, options: &Options) -> Result<Vec<View>> {
    for (what, found) in
        [("permutations", draws.permutations.len()), ("subsets", draws.subsets.len())]
    {
        let whole = found.checked_div(samples).unwrap_or(0) * samples;
        if found != whole {
            return Err(Error::Length { what, expected: whole, found });
        }
    }
    let mut views = vec![View::All];
    for (draw, order) in draws.permutations.chunks_exact(samples.max(1)).enumerate() {
        views.push(View::Order(inverse(order).ok_or(Error::Draw { draw })?));
    }
    for subset in draws.subsets.chunks_exact(samples.max(1)) {
        let kept: Vec<usize> = (0..samples).filter(|&sample| subset[sample]).collect();
        options.check(kept.len())?;
        views.push(View::Subset(kept));
    }
    Ok(views)
}

/// The inverse of a permutation; nothing where it is none.
fn inverse(order: &[usize]) -> Option<Vec<usize>> {
    let mut inverse = vec![usize::MAX; order.len()];
    for (to, &from) in order.iter().enumerate() {
        let place = inverse.get_mut(from).filter(|place| **place == usize::MAX)?;
        *place = to;
    }
    Some(inverse)
}
