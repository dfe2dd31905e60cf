//! Sums over samples and over columns.

use crate::{
    real::Real,
    simd::{fold_lanes, vectorised},
};

/// Lanes of a reduction: fixed, so that the order of additions is too; enough of them that no
/// addition waits for the one before.
const LANES: usize = 32;

/// The sum of columns of that many samples, each times its weight.
pub(crate) fn combination<T: Real>(columns: &[T], weights: &[f64], samples: usize) -> Vec<T> {
    let weights: Vec<T> = weights.iter().map(|&weight| T::of(weight)).collect();
    let mut result = vec![T::default(); samples];
    vectorised(
        #[inline(always)]
        || add_weighted(columns, &weights, &mut result),
    );
    result
}

/// The sum of the squares of columns of that many samples.
pub(crate) fn diagonal<T: Real>(columns: &[T], samples: usize) -> Vec<T> {
    let mut diagonal = vec![T::default(); samples];
    vectorised(
        #[inline(always)]
        || {
            for column in columns.chunks_exact(samples) {
                let entries = diagonal.iter_mut().zip(column);
                entries.for_each(|(sum, &value)| *sum = value.fused(value, *sum));
            }
        },
    );
    diagonal
}

/// Sum of the squares of values.
pub(crate) fn square_sum<T: Real>(values: &[T]) -> f64 {
    vectorised(
        #[inline(always)]
        || reduce(values, |sum, value| value.fused(value, sum)),
    )
}

/// Sum of values.
pub(crate) fn sum_of<T: Real>(values: &[T]) -> f64 {
    vectorised(
        #[inline(always)]
        || sum(values),
    )
}

/// Add every column times its weight.
#[inline(always)]
pub(crate) fn add_weighted<T: Real>(columns: &[T], weights: &[T], result: &mut [T]) {
    // So many sums stay in the registers of a processor with AVX2.
    match size_of::<T>() {
        4 => add_weighted_strips::<T, 64>(columns, weights, result),
        _ => add_weighted_strips::<T, 32>(columns, weights, result),
    }
}

#[inline(always)]
fn add_weighted_strips<T: Real, const STRIP: usize>(
    columns: &[T],
    weights: &[T],
    result: &mut [T],
) {
    let samples = result.len();
    let (strips, rest) = result.as_chunks_mut::<STRIP>();
    for (index, strip) in strips.iter_mut().enumerate() {
        let mut sums = *strip;
        for (column, &weight) in columns.chunks_exact(samples).zip(weights) {
            let part = &column[index * STRIP..][..STRIP];
            sums.iter_mut().zip(part).for_each(|(sum, value)| *sum = value.fused(weight, *sum));
        }
        *strip = sums;
    }
    let start = samples - rest.len();
    for (column, &weight) in columns.chunks_exact(samples).zip(weights) {
        let part = rest.iter_mut().zip(&column[start..]);
        part.for_each(|(sum, value)| *sum = value.fused(weight, *sum));
    }
}

#[inline(always)]
pub(crate) fn sum<T: Real>(values: &[T]) -> f64 {
    reduce(values, |sum, value| sum + value)
}

/// Sum of the squared distances from the mean.
#[inline(always)]
pub(crate) fn variation<T: Real>(values: &[T]) -> f64 {
    let total = sum(values);
    reduce(values, |sum, value| value.fused(value, sum)) - total * total / values.len() as f64
}

#[inline(always)]
fn reduce<T: Real>(values: &[T], add: impl Fn(T, T) -> T) -> f64 {
    let mut sums = [T::default(); LANES];
    let (lanes, rest) = values.as_chunks::<LANES>();
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(sum, &value)| *sum = add(*sum, value));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, &value)| *sum = add(*sum, value));
    fold_lanes(sums.map(T::wide))
}

/// Position of the first largest value, of values that are not negative.
#[inline(always)]
pub(crate) fn largest<T: Real>(values: &[T]) -> usize {
    let mut best = [T::default(); LANES];
    let (lanes, rest) = values.as_chunks::<LANES>();
    for lane in lanes {
        best.iter_mut().zip(lane).for_each(|(best, &value)| *best = best.larger(value));
    }
    let most = best.into_iter().chain(rest.iter().copied()).fold(T::default(), T::larger);
    values.iter().position(|&value| value >= most).unwrap_or(0)
}
