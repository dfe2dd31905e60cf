//! Single and double precision behind one trait, for loops that are written once.
//!
//! Multiplications are fused with additions where that is spelled out, and nowhere else, so that
//! the results do not depend on the instruction set.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A floating point number that features and products are made of.
pub trait Real:
    Copy
    + Default
    + Send
    + Sync
    + PartialOrd
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// One.
    const ONE: Self;
    /// Distance from 1 to the next number.
    const EPSILON: f64;
    /// Round a double.
    fn of(value: f64) -> Self;
    /// Widen to a double.
    fn wide(self) -> f64;
    /// `self · factor + term`, rounded once.
    #[must_use]
    fn fused(self, factor: Self, term: Self) -> Self;
    /// The larger of two numbers that are not NaN.
    #[must_use]
    fn larger(self, other: Self) -> Self;
    /// 2^n and e^r - 1, where the number is n ln 2 + r and not positive; the power is 0 where e to
    /// it is not a normal number.
    fn exponential(self) -> (Self, Self);
}

/// e to the power of a number that is not positive, without branches.
#[inline(always)]
pub(crate) fn exp<T: Real>(x: T) -> T {
    let (power, rest) = x.exponential();
    rest.fused(power, power)
}

/// The same minus 1, without losing the digits of numbers near 0.
#[inline(always)]
pub(crate) fn exp_m1<T: Real>(x: T) -> T {
    let (power, rest) = x.exponential();
    rest.fused(power, power - T::ONE)
}

/// Multiply a polynomial out, highest coefficient first.
#[inline(always)]
fn polynomial<T: Real>(x: T, coefficients: &[T]) -> T {
    coefficients[1..].iter().fold(coefficients[0], |value, &next| value.fused(x, next))
}

impl Real for f32 {
    const ONE: Self = 1.0;
    const EPSILON: f64 = Self::EPSILON as f64;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // rounding is what is asked for
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn fused(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    #[inline(always)]
    fn exponential(self) -> (Self, Self) {
        const LOWEST: f32 = -87.0;
        const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to whole numbers
        const LN2_HIGH: f32 = 0.693_145_75;
        const LN2_LOW: f32 = 1.428_606_8e-6;
        const TERMS: [f32; 7] =
            [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];
        let x = self.max(LOWEST);
        let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
        let power = shifted - ROUND;
        let rest = power.mul_add(-LN2_LOW, power.mul_add(-LN2_HIGH, x));
        let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
        (if self < LOWEST { 0.0 } else { scale }, polynomial(rest, &TERMS) * rest)
    }
}

impl Real for f64 {
    const ONE: Self = 1.0;
    const EPSILON: f64 = Self::EPSILON;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }

    #[inline(always)]
    fn fused(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    #[inline(always)]
    fn exponential(self) -> (Self, Self) {
        const LOWEST: f64 = -708.0;
        const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
        const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
        const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
        const TERMS: [f64; 13] = [
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
        let x = self.max(LOWEST);
        let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUND);
        let power = shifted - ROUND;
        let rest = power.mul_add(-LN2_LOW, power.mul_add(-LN2_HIGH, x));
        let scale = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
        (if self < LOWEST { 0.0 } else { scale }, polynomial(rest, &TERMS) * rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_accurate_to_their_last_digits() {
        for step in 0..200_000 {
            let x = -f64::from(step) * 3.5e-3;
            let (expected, found) = (x.exp(), exp(x));
            assert!((found - expected).abs() <= 1e-15 * expected, "{x}: {found} {expected}");
            for x in [x, x * 1e-9] {
                let (expected, found) = (x.exp_m1(), exp_m1(x));
                assert!((found - expected).abs() <= -1e-15 * expected, "{x}: {found} {expected}");
            }
        }
    }

    #[test]
    fn exponentials_in_single_precision_are_accurate_to_their_last_digits() {
        for step in 0..200_000_u32 {
            let x = f32::of(-f64::from(step) * 4.3e-4);
            let (expected, found) = (x.wide().exp(), exp(x).wide());
            assert!((found - expected).abs() <= 2e-7 * expected, "{x}: {found} {expected}");
            for x in [x, x * 1e-5] {
                let (expected, found) = (x.wide().exp_m1(), exp_m1(x).wide());
                assert!((found - expected).abs() <= -2e-7 * expected, "{x}: {found} {expected}");
            }
        }
    }

    #[test]
    fn exponentials_of_far_numbers_are_zero() {
        for x in [-709.0, -1e10, f64::MIN, f64::NEG_INFINITY] {
            assert!(exp(x).abs() <= 0.0 && (exp_m1(x) + 1.0).abs() <= 0.0, "{x}");
        }
        for x in [-87.5, -1e10, f32::MIN, f32::NEG_INFINITY] {
            assert!(exp(x).abs() <= 0.0 && (exp_m1(x) + 1.0).abs() <= 0.0, "{x}");
        }
        assert!((exp(0.0) - 1.0_f64).abs() <= 0.0);
    }
}
