//! Sizes of the pairwise intersections of many sets, overall or layer by layer.

use rayon::prelude::*;

use crate::{Error, Result, bitset::Span, parallel};

/// Intersection sizes of all pairs of sets in every layer: `layer × set × set`, row after row.
///
/// `sets` holds the words of one set after those of another. Layer `l` is the bits from
/// `offsets[l]` to `offsets[l + 1]` and need not begin at a word.
///
/// # Errors
/// [`Error::Length`] when the words are not a whole number of sets, [`Error::Offsets`] when the
/// offsets fall or leave the sets, and the errors of [`parallel::run`].
///
/// # Example
/// ```
/// let counts = bridgex_core::overlap::overlap_counts(&[0b0111, 0b1110], 2, &[0, 2, 4], None)?;
/// assert_eq!(counts, [2, 1, 1, 1, 1, 1, 1, 2]);
/// # Ok::<(), bridgex_core::Error>(())
/// ```
pub fn overlap_counts(
    sets: &[u64],
    count: usize,
    offsets: &[usize],
    threads: Option<usize>,
) -> Result<Vec<u64>> {
    let words = sets.len().checked_div(count).unwrap_or(0);
    if words * count != sets.len() {
        return Err(Error::Length { what: "sets", expected: words * count, found: sets.len() });
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let spans = spans(offsets, words * crate::bitset::WORD)?;
    let set = |index: usize| &sets[index * words..(index + 1) * words];
    let mut counts = vec![0; spans.len() * count * count];
    parallel::run(threads, || {
        counts.par_chunks_mut(count).enumerate().for_each(|(index, row)| {
            let (span, one) = (&spans[index / count], index % count);
            for (other, cell) in row.iter_mut().enumerate().skip(one) {
                *cell = span.intersection_count(set(one), set(other));
            }
        });
    })?;
    counts.chunks_mut(count * count).for_each(|table| mirror(table, count));
    Ok(counts)
}

fn spans(offsets: &[usize], bits: usize) -> Result<Vec<Span>> {
    offsets
        .windows(2)
        .map(|pair| {
            let (previous, next) = (pair[0], pair[1]);
            if previous > next || next > bits {
                return Err(Error::Offsets { previous, next, bits });
            }
            Ok(Span::new(previous..next))
        })
        .collect()
}

/// Copy the upper triangle of a square table into the lower one.
fn mirror(table: &mut [u64], count: usize) {
    for row in 0..count {
        for column in 0..row {
            table[row * count + column] = table[column * count + row];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bitset::{WORD, members};

    proptest! {
        #[test]
        fn counts_are_those_of_plain_sets(
            words in prop::collection::vec(any::<u64>(), 9),
            mut cuts in prop::collection::vec(0..=3 * WORD, 2..6),
        ) {
            cuts.sort_unstable();
            let counts = overlap_counts(&words, 3, &cuts, Some(2)).unwrap();
            let sets: Vec<Vec<usize>> = words.chunks(3).map(|set| members(set).collect()).collect();
            let mut expected = Vec::new();
            for layer in cuts.windows(2) {
                for one in &sets {
                    for other in &sets {
                        let shared = one.iter().filter(|bit| other.contains(bit));
                        let inside = shared.filter(|&&bit| layer[0] <= bit && bit < layer[1]);
                        expected.push(inside.count() as u64);
                    }
                }
            }
            prop_assert_eq!(counts, expected);
        }
    }

    #[test]
    fn bad_input_is_named() {
        assert_eq!(
            overlap_counts(&[0], 1, &[0, 65], None),
            Err(Error::Offsets { previous: 0, next: 65, bits: 64 })
        );
        assert_eq!(
            overlap_counts(&[0], 1, &[3, 2], None),
            Err(Error::Offsets { previous: 3, next: 2, bits: 64 })
        );
        assert_eq!(
            overlap_counts(&[0, 0, 0], 2, &[0, 64], None),
            Err(Error::Length { what: "sets", expected: 2, found: 3 })
        );
        assert_eq!(overlap_counts(&[], 0, &[0, 0], None), Ok(vec![]));
    }
}
