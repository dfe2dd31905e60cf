//! The one matrix product of the crate: rows against rows over the samples.
//!
//! This file has unsafe code, because the interface of `gemm` takes raw pointers.

use crate::real::Real;

/// The inner dimension is summed in blocks of at most this many terms, whose sums are then added:
/// a shorter chain of additions loses fewer digits.
pub(crate) const BLOCK: usize = 320;

/// Add `one · otherᵀ` to `sums`, which is `rows of one × rows of other`, row after row.
///
/// # Panics
/// When the lengths do not agree.
pub(crate) fn add_product<T: Real>(one: &[T], other: &[T], inner: usize, sums: &mut [T]) {
    if one.is_empty() || other.is_empty() {
        return;
    }
    let (m, n) = (one.len() / inner, other.len() / inner);
    assert!(m * inner == one.len() && n * inner == other.len() && m * n == sums.len());
    let blocks = inner.div_ceil(BLOCK);
    for block in 0..blocks {
        let (start, end) = (block * inner / blocks, (block + 1) * inner / blocks);
        add_block(one, other, [m, n, inner], start..end, sums);
    }
}

#[allow(unsafe_code)] // the interface of `gemm` takes raw pointers
fn add_block<T: Real>(
    one: &[T],
    other: &[T],
    [m, n, inner]: [usize; 3],
    span: std::ops::Range<usize>,
    sums: &mut [T],
) {
    let stride = |length: usize| isize::try_from(length).expect("a slice's length fits isize");
    let (left, right) = (&one[span.start..], &other[span.start..]);
    // SAFETY: the caller checked that `one` holds m · inner, `other` n · inner and `sums` m · n
    // elements. Element (i, k) of the left factor is read at i · inner + k from `span.start`, with
    // k < span.len(), which ends at or before i · inner + span.end ≤ m · inner; the right factor
    // likewise. Element (i, j) of the result lies at i · n + j < m · n, and `sums` is borrowed
    // mutably, so nothing else aliases it.
    unsafe {
        gemm::gemm(
            m,
            n,
            span.len(),
            sums.as_mut_ptr(),
            1,
            stride(n),
            true,
            left.as_ptr(),
            1,
            stride(inner),
            right.as_ptr(),
            stride(inner),
            1,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_sums_over_every_block() {
        for (m, n, inner) in [(1, 1, 1), (3, 5, 319), (2, 7, 321), (17, 9, 1000), (0, 3, 4)] {
            let one: Vec<f64> = (0..m * inner).map(|i| (i as f64 * 0.37).sin()).collect();
            let other: Vec<f64> = (0..n * inner).map(|i| (i as f64 * 0.11).cos()).collect();
            let mut sums = vec![1.0; m * n];
            add_product(&one, &other, inner, &mut sums);
            for (index, &sum) in sums.iter().enumerate() {
                let (i, j) = (index / n, index % n);
                let row = &one[i * inner..(i + 1) * inner];
                let column = &other[j * inner..(j + 1) * inner];
                let expected: f64 = row.iter().zip(column).map(|(a, b)| a * b).sum();
                assert!((sum - 1.0 - expected).abs() < 1e-10);
            }
        }
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn lengths_that_do_not_agree_are_refused() {
        add_product(&[1.0, 2.0], &[1.0, 2.0], 2, &mut [0.0, 0.0]);
    }
}
