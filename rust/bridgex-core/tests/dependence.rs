//! Dependence against values derived before the code was written, and against itself.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use bridgex_core::{
    Error, Result, Rows,
    dependence::{
        Bandwidth, Dependence, Estimator, Layer, Normalize, Options, Precision, Reason, dependence,
        spectrum,
    },
    rows::Values,
};
use proptest::prelude::*;
use serde_json::Value;

static RUNNING: AtomicBool = AtomicBool::new(false);

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/dependence.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn inputs() -> [Vec<f64>; 2] {
    let row = |of: &dyn Fn(f64) -> f64| (0..16).map(|a| of(f64::from(a))).collect::<Vec<_>>();
    [
        [row(&|a| (a + 1.0).sin()), row(&|a| (2.0 * a).cos()), row(&|a| (7.0 * a) % 16.0)].concat(),
        [row(&|a| (a + 1.0).sin().powi(2)), row(&|a| (5.0 * a) % 11.0), row(&f64::ln_1p)].concat(),
    ]
}

fn rows(values: &[f64], samples: usize) -> Rows<'_> {
    Rows::new(Values::F64(values), values.len() / samples, samples).unwrap()
}

fn run(x: &[f64], y: &[f64], samples: usize, options: &Options) -> Result<Dependence> {
    dependence(rows(x, samples), rows(y, samples), options, true, Some(2), &RUNNING)
}

fn options_of(case: &Value, tolerance: f64) -> Options {
    Options {
        estimator: case["estimator"].as_str().unwrap().parse().unwrap(),
        normalize: case["normalize"].as_str().unwrap().parse().unwrap(),
        bandwidth: case["bandwidth"].as_str().unwrap().parse().unwrap(),
        tolerance,
        precision: Precision::F64,
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().flat_map(|one| one.as_f64().map_or_else(|| numbers(one), |n| vec![n])).collect()
}

#[test]
fn golden_values_are_reproduced() {
    let (golden, [x, y]) = (golden(), inputs());
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let factor = case["factor"].as_f64().unwrap();
        for tolerance in [0.0, 0.05] {
            let result = run(&x, &y, 16, &options_of(case, tolerance)).unwrap();
            let slack = (result.error_bound + 1e-10) * factor;
            if let Some(matrix) = case.get("matrix") {
                for (found, expected) in result.matrix.unwrap().iter().zip(numbers(matrix)) {
                    assert!((found * factor - expected).abs() <= slack, "{case}: {found}");
                }
            }
            if let Some(score) = case.get("layer_score").and_then(Value::as_f64) {
                assert!((result.layer_score * factor - score).abs() <= slack, "{case}");
            }
            let widths = &golden["widths"][case["bandwidth"].as_str().unwrap()];
            for (found, side) in [(&result.x_widths, "x"), (&result.y_widths, "y")] {
                for (found, expected) in found.iter().zip(numbers(&widths[side])) {
                    assert!((found - expected).abs() <= 1e-11);
                }
            }
        }
    }
}

fn wave(rows: usize, samples: usize, seed: f64) -> Vec<f64> {
    let value = |i: usize| ((i as f64 + seed) * 12.9898).sin() * 43_758.545_3;
    (0..rows * samples).map(|i| value(i).fract().powi(3)).collect()
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (x, y) = (wave(70, 150, 0.5), wave(90, 150, 0.9));
    let options = Options { bandwidth: Bandwidth::Layer, ..Options::default() };
    let result = |threads| {
        dependence(rows(&x, 150), rows(&y, 150), &options, true, Some(threads), &RUNNING).unwrap()
    };
    assert_eq!(result(1), result(3));
}

#[test]
fn a_spectrum_is_the_dependence_of_every_candidate() {
    let (pair, bridge) = (wave(5, 60, 0.1), wave(9, 60, 0.7));
    let members = [vec![0, 1, 2], vec![2, 5, 8, 7], vec![]];
    for bandwidth in [Bandwidth::Neuron, Bandwidth::Reference, Bandwidth::Fixed(2.0)] {
        let options = Options { bandwidth, tolerance: 1e-5, ..Options::default() };
        let layer = Layer { pair: rows(&pair, 60), bridge: rows(&bridge, 60), members: &members };
        let scores = spectrum(&[layer; 3], &options, Some(2), &RUNNING).unwrap();
        for layer in &scores {
            for (cell, members) in layer.cells.iter().zip(&members[..2]) {
                let rows: Vec<f64> =
                    members.iter().flat_map(|&m| bridge[m * 60..(m + 1) * 60].to_vec()).collect();
                let one = run(&pair, &rows, 60, &options).unwrap();
                assert_eq!(cell.reason, Reason::Estimable);
                assert!((cell.score - one.layer_score).abs() < 2.1e-5);
            }
            assert_eq!(layer.cells[2].reason, Reason::NoBridgeNeurons);
            assert!(layer.cells[2].score.is_nan());
        }
    }
}

#[test]
fn cells_that_cannot_be_estimated_say_why() {
    let (some, outlier) = (wave(2, 20, 0.3), [vec![0.0; 19], vec![1.0]].concat());
    let reason = |pair: &[f64], bridge: &[f64], bandwidth| {
        let members = [(0..bridge.len() / 20).collect()];
        let layer = Layer { pair: rows(pair, 20), bridge: rows(bridge, 20), members: &members };
        let options = Options { bandwidth, ..Options::default() };
        let cell = spectrum(&[layer], &options, Some(1), &RUNNING).unwrap()[0].cells[0];
        assert_eq!(cell.score.is_nan(), cell.reason != Reason::Estimable);
        cell.reason
    };
    assert_eq!(reason(&[], &some, Bandwidth::Neuron), Reason::NoPairNeurons);
    assert_eq!(reason(&some, &[], Bandwidth::Neuron), Reason::NoBridgeNeurons);
    assert_eq!(reason(&outlier, &some, Bandwidth::Neuron), Reason::PairLeftOut);
    assert_eq!(reason(&some, &outlier, Bandwidth::Neuron), Reason::BridgeLeftOut);
    assert_eq!(reason(&[1.0; 20], &[2.0; 20], Bandwidth::Layer), Reason::NoBandwidth);
    assert_eq!(reason(&some, &some, Bandwidth::Layer), Reason::Estimable);
}

#[test]
fn bad_input_is_named() {
    let options = Options::default();
    let good = wave(2, 8, 0.2);
    let mut bad = good.clone();
    bad[11] = f64::INFINITY;
    let infinite = f64::INFINITY;
    assert_eq!(
        run(&good, &bad, 8, &options),
        Err(Error::NotFinite { set: "y", layer: None, row: 1, sample: 3, value: infinite })
    );
    assert_eq!(
        run(&good[..3], &good[..3], 3, &options),
        Err(Error::TooFewSamples { estimator: "unbiased", needed: 4, samples: 3 })
    );
    assert_eq!(
        run(&good, &good, 8, &Options { tolerance: -1.0, ..options }),
        Err(Error::Tolerance { tolerance: -1.0 })
    );
    assert_eq!(
        run(&good, &good, 8, &Options { bandwidth: Bandwidth::Fixed(0.0), ..options }),
        Err(Error::Width { width: 0.0 })
    );
    assert_eq!(
        dependence(rows(&good, 8), rows(&good, 4), &options, false, None, &RUNNING),
        Err(Error::SampleMismatch { x: 8, y: 4 })
    );
    assert_eq!(run(&good, &[], 8, &options), Err(Error::EmptySet { set: "y" }));
    let constant = Options { bandwidth: Bandwidth::Layer, ..options };
    assert_eq!(run(&[1.0; 8], &[1.0; 8], 8, &constant), Err(Error::NoBandwidth));
    let members = [vec![2]];
    let layer = Layer { pair: rows(&good, 8), bridge: rows(&good, 8), members: &members };
    assert_eq!(
        spectrum(&[layer], &options, None, &RUNNING),
        Err(Error::Member { candidate: 0, member: 2, rows: 2 })
    );
}

#[test]
fn a_computation_ends_when_it_is_told_to() {
    let x = wave(3, 30, 0.4);
    let stop = AtomicBool::new(false);
    stop.store(true, Ordering::Relaxed);
    let result = dependence(rows(&x, 30), rows(&x, 30), &Options::default(), false, None, &stop);
    assert_eq!(result, Err(Error::Interrupted));
}

fn any_estimator() -> impl Strategy<Value = Estimator> {
    prop::sample::select(vec![Estimator::Unbiased, Estimator::Biased, Estimator::Reference])
}

fn any_bandwidth() -> impl Strategy<Value = Bandwidth> {
    let fixed = (0.2..5.0).prop_map(Bandwidth::Fixed);
    prop_oneof![Just(Bandwidth::Neuron), Just(Bandwidth::Layer), Just(Bandwidth::Reference), fixed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn features_stay_within_their_bound(
        estimator in any_estimator(),
        bandwidth in any_bandwidth(),
        cka in any::<bool>(),
        seed in 0.0..100.0,
        tolerance in prop::sample::select(vec![1e-1, 1e-2, 1e-3, 1e-5]),
    ) {
        let normalize = if cka { Normalize::Cka } else { Normalize::None };
        let precision = Precision::F64;
        let options = Options { estimator, normalize, bandwidth, tolerance, precision };
        let (x, y) = (wave(4, 80, seed), wave(5, 80, seed + 0.5));
        let fast = run(&x, &y, 80, &options).unwrap();
        let exact = run(&x, &y, 80, &Options { tolerance: 0.0, ..options }).unwrap();
        prop_assert!(!cka || fast.error_bound <= tolerance);
        prop_assert_eq!(exact.rank, 0);
        let pairs = fast.matrix.iter().flatten().zip(exact.matrix.iter().flatten());
        for (&found, &expected) in pairs {
            let slack = fast.error_bound + 1e-9 * expected.abs().max(1e-3);
            prop_assert!((found - expected).abs() <= slack, "{} {}", found, expected);
        }
    }
}
