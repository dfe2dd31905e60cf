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

/// Lanes of a reduction: fixed, so that the order of additions is too; enough of them that no
/// addition waits for the one before.
const LANES: usize = 32;

/// Slices of fewer numbers are reduced in fewer lanes, which are sooner added up.
const SHORT: usize = 128;

/// What the environment asks for, read when it is first needed.
static CHOSEN: LazyLock<Result<Path>> = LazyLock::new(|| match std::env::var_os(VARIABLE) {
    Some(name) if !name.is_empty() => Path::named(&name.to_string_lossy()),
    _ => Ok(Path::best()),
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

/// The smallest and the largest of numbers that are not NaN.
#[inline(always)]
pub(crate) fn extremes(values: &[f64]) -> (f64, f64) {
    let mut least = [f64::INFINITY; LANES];
    let mut most = [f64::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            least[lane] = if chunk[lane] < least[lane] { chunk[lane] } else { least[lane] };
            most[lane] = if chunk[lane] > most[lane] { chunk[lane] } else { most[lane] };
        }
    }
    (
        least.iter().chain(rest).copied().fold(f64::INFINITY, f64::min),
        most.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max),
    )
}

/// The largest distance from 0 of numbers that are not NaN.
pub(crate) fn magnitude(values: &[f64]) -> f64 {
    let (least, most) = vectorised(
        #[inline(always)]
        || extremes(values),
    );
    most.max(-least).max(0.0)
}

#[inline(always)]
fn reduce(one: &[f64], other: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    if one.len() < SHORT {
        reduce_in::<8>(one, other, term)
    } else {
        reduce_in::<LANES>(one, other, term)
    }
}

#[inline(always)]
fn reduce_in<const LANES: usize>(
    one: &[f64],
    other: &[f64],
    term: impl Fn(f64, f64) -> f64,
) -> f64 {
    let mut lanes = [0.0; LANES];
    let (one, one_rest) = one.as_chunks::<LANES>();
    let (other, other_rest) = other.as_chunks::<LANES>();
    for (a, b) in one.iter().zip(other) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f64 = one_rest.iter().zip(other_rest).map(|(&a, &b)| term(a, b)).sum();
    fold_lanes(lanes) + rest
}

/// The sum of all lanes, halves added to halves.
#[inline(always)]
pub(crate) fn fold_lanes<const LANES: usize>(mut lanes: [f64; LANES]) -> f64 {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

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
