//! Dependence of two sets of neurons over 1,000 samples, on one thread.
//!
//! The sizes are those of `benches/python/test_bench_dependence.py`, and the tails are alike:
//! Student's t with five degrees of freedom.

use std::{hint::black_box, sync::atomic::AtomicBool};

use bridgex_core::{
    Rows,
    dependence::{Bandwidth, Options, dependence},
    rows::Values,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SAMPLES: usize = 1000;

/// Marsaglia's xorshift: the same rows on every machine.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Bailey's polar form of Student's t.
    fn student(&mut self, freedom: f64) -> f64 {
        let (u, v) = (self.uniform(), self.uniform());
        let radius = (freedom * (u.powf(-2.0 / freedom) - 1.0)).sqrt();
        radius * (std::f64::consts::TAU * v).cos()
    }
}

fn rows(random: &mut Random, neurons: usize) -> Vec<f64> {
    (0..neurons * SAMPLES).map(|_| random.student(5.0)).collect()
}

fn dependences(criterion: &mut Criterion) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut group = criterion.benchmark_group("dependence");
    for (name, bandwidth, tolerance) in
        [("layer", Bandwidth::Layer, 1e-4), ("neuron", Bandwidth::Neuron, 1e-3)]
    {
        let options = Options { bandwidth, tolerance, ..Options::default() };
        for neurons in [100, 500] {
            let (x, y) = (rows(&mut random, neurons), rows(&mut random, neurons));
            let view =
                |set| Rows::new(Values::F64(set), neurons, SAMPLES).expect("as many numbers");
            let stop = AtomicBool::new(false);
            group.sample_size(10).throughput(Throughput::Elements((neurons * neurons) as u64));
            group.bench_function(format!("{name}/{neurons} x {neurons}"), |bench| {
                bench.iter(|| {
                    let (x, y) = (view(black_box(&x)), view(black_box(&y)));
                    let found = dependence(x, y, &options, false, Some(1), &stop);
                    let found = found.expect("valid input");
                    assert!(found.error_bound <= tolerance);
                    found
                });
            });
        }
    }
}

criterion_group!(benches, dependences);
criterion_main!(benches);
