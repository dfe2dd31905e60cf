//! Sets and their overlaps, against their definitions bit by bit.

use std::sync::atomic::AtomicBool;

use bridgex_core::{
    bitset,
    overlap::{self, Kernel, Options},
    topk,
};

use super::bytes::Bytes;

static RUNNING: AtomicBool = AtomicBool::new(false);

/// Exactly k bits, and no number outside that is larger than one inside.
///
/// # Panics
/// When something that has to hold does not.
pub fn top_k(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (len, k) = (bytes.below(200), bytes.below(210));
    let ties = [0, len, bytes.below(200)][bytes.below(3)];
    let (kind, tie_kind) = (bytes.byte(), bytes.byte());
    let values: Vec<f64> = (0..len).map(|_| bytes.number(kind)).collect();
    let second: Vec<f64> = (0..ties).map(|_| bytes.number(tie_kind)).collect();
    let tie_break = (ties > 0).then_some(second.as_slice());
    let nan = values.iter().chain(&second).any(|value| value.is_nan());
    let Ok(set) = topk::top_k(&values, k, tie_break, &RUNNING) else {
        assert!(k > len || nan || (ties > 0 && ties != len));
        return;
    };
    assert!(k <= len && !nan && (ties == 0 || ties == len));
    assert_eq!(set.len(), bitset::word_count(len));
    let members: Vec<usize> = bitset::members(&set).collect();
    assert!(members.len() == k && members.iter().all(|&member| member < len));
    let key = |index: usize| (values[index], second.get(index).map_or(0.0, |&value| value));
    for index in (0..len).filter(|index| !members.contains(index)) {
        for &member in &members {
            assert!(key(member) > key(index) || (key(member) == key(index) && member < index));
        }
    }
}

/// The number of bits that two sets share in a layer.
///
/// # Panics
/// When something that has to hold does not.
pub fn overlap_counts(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (count, words, more) = (bytes.below(6), bytes.below(5), bytes.below(8));
    let offsets: Vec<usize> = match bytes.below(8) {
        0 => (0..bytes.below(5)).map(|_| bytes.below(400)).collect(),
        1 => vec![usize::MAX - bytes.below(3), usize::MAX],
        layers => {
            let mut sorted: Vec<usize> = (0..=layers)
                .map(|_| (bytes.below(256) * 256 + bytes.below(256)) % (64 * words + 1))
                .collect();
            sorted.sort_unstable();
            sorted
        }
    };
    let total = if more == 0 { bytes.below(20) } else { count * words };
    let sets: Vec<u64> = (0..total).map(|_| bytes.word()).collect();
    let kernel = [Kernel::Auto, Kernel::Dense, Kernel::Hybrid][bytes.below(3)];
    let options = Options { threads: Some(1 + more % 2), kernel, ..Options::default() };
    let Ok(counts) = overlap::overlap_counts(&sets, count, &offsets, &options, &RUNNING) else {
        let words = total.checked_div(count).unwrap_or(0);
        let rising = offsets.is_sorted() && offsets.last().is_none_or(|&end| end <= 64 * words);
        assert!(words * count != total || !rising, "{count} {total} {offsets:?}");
        return;
    };
    let mut expected = Vec::new();
    let words = total.checked_div(count).unwrap_or(0);
    let has = |set: usize, bit: usize| sets[set * words + bit / 64] >> (bit % 64) & 1;
    for layer in offsets.windows(2) {
        for (one, other) in (0..count * count).map(|pair| (pair / count, pair % count)) {
            expected.push((layer[0]..layer[1]).map(|bit| has(one, bit) & has(other, bit)).sum());
        }
    }
    assert_eq!(counts, expected);
}
