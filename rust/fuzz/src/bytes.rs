//! Inputs made of bytes: whatever they are, they mean something.

use bridgex_core::dependence::{Bandwidth, Estimator, Normalize, Options, Precision};

/// Numbers at which arithmetic changes its manners.
const SPECIAL: [f64; 12] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::MIN_POSITIVE,
    5e-324,
    f64::MAX,
    f64::MIN,
    1e-160,
    1e160,
    f64::NAN,
    f64::INFINITY,
];

/// Bytes to be used up; zeros follow the last one.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Start with the first byte.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// A number below `limit`.
    ///
    /// # Panics
    /// When `limit` is zero.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    /// The next eight bytes.
    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// One of a list.
    ///
    /// # Panics
    /// When the list is empty.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Rows of numbers, each of a kind of its own.
    pub fn rows(&mut self, count: usize, samples: usize) -> Vec<f64> {
        let mut rows = Vec::with_capacity(count * samples);
        for _ in 0..count {
            let kind = self.byte();
            rows.extend((0..samples).map(|_| self.number(kind)));
        }
        rows
    }

    /// A number of a kind: few values, small numbers, any scale, special ones, any bits at all.
    pub fn number(&mut self, kind: u8) -> f64 {
        match kind % 8 {
            0 => f64::from(self.byte() % 3),
            1..4 => f64::from(self.byte()) / 32.0 - 4.0,
            4 => f64::from(self.byte()) * 1e-310,
            5 => (f64::from(self.byte()) - 128.0) * 1e306,
            6 => self.pick(&SPECIAL),
            _ => f64::from_bits(self.word()),
        }
    }

    /// Every choice that dependence offers, and some that it does not.
    pub fn options(&mut self) -> Options {
        use Estimator::{Biased, Linear, Reference, Unbiased};
        let width = self.byte();
        let estimator = self.pick(&[Unbiased, Biased, Reference, Linear]);
        Options {
            estimator,
            normalize: self.pick(&[Normalize::Cka, Normalize::None]),
            bandwidth: match width % 5 {
                0 => Bandwidth::Neuron,
                1 => Bandwidth::Reference,
                2 => Bandwidth::Layer,
                3 => Bandwidth::Fixed(0.1 + f64::from(self.byte()) / 32.0),
                _ => Bandwidth::Fixed(self.number(width / 5)),
            },
            tolerance: match self.byte() % 8 {
                0 => 0.0,
                1..4 => 1e-3,
                4..6 => 0.1,
                6 => 1e-6,
                _ => self.number(7),
            },
            precision: self.pick(&[Precision::F32, Precision::F64]),
        }
    }
}
