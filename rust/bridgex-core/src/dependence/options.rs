//! Every choice that a dependence score depends on.

use std::{ops::RangeInclusive, str::FromStr};

use crate::{Error, Result};

/// What is computed for a pair of neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// Song et al. 2012, eq. 5.
    Unbiased,
    /// tr(KHLH) / (S - 1)² (Gretton et al. 2005).
    Biased,
    /// tr(KHL), which the published scripts compute.
    Reference,
    /// Squared correlation.
    Linear,
}

/// What an estimator is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    /// The root of the product of both neurons' own terms.
    Cka,
    /// Nothing.
    None,
}

/// Where the width of a kernel comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bandwidth {
    /// The median difference between the samples of a row.
    Neuron,
    /// The median distance between the rows of both sets.
    Layer,
    /// The published rule, with 1e-6 added to every standard deviation.
    Reference,
    /// A number, in standard deviations of a row.
    Fixed(f64),
}

/// Precision of the products. Kernels are always in double precision; features in single where
/// that and the tolerance allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

/// Every choice that a dependence score depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// What is computed for a pair of neurons.
    pub estimator: Estimator,
    /// What it is divided by.
    pub normalize: Normalize,
    /// Where the width of a kernel comes from.
    pub bandwidth: Bandwidth,
    /// Largest error that low-rank features may make on the scale of [`Normalize::Cka`].
    pub tolerance: f64,
    /// Precision of the products.
    pub precision: Precision,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            estimator: Estimator::Unbiased,
            normalize: Normalize::Cka,
            bandwidth: Bandwidth::Neuron,
            tolerance: 1e-3,
            precision: Precision::F32,
        }
    }
}

/// Widths at which a standardised row's kernel and its squares can be represented.
const WIDTHS: RangeInclusive<f64> = 1e-60..=1e60;

impl Options {
    /// Refuse options that no computation can follow, and samples that are too few for them.
    pub(super) fn check(&self, samples: usize) -> Result<()> {
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err(Error::Tolerance { tolerance: self.tolerance });
        }
        if let Bandwidth::Fixed(width) = self.bandwidth
            && !WIDTHS.contains(&width)
        {
            return Err(Error::Width { width });
        }
        let (estimator, needed) = match self.estimator {
            Estimator::Unbiased => ("unbiased", 4),
            Estimator::Biased => ("biased", 2),
            Estimator::Reference => ("reference", 2),
            Estimator::Linear => ("linear", 2),
        };
        if samples < needed {
            return Err(Error::TooFewSamples { estimator, needed, samples });
        }
        Ok(())
    }

    /// What is added to every standard deviation.
    pub(super) fn epsilon(&self) -> f64 {
        if self.bandwidth == Bandwidth::Reference { 1e-6 } else { 0.0 }
    }
}

impl FromStr for Estimator {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "unbiased" => Ok(Self::Unbiased),
            "biased" => Ok(Self::Biased),
            "reference" => Ok(Self::Reference),
            "linear" => Ok(Self::Linear),
            _ => Err(unknown("estimator", "unbiased, biased, reference, linear", name)),
        }
    }
}

impl FromStr for Normalize {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cka" => Ok(Self::Cka),
            "none" => Ok(Self::None),
            _ => Err(unknown("normalize", "cka, none", name)),
        }
    }
}

impl FromStr for Bandwidth {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "neuron" => Ok(Self::Neuron),
            "layer" => Ok(Self::Layer),
            "reference" => Ok(Self::Reference),
            _ => Err(unknown("bandwidth", "neuron, layer, reference or a number", name)),
        }
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Self::F32),
            "f64" => Ok(Self::F64),
            _ => Err(unknown("dtype", "f32, f64", name)),
        }
    }
}

fn unknown(option: &'static str, allowed: &'static str, value: &str) -> Error {
    Error::UnknownName { option, allowed, value: value.to_owned() }
}
