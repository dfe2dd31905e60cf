//! Tiles of features over other samples: in another order, or only some of them.

use super::{
    estimate::Formula,
    neuron::{Part, positive},
    options::{Estimator, Normalize, Options},
    tile::FeatureTile,
};
use crate::{
    kernel::columns::{combination, diagonal, square_sum, sum_of},
    product::add_product,
    real::Real,
};

/// Some of the samples.
pub(super) struct Subset<'a> {
    kept: &'a [usize],
    /// The estimator for that many samples.
    pub formula: Formula,
    /// Share of the samples that are in.
    share: f64,
}

impl<'a> Subset<'a> {
    pub fn new(kept: &'a [usize], options: &Options, samples: usize) -> Self {
        let formula = Formula::new(options, kept.len()).of_part(samples);
        Self { kept, formula, share: kept.len() as f64 / samples as f64 }
    }
}

impl<T: Real> FeatureTile<T> {
    /// The same neurons with their samples in another order.
    pub fn reordered(&self, order: &[usize]) -> Self {
        let samples = order.len();
        let gather = |values: &[T]| {
            let mut gathered = Vec::with_capacity(values.len());
            for row in values.chunks_exact(samples) {
                gathered.extend(order.iter().map(|&sample| row[sample]));
            }
            gathered
        };
        Self {
            members: self.members.clone(),
            features: gather(&self.features),
            vectors: gather(&self.vectors),
            totals: self.totals.clone(),
            scales: self.scales.clone(),
            origins: self.origins.clone(),
        }
    }

    /// The same neurons over some of the samples. One that cannot be estimated there is left out;
    /// one that is constant there scores 0.
    pub fn subset(&self, subset: &Subset, parts: &mut [Part]) -> Self {
        let members = self.members.len();
        let starts = self.starts();
        let neurons: Vec<Partial<T>> =
            (0..members).map(|place| self.neuron(place, &starts, subset)).collect();
        let mut tile = Self {
            members: self.members.clone(),
            features: Vec::new(),
            vectors: Vec::new(),
            totals: Vec::with_capacity(members),
            scales: Vec::with_capacity(members),
            origins: self.origins.clone(),
        };
        let features: Vec<&[T]> = neurons.iter().map(|neuron| &neuron.features[..]).collect();
        tile.interleave(&features, subset.kept.len());
        for (place, neuron) in neurons.into_iter().enumerate() {
            tile.vectors.extend(neuron.vector);
            tile.totals.push(neuron.total);
            tile.scales.push(neuron.scale);
            if neuron.scale.is_nan() {
                parts[self.members[place]] = Part::LeftOut;
            }
        }
        tile
    }

    fn neuron(&self, place: usize, starts: &[usize], subset: &Subset) -> Partial<T> {
        let (origin, kept) = (&self.origins[place], subset.kept);
        let samples = self.features.len() / self.origins.iter().map(|one| one.rank).sum::<usize>();
        let mut features = Vec::with_capacity(origin.rank * kept.len());
        let mut sums = Vec::with_capacity(origin.rank);
        for start in &starts[..origin.rank] {
            let row = &self.features[(start + place) * samples..][..samples];
            let start = features.len();
            features.extend(kept.iter().map(|&sample| row[sample]));
            let feature = &mut features[start..];
            let total = sum_of(feature);
            let mean = T::of(total / kept.len() as f64);
            if feature.iter().all(|&value| value == feature[0]) {
                feature.fill(T::default());
            } else {
                feature.iter_mut().for_each(|value| *value = *value - mean);
            }
            sums.push(total + subset.share * origin.sums[sums.len()]);
        }
        Partial::new(features, &sums, origin.norm, subset)
    }
}

/// A neuron over some of the samples.
struct Partial<T> {
    features: Vec<T>,
    vector: Vec<T>,
    total: f64,
    /// NaN where the neuron cannot be estimated.
    scale: f64,
}

impl<T: Real> Partial<T> {
    fn new(features: Vec<T>, sums: &[f64], norm: f64, subset: &Subset) -> Self {
        let (kept, formula) = (subset.kept.len(), &subset.formula);
        let vector = match formula.estimator {
            Estimator::Biased | Estimator::Linear => Vec::new(),
            Estimator::Unbiased => diagonal(&features, kept),
            Estimator::Reference => combination(&features, sums, kept),
        };
        let mut gram = vec![T::default(); sums.len() * sums.len()];
        add_product(&features, &features, kept, &mut gram);
        let squared_norm = square_sum(&gram);
        let total = sum_of(&vector);
        let own = formula.own(squared_norm, square_sum(&vector), total);
        let scale = match formula.normalize {
            _ if squared_norm <= 0.0 => 0.0,
            Normalize::Cka if own <= positive::<T>() * squared_norm => f64::NAN,
            _ => formula.scale(own, norm),
        };
        Self { features, vector, total, scale }
    }
}
