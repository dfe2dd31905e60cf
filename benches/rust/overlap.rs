//! All pairs of 200 sets among 2.3 million neurons, by every kernel and instruction set, on one
//! thread.
//!
//! The sets are those of `benches/python/test_bench_overlap.py`: 1 % of the neurons, 70 % of each
//! from a pool that all share, which holds 2 % of the neurons.

use std::{hint::black_box, sync::atomic::AtomicBool};

use bridgex_core::{
    bitset::{WORD, members},
    overlap::{Kernel, Options, overlap_counts},
    simd::Path,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LAYERS: usize = 80;
const WIDTH: usize = 28_672;
const NEURONS: usize = LAYERS * WIDTH;
const WORDS: usize = NEURONS / WORD;
const COUNT: usize = 200;

/// Marsaglia's xorshift: the same sets on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % limit
    }

    /// Add so many members to a set that are not in it yet.
    fn add(
        &mut self,
        set: &mut [u64],
        mut missing: usize,
        from: impl Fn(usize) -> usize,
        of: usize,
    ) {
        while missing > 0 {
            let neuron = from(self.below(of));
            let (word, bit) = (&mut set[neuron / WORD], 1 << (neuron % WORD));
            missing -= usize::from(*word & bit == 0);
            *word |= bit;
        }
    }
}

fn sets() -> Vec<u64> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (size, mut pool) = (NEURONS / 100, vec![0; WORDS]);
    random.add(&mut pool, 2 * size, |neuron| neuron, NEURONS);
    let pool: Vec<usize> = members(&pool).collect();
    let mut sets = vec![0; COUNT * WORDS];
    for set in sets.chunks_mut(WORDS) {
        random.add(set, size * 7 / 10, |index| pool[index], pool.len());
        random.add(set, size - size * 7 / 10, |neuron| neuron, NEURONS);
    }
    sets
}

fn overlaps(criterion: &mut Criterion) {
    let sets = sets();
    let offsets: Vec<usize> = (0..=LAYERS).map(|layer| layer * WIDTH).collect();
    let (mut expected, stop) = (Vec::new(), AtomicBool::new(false));
    let mut group = criterion.benchmark_group("overlap 200 x 2.3M");
    group.sample_size(20).throughput(Throughput::Elements((COUNT * (COUNT + 1) / 2) as u64));
    for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
        for kernel in [Kernel::Dense, Kernel::Hybrid, Kernel::Auto] {
            let options = Options { threads: Some(1), kernel, path: Some(path) };
            let count = |offsets: &[usize]| {
                overlap_counts(black_box(&sets), COUNT, offsets, &options, &stop)
                    .expect("valid input")
            };
            let found = count(&[0, NEURONS]);
            if expected.is_empty() {
                expected.clone_from(&found);
            }
            assert_eq!(found, expected, "{options:?}");
            let name = format!("{}/{kernel:?}", path.name());
            group.bench_function(&name, |bench| bench.iter(|| count(&[0, NEURONS])));
            if kernel == Kernel::Auto {
                let name = format!("{name}/80 layers");
                group.bench_function(&name, |bench| bench.iter(|| count(&offsets)));
            }
        }
    }
}

criterion_group!(benches, overlaps);
criterion_main!(benches);
