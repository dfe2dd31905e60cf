//! Plain loops, compiled for the vector units that the processor turns out to have.
//!
//! Only additions and multiplications that the source spells out take place, in its order, so the
//! results are the same with every instruction set.

use pulp::Arch;

/// Lanes of a reduction: fixed, so that the order of additions is too.
const LANES: usize = 8;

/// Run a loop with the widest instruction set that was compiled and that the processor has.
#[inline(always)]
pub(crate) fn vectorised<R>(operation: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(operation)
}

/// Name of the instruction set in use.
#[must_use]
pub fn path() -> &'static str {
    match format!("{:?}", Arch::new()) {
        name if name.starts_with("V4") => "x86-64-v4",
        name if name.starts_with("V3") => "x86-64-v3",
        name if name.starts_with("Neon") => "neon",
        _ => "scalar",
    }
}

/// Sum of products over two slices of one length.
#[inline(always)]
pub(crate) fn dot(one: &[f64], other: &[f64]) -> f64 {
    reduce(one, other, |a, b| a * b)
}

/// Squared distance between two slices of one length.
#[inline(always)]
pub(crate) fn squared_distance(one: &[f64], other: &[f64]) -> f64 {
    reduce(one, other, |a, b| (a - b) * (a - b))
}

/// Sum of a slice.
#[inline(always)]
pub(crate) fn sum(values: &[f64]) -> f64 {
    reduce(values, values, |a, _| a)
}

#[inline(always)]
fn reduce(one: &[f64], other: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (one, one_rest) = one.as_chunks::<LANES>();
    let (other, other_rest) = other.as_chunks::<LANES>();
    for (a, b) in one.iter().zip(other) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f64 = one_rest.iter().zip(other_rest).map(|(&a, &b)| term(a, b)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// e to the power of a number that is not positive, to 1e-15 of its value; 0 below e^-708.
///
/// Free of branches, so that a loop over it vectorises.
#[inline(always)]
pub(crate) fn exp_not_positive(x: f64) -> f64 {
    let (scale, rest) = reduced_exp_m1(x);
    if x < LOWEST { 0.0 } else { (rest + 1.0) * scale }
}

/// The same minus 1, without losing the digits of numbers near 0.
#[inline(always)]
pub(crate) fn exp_m1_not_positive(x: f64) -> f64 {
    let (scale, rest) = reduced_exp_m1(x);
    if x < LOWEST { -1.0 } else { rest * scale + (scale - 1.0) }
}

/// Below this the exponential is not a normal number.
const LOWEST: f64 = -708.0;

/// 2^n and e^r - 1 with x = n ln 2 + r and |r| ≤ ln 2 / 2: Cody and Waite's reduction and a
/// polynomial of degree 13.
#[inline(always)]
fn reduced_exp_m1(x: f64) -> (f64, f64) {
    const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: adding it rounds to whole numbers
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const INVERSE_FACTORIALS: [f64; 13] = [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
    ];
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let rest = (x - power * LN2_HIGH) - power * LN2_LOW;
    let mut value = INVERSE_FACTORIALS[0];
    for coefficient in &INVERSE_FACTORIALS[1..] {
        value = value * rest + coefficient;
    }
    (f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52), value * rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_accurate_to_its_last_digits() {
        for step in 0..200_000 {
            let x = -f64::from(step) * 3.5e-3;
            let (expected, found) = (x.exp(), exp_not_positive(x));
            assert!((found - expected).abs() <= 1e-15 * expected, "{x}: {found} {expected}");
            for x in [x, x * 1e-9] {
                let (expected, found) = (x.exp_m1(), exp_m1_not_positive(x));
                assert!((found - expected).abs() <= -1e-15 * expected, "{x}: {found} {expected}");
            }
        }
    }

    #[test]
    fn the_exponential_of_far_numbers_is_zero() {
        for x in [-709.0, -1e10, f64::MIN, f64::NEG_INFINITY] {
            assert!(exp_not_positive(x) <= 0.0 && exp_m1_not_positive(x) <= -1.0);
        }
        assert!((exp_not_positive(0.0) - 1.0).abs() <= 0.0);
    }

    #[test]
    fn reductions_reach_every_element() {
        for length in 0..40_u32 {
            let values: Vec<f64> = (1..=length).map(f64::from).collect();
            let n = f64::from(length);
            assert!((sum(&values) - n * (n + 1.0) / 2.0).abs() <= 0.0);
            assert!((dot(&values, &values) - n * (n + 1.0) * (2.0 * n + 1.0) / 6.0).abs() <= 0.0);
        }
    }
}
