//! A borrowed matrix of activations: rows are neurons, columns are samples.

use crate::{Error, Result, simd::vectorised};

/// The numbers of a matrix, row after row.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

/// Activations of some neurons over the samples.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: Values<'a>,
    count: usize,
    samples: usize,
}

impl<'a> Rows<'a> {
    /// View `count` rows of `samples` numbers each.
    ///
    /// # Errors
    /// [`Error::Length`] when there are more or fewer numbers.
    ///
    /// # Example
    /// ```
    /// use bridgex_core::rows::{Rows, Values};
    /// let rows = Rows::new(Values::F32(&[1.0, 2.0, 3.0, 4.0]), 2, 2)?;
    /// assert_eq!(rows.row(1), [3.0, 4.0]);
    /// # Ok::<(), bridgex_core::Error>(())
    /// ```
    pub fn new(values: Values<'a>, count: usize, samples: usize) -> Result<Self> {
        let found = match values {
            Values::F32(slice) => slice.len(),
            Values::F64(slice) => slice.len(),
        };
        let expected = count * samples;
        if found != expected {
            return Err(Error::Length { what: "rows", expected, found });
        }
        Ok(Self { values, count, samples })
    }

    /// Number of neurons.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// A copy of row `index` in double precision.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> Vec<f64> {
        let range = index * self.samples..(index + 1) * self.samples;
        match self.values {
            Values::F32(slice) => vectorised(
                #[inline(always)]
                || slice[range].iter().copied().map(f64::from).collect(),
            ),
            Values::F64(slice) => slice[range].to_vec(),
        }
    }
}
