//! Every kernel on every instruction set, against plain sets.

use std::{collections::BTreeSet, sync::atomic::AtomicBool};

use bridgex_core::{
    Error,
    bitset::pack,
    overlap::{Kernel, Options, overlap_counts},
    simd::Path,
};
use proptest::prelude::*;

type Sets = Vec<BTreeSet<usize>>;

static RUNNING: AtomicBool = AtomicBool::new(false);

/// Every way to the same counts; what the processor lacks is named.
fn ways() -> Vec<Options> {
    let mut ways = Vec::new();
    for path in Path::ALL {
        if !path.is_available() {
            eprintln!("skipped: this processor lacks {}", path.name());
            continue;
        }
        for kernel in [Kernel::Dense, Kernel::Hybrid, Kernel::Auto] {
            for threads in [1, 3] {
                ways.push(Options { threads: Some(threads), kernel, path: Some(path) });
            }
        }
    }
    ways
}

fn packed(sets: &Sets, neurons: usize) -> Vec<u64> {
    sets.iter().flat_map(|set| pack(&set.iter().copied().collect::<Vec<_>>(), neurons)).collect()
}

fn plain_counts(sets: &Sets, offsets: &[usize]) -> Vec<u64> {
    let mut counts = Vec::new();
    for layer in offsets.windows(2) {
        for one in sets {
            for other in sets {
                let inside = |neuron: &&usize| (layer[0]..layer[1]).contains(*neuron);
                counts.push(one.intersection(other).filter(inside).count() as u64);
            }
        }
    }
    counts
}

fn assert_counts(sets: &Sets, neurons: usize, offsets: &[usize]) {
    let (words, expected) = (packed(sets, neurons), plain_counts(sets, offsets));
    for options in ways() {
        let found = overlap_counts(&words, sets.len(), offsets, &options, &RUNNING);
        assert_eq!(found, Ok(expected.clone()), "{options:?}");
    }
}

/// Sets whose neurons are few and apart, or many and common.
fn sets(count: usize, neurons: usize) -> impl Strategy<Value = Sets> {
    let most = neurons.min(60);
    let members = move || prop::collection::vec(0..neurons.max(1), 0..=most);
    (members(), prop::collection::vec((members(), 0..=most), count)).prop_map(move |(pool, own)| {
        own.into_iter()
            .map(|(own, shared)| {
                let shared = pool.iter().copied().take(shared);
                own.into_iter().chain(shared).filter(|&neuron| neuron < neurons).collect()
            })
            .collect()
    })
}

fn case() -> impl Strategy<Value = (Sets, usize, Vec<usize>)> {
    (prop::sample::select(vec![0, 1, 2, 3, 5, 9]), 0..1500_usize).prop_flat_map(
        |(count, neurons)| {
            let cuts = prop::collection::vec(0..=neurons, 0..6).prop_map(move |mut cuts| {
                cuts.sort_unstable();
                cuts
            });
            (sets(count, neurons), Just(neurons), cuts)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn counts_are_those_of_plain_sets((sets, neurons, offsets) in case()) {
        assert_counts(&sets, neurons, &[0, neurons]);
        assert_counts(&sets, neurons, &offsets);
    }
}

/// Rare neurons, common ones, and a stretch that all sets have.
fn mixed_sets(count: usize, neurons: usize) -> Sets {
    let mut state = 1_usize;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 33) % below
    };
    let mut set = |_| {
        let rare: Vec<usize> = (0..20).map(|_| draw(neurons)).collect();
        let common: Vec<usize> = (0..10).map(|_| draw(64) * 13).collect();
        rare.into_iter().chain(common).chain(900..930).collect()
    };
    (0..count).map(&mut set).collect()
}

#[test]
fn two_hundred_sets() {
    let neurons = 64 * 20 + 17;
    assert_counts(&mixed_sets(200, neurons), neurons, &[0, neurons]);
}

#[test]
fn layers_of_several_blocks_that_begin_anywhere() {
    let neurons = 64 * 1300 + 17;
    let offsets = [0, 1, 40_050, 40_050, 70_000, neurons];
    assert_counts(&mixed_sets(22, neurons), neurons, &offsets);
}

/// The packed neurons of one thread are counted in between when they fill their buffer.
#[test]
fn sets_that_hold_everything() {
    let words = 2300;
    let full = vec![u64::MAX; 5 * words];
    for options in ways() {
        let found = overlap_counts(&full, 5, &[0, 64 * words], &options, &RUNNING).unwrap();
        assert_eq!(found, vec![64 * words as u64; 25], "{options:?}");
    }
}

#[test]
fn bad_input_is_named() {
    let options = Options::default();
    assert_eq!(
        overlap_counts(&[0], 1, &[0, 65], &options, &RUNNING),
        Err(Error::Offsets { previous: 0, next: 65, bits: 64 })
    );
    assert_eq!(
        overlap_counts(&[0], 1, &[3, 2], &options, &RUNNING),
        Err(Error::Offsets { previous: 3, next: 2, bits: 64 })
    );
    assert_eq!(
        overlap_counts(&[0, 0, 0], 2, &[0, 64], &options, &RUNNING),
        Err(Error::Length { what: "sets", expected: 2, found: 3 })
    );
    assert_eq!(overlap_counts(&[], 0, &[0, 0], &options, &RUNNING), Ok(vec![]));
    assert_eq!(overlap_counts(&[7], 1, &[], &options, &RUNNING), Ok(vec![]));
    for path in Path::ALL.into_iter().filter(|path| !path.is_available()) {
        let options = Options { path: Some(path), ..options };
        let best = Path::best().name();
        let expected = Error::Processor { path: path.name(), best };
        assert_eq!(overlap_counts(&[0], 1, &[0, 64], &options, &RUNNING), Err(expected));
    }
}

#[test]
fn once_stopped_there_is_no_result() {
    let sets = vec![u64::MAX; 9 * 2000];
    for options in ways() {
        for offsets in [&[0, 64 * 2000][..], &[3, 50], &[7, 7]] {
            let found = overlap_counts(&sets, 9, offsets, &options, &AtomicBool::new(true));
            assert_eq!(found, Err(Error::Interrupted), "{options:?}");
        }
    }
}
