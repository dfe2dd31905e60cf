//! Plain loops, compiled for the vector units that the processor turns out to have.
//!
//! Only additions and multiplications that the source spells out take place, in its order, so the
//! results are the same with every instruction set. The one exception is [`gemm`], which looks at
//! the processor itself and has no way to be told otherwise: its products are the same for every
//! [`Path`], but may differ in their last digits from one processor to another.

use std::sync::LazyLock;

use pulp::Arch;

use crate::{Error, Result};

/// The environment variable that forces a [`Path`].
pub const VARIABLE: &str = "BRIDGEX_SIMD";

/// Lanes of a reduction: fixed, so that the order of additions is too.
const LANES: usize = 8;

/// What the environment asks for, read when it is first needed.
static CHOSEN: LazyLock<Result<Path>> = LazyLock::new(|| match std::env::var_os(VARIABLE) {
    Some(name) => Path::named(&name.to_string_lossy()),
    None => Ok(Path::best()),
});

/// An instruction set that loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// What every processor of the architecture has.
    Portable,
    /// x86-64 with SSE4.2 and POPCNT (x86-64-v2).
    Popcnt,
    /// x86-64 with AVX2, BMI2 and FMA (x86-64-v3).
    Avx2,
    /// x86-64 with AVX-512 (x86-64-v4) and VPOPCNTDQ: Ice Lake, Zen 4 and later.
    Avx512,
    /// Arm's vectors of 128 bits.
    Neon,
}

impl Path {
    /// Every path, the best of an architecture last.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Popcnt, Self::Avx2, Self::Avx512, Self::Neon];

    /// Name in [`VARIABLE`].
    ///
    /// # Example
    /// ```
    /// assert_eq!(bridgex_core::simd::Path::Avx2.name(), "avx2");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Popcnt => "popcnt",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// Whether this processor has the instructions.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt => pulp::x86::V2::is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                pulp::x86::V4::is_available()
                    && std::arch::is_x86_feature_detected!("avx512vpopcntdq")
            }
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The widest that this processor has.
    #[must_use]
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|path| path.is_available()).unwrap_or(Self::Portable)
    }

    /// The path of that name; `auto` is the best.
    ///
    /// # Errors
    /// [`Error::UnknownName`], and [`Error::Processor`] where the processor lacks it.
    ///
    /// # Example
    /// ```
    /// use bridgex_core::simd::Path;
    /// assert_eq!(Path::named("portable"), Ok(Path::Portable));
    /// assert_eq!(Path::named("auto"), Ok(Path::best()));
    /// assert!(Path::named("mmx").is_err());
    /// ```
    pub fn named(name: &str) -> Result<Self> {
        if name == "auto" {
            return Ok(Self::best());
        }
        let path = Self::ALL.into_iter().find(|path| path.name() == name).ok_or_else(|| {
            Error::UnknownName {
                option: VARIABLE,
                allowed: "auto, portable, popcnt, avx2, avx512, neon",
                value: name.to_owned(),
            }
        })?;
        if path.is_available() {
            Ok(path)
        } else {
            Err(Error::Processor { path: path.name(), best: Self::best().name() })
        }
    }

    fn arch(self) -> Arch {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map_or(Arch::Scalar, Arch::V4),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Arch::new(),
            _ => Arch::Scalar,
        }
    }
}

/// The instruction set in use: what the environment forces, else the best.
///
/// # Errors
/// Those of [`Path::named`].
pub fn path() -> Result<Path> {
    CHOSEN.clone()
}

/// Run a loop with the instruction set in use.
///
/// A variable that names none is refused by [`crate::parallel::run`], before any loop begins.
#[inline(always)]
pub(crate) fn vectorised<R>(operation: impl FnOnce() -> R) -> R {
    vectorised_by(CHOSEN.as_ref().map_or(Path::Portable, |&path| path), operation)
}

/// Run a loop with one instruction set.
#[inline(always)]
fn vectorised_by<R>(path: Path, operation: impl FnOnce() -> R) -> R {
    path.arch().dispatch(operation)
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
    fn every_path_gives_the_same_bits() {
        let values: Vec<f64> = (0..1003).map(|i| -f64::from(i).sin().abs() * 30.0).collect();
        let results = |path| {
            vectorised_by(path, || {
                let mut found: Vec<f64> = values.iter().map(|&x| exp_not_positive(x)).collect();
                found.extend(values.iter().map(|&x| exp_m1_not_positive(x)));
                found.push(dot(&values, &found[..values.len()]));
                found.push(squared_distance(&values, &found[..values.len()]));
                found.push(sum(&found));
                found.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
            })
        };
        for path in Path::ALL {
            if path.is_available() {
                assert_eq!(results(path), results(Path::Portable), "{path:?}");
            } else {
                eprintln!("skipped: this processor lacks {}", path.name());
            }
        }
    }

    #[test]
    fn names_are_those_of_paths_that_the_processor_has() {
        for path in Path::ALL {
            if path.is_available() {
                assert_eq!(Path::named(path.name()), Ok(path));
            } else {
                let best = Path::best().name();
                let expected = Error::Processor { path: path.name(), best };
                assert_eq!(Path::named(path.name()), Err(expected));
            }
        }
        assert!(Path::Popcnt.is_available() || !Path::Avx2.is_available());
        assert!(!(Path::Popcnt.is_available() && Path::Neon.is_available()));
        assert!(Path::named("AVX2").is_err() && Path::named("").is_err());
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
