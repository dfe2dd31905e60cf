//! The fuzz targets hold for random bytes, so that they cannot rot between two fuzzing runs.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

/// The same bytes in every run: new ones are what `make fuzz` is for.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        max_shrink_iters: 500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0),
        ..ProptestConfig::default()
    }
}

/// As many bytes as the largest input uses, or fewer.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..2_000), vec(0_u8..8, 0..500)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn dependence(data in bytes()) {
        targets::dependence(&data);
    }

    #[test]
    fn spectrum(data in bytes()) {
        targets::spectrum(&data);
    }

    #[test]
    fn overlap_counts(data in bytes()) {
        targets::overlap_counts(&data);
    }

    #[test]
    fn top_k(data in bytes()) {
        targets::top_k(&data);
    }
}
