//! Scores of some neurons against some others.

use std::{cmp::Reverse, sync::atomic::AtomicBool};

use super::{
    estimate::Formula,
    kernel_form::KernelForm,
    neuron::{Neuron, Part},
};
use crate::{
    Result,
    parallel::check,
    product::add_product,
    real::Real,
    simd::{dot, vectorised},
};

/// Rows of a factor of a product: about as many as keep the product in the second level cache.
const PRODUCT_ROWS: usize = 256;

/// Neurons in a tile of kernels.
const KERNELS: usize = 32;

/// Entries of a kernel that are multiplied at a time, at least.
const KERNEL_ENTRIES: usize = 1024;

/// Some neurons through their features, laid out for the product.
pub(super) struct FeatureTile<T> {
    /// Which neurons, by their position in the set, those with most features first.
    pub members: Vec<usize>,
    /// Feature 0 of every neuron, then feature 1 of those that have it, and so on.
    pub features: Vec<T>,
    pub vectors: Vec<T>,
    pub totals: Vec<f64>,
    pub scales: Vec<f64>,
    pub origins: Vec<Origin>,
}

/// What a neuron has besides its features.
#[derive(Clone)]
pub(super) struct Origin {
    pub rank: usize,
    /// ‖HKH‖ over all samples.
    pub norm: f64,
    /// Sums of the features before they were centred.
    pub sums: Vec<f64>,
}

impl<T: Real> FeatureTile<T> {
    /// Take the features of a set out of its neurons, those with about as many together.
    pub fn cut(neurons: &mut [Neuron<T>], samples: usize, stop: &AtomicBool) -> Result<Vec<Self>> {
        let mut order: Vec<usize> =
            (0..neurons.len()).filter(|&index| neurons[index].part == Part::Features).collect();
        order.sort_by_key(|&index| Reverse(neurons[index].rank));
        let mut tiles = Vec::new();
        let mut rest = &order[..];
        while !rest.is_empty() {
            let (members, later) = rest.split_at(fitting(rest, |index| neurons[index].rank));
            check(stop)?;
            tiles.push(Self::pack(neurons, members, samples));
            rest = later;
        }
        Ok(tiles)
    }

    fn pack(neurons: &mut [Neuron<T>], members: &[usize], samples: usize) -> Self {
        let rows: usize = members.iter().map(|&index| neurons[index].rank).sum();
        let mut tile = Self {
            members: members.to_vec(),
            features: Vec::with_capacity(rows * samples),
            vectors: Vec::new(),
            totals: members.iter().map(|&index| neurons[index].total).collect(),
            scales: members.iter().map(|&index| neurons[index].scale).collect(),
            origins: Vec::new(),
        };
        let features: Vec<&[T]> =
            members.iter().map(|&index| &neurons[index].features[..]).collect();
        tile.interleave(&features, samples);
        for &index in members {
            neurons[index].features = Vec::new();
            tile.vectors.append(&mut neurons[index].vector);
            tile.origins.push(Origin {
                rank: neurons[index].rank,
                norm: neurons[index].norm,
                sums: std::mem::take(&mut neurons[index].sums),
            });
        }
        tile
    }

    /// Lay the features of every neuron out for the product.
    pub fn interleave(&mut self, features: &[&[T]], samples: usize) {
        let rank = features.iter().map(|all| all.len()).max().unwrap_or(0) / samples;
        for k in 0..rank {
            let present = features.iter().filter_map(|all| all.get(k * samples..(k + 1) * samples));
            present.for_each(|feature| self.features.extend_from_slice(feature));
        }
    }

    /// How many neurons have feature 0, feature 1, and so on.
    pub fn counts(&self) -> Vec<usize> {
        let most = self.origins.first().map_or(0, |origin| origin.rank);
        (0..most).map(|k| self.origins.partition_point(|origin| origin.rank > k)).collect()
    }

    /// Which row of the features is the first neuron's feature 0, feature 1, and so on.
    pub fn starts(&self) -> Vec<usize> {
        let counts = self.counts().into_iter();
        counts.scan(0, |next, count| Some(std::mem::replace(next, *next + count))).collect()
    }

    /// Scores of this tile's neurons against another's, row after row.
    pub fn scores(&self, other: &Self, samples: usize, formula: &Formula) -> Vec<f64> {
        let (rows, columns) = (self.members.len(), other.members.len());
        let width = other.features.len() / samples;
        let mut products = vec![T::default(); self.features.len() / samples * width];
        add_product(&self.features, &other.features, samples, &mut products);
        let mut scores = vec![0.0; rows * columns];
        let (counts, other_counts) = (self.counts(), other.counts());
        vectorised(
            #[inline(always)]
            || {
                let mut lines = products.chunks_exact(width);
                for count in counts {
                    for (sums, line) in scores.chunks_exact_mut(columns).take(count).zip(&mut lines)
                    {
                        add_squares(line, &other_counts, sums);
                    }
                }
            },
        );
        let mut vectors = vec![T::default(); if formula.has_vector() { rows * columns } else { 0 }];
        add_product(&self.vectors, &other.vectors, samples, &mut vectors);
        for (index, score) in scores.iter_mut().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let vector = vectors.get(index).map_or(0.0, |&value| value.wide());
            *score += formula.weight * vector
                + formula.total_weight * self.totals[row] * other.totals[column];
            *score *= self.scales[row] * other.scales[column];
        }
        scores
    }
}

/// How many of the next neurons have about as many features together as a product takes.
fn fitting(neurons: &[usize], rank: impl Fn(usize) -> usize) -> usize {
    let mut rows = 0;
    let fits = neurons.iter().position(|&index| {
        rows += rank(index);
        rows > PRODUCT_ROWS
    });
    fits.unwrap_or(neurons.len()).clamp(4.min(neurons.len()), neurons.len())
}

/// Add the squares of one feature's products with the features of other neurons, of which so many
/// have each.
#[inline(always)]
fn add_squares<T: Real>(mut products: &[T], counts: &[usize], sums: &mut [f64]) {
    for &count in counts {
        let (feature, rest) = products.split_at(count);
        for (sum, &value) in sums.iter_mut().zip(feature) {
            *sum += (value * value).wide();
        }
        products = rest;
    }
}

/// Some neurons through their kernels.
pub(super) struct KernelTile<'a> {
    /// Which neurons, by their position in the set.
    pub members: Vec<usize>,
    forms: Vec<&'a KernelForm>,
}

impl<'a> KernelTile<'a> {
    /// Cut the neurons of a set that are chosen into tiles.
    pub fn cut<T>(neurons: &'a [Neuron<T>], chosen: impl Fn(Part) -> bool) -> Vec<Self> {
        let forms: Vec<(usize, &KernelForm)> = neurons
            .iter()
            .enumerate()
            .filter(|(_, neuron)| chosen(neuron.part))
            .filter_map(|(index, neuron)| Some((index, neuron.kernel.as_ref()?)))
            .collect();
        forms
            .chunks(KERNELS)
            .map(|part| {
                let (members, forms) = part.iter().copied().unzip();
                Self { members, forms }
            })
            .collect()
    }

    /// Scores of this tile's neurons against another's, row after row.
    pub fn scores(
        &self,
        other: &Self,
        samples: usize,
        formula: &Formula,
        stop: &AtomicBool,
    ) -> Result<Vec<f64>> {
        let columns = other.members.len();
        let mut scores = vec![0.0; self.members.len() * columns];
        let mut start = 0;
        while start < samples {
            check(stop)?;
            let end = slab_end(start, samples);
            let (one, another) = (self.slab(start..end), other.slab(start..end));
            add_product(&one, &another, one.len() / self.members.len(), &mut scores);
            start = end;
        }
        for (index, score) in scores.iter_mut().enumerate() {
            let (one, another) = (self.forms[index / columns], other.forms[index % columns]);
            *score = (*score / (one.norm * another.norm)
                + formula.weight * dot(&one.vector, &another.vector)
                + formula.total_weight * one.total * another.total)
                * one.scale
                * another.scale;
        }
        Ok(scores)
    }

    /// The upper triangle's entries in some rows of every kernel, those off the diagonal times √2,
    /// so that their products count for both halves.
    fn slab(&self, rows: std::ops::Range<usize>) -> Vec<f64> {
        let samples = self.forms[0].u.len();
        let entries: usize = rows.clone().map(|row| samples - row).sum();
        let mut slab = vec![0.0; entries * self.forms.len()];
        vectorised(
            #[inline(always)]
            || {
                for (form, out) in self.forms.iter().zip(slab.chunks_exact_mut(entries)) {
                    let mut rest = out;
                    for row in rows.clone() {
                        let (line, later) = rest.split_at_mut(samples - row);
                        form.centring.row(&form.u, row, line);
                        line[1..].iter_mut().for_each(|entry| *entry *= std::f64::consts::SQRT_2);
                        rest = later;
                    }
                }
            },
        );
        slab
    }
}

/// The first row that is not needed to have enough entries of the upper triangle from `start` on.
fn slab_end(start: usize, samples: usize) -> usize {
    let mut entries = 0;
    let mut end = start;
    while end < samples && entries < KERNEL_ENTRIES {
        entries += samples - end;
        end += 1;
    }
    end
}
