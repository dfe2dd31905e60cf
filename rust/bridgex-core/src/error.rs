//! What can be wrong with the input of an operation.

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was refused. Every variant carries the values that were offending.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value to be ranked is NaN.
    #[error("{what} must be numbers, but number {index} is NaN")]
    NotANumber {
        /// Which of the inputs.
        what: &'static str,
        /// Position of the first NaN.
        index: usize,
    },
    /// More neurons are to be selected than there are.
    #[error("{k} of {len} values cannot be selected")]
    SetSize {
        /// Size asked for.
        k: usize,
        /// Number of values.
        len: usize,
    },
    /// A slice has the wrong length.
    #[error("{what} must have {expected} elements, but has {found}")]
    Length {
        /// Which of the inputs.
        what: &'static str,
        /// Elements expected.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// Layer offsets fall, or leave the bitsets.
    #[error("layer offsets must rise to at most {bits} bits, but {previous} is followed by {next}")]
    Offsets {
        /// Offset before the offending one.
        previous: usize,
        /// The offending offset.
        next: usize,
        /// Bits in a set.
        bits: usize,
    },
    /// An activation is NaN or infinite.
    #[error("{set}{} must be finite, but row {row} holds {value} at sample {sample}",
            layer.map_or(String::new(), |layer| format!("[{layer}]")))]
    NotFinite {
        /// Which of the sets.
        set: &'static str,
        /// Position of the layer, where there are several.
        layer: Option<usize>,
        /// Row of the neuron.
        row: usize,
        /// Column of the sample.
        sample: usize,
        /// The value.
        value: f64,
    },
    /// Both sets must have the same samples.
    #[error("both sets must have the same samples, but have {x} and {y}")]
    SampleMismatch {
        /// Samples of the first set.
        x: usize,
        /// Samples of the second set.
        y: usize,
    },
    /// The estimator needs more samples.
    #[error("the {estimator} estimator needs {needed} samples or more, but there are {samples}")]
    TooFewSamples {
        /// Name of the estimator.
        estimator: &'static str,
        /// Samples needed.
        needed: usize,
        /// Samples given.
        samples: usize,
    },
    /// A set has no neuron.
    #[error("{set} must have a row, but has none")]
    EmptySet {
        /// Which of the sets.
        set: &'static str,
    },
    /// A candidate's member is not a row.
    #[error("candidate {candidate} names row {member} of {rows}")]
    Member {
        /// Position of the candidate.
        candidate: usize,
        /// The row it names.
        member: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A draw of samples is not a permutation.
    #[error("permutation {draw} must name every sample once")]
    Draw {
        /// Position of the draw.
        draw: usize,
    },
    /// A tolerance is negative or not finite.
    #[error("the tolerance must be finite and not negative, not {tolerance}")]
    Tolerance {
        /// The tolerance given.
        tolerance: f64,
    },
    /// A kernel width is not positive, or beyond what can be computed with.
    #[error("the bandwidth must be between 1e-60 and 1e60, not {width}")]
    Width {
        /// The width given.
        width: f64,
    },
    /// The rows define no kernel width.
    #[error("the rows have no positive distance from each other, so no bandwidth is defined")]
    NoBandwidth,
    /// An option has no such value.
    #[error("{option} must be one of {allowed}, not {value:?}")]
    UnknownName {
        /// Name of the option.
        option: &'static str,
        /// Values it can have.
        allowed: &'static str,
        /// The value given.
        value: String,
    },
    /// A number of threads is not a whole number from 1 to 1024.
    #[error("{what} must be a whole number from 1 to 1024, not {value:?}")]
    Threads {
        /// Where the number came from.
        what: &'static str,
        /// What it was.
        value: String,
    },
    /// An instruction set was forced that the processor lacks.
    #[error("this processor lacks the instructions of {path:?}; the most it has is {best:?}")]
    Processor {
        /// Name of the path that was forced.
        path: &'static str,
        /// Name of the best that there is.
        best: &'static str,
    },
    /// The operating system gave no threads.
    #[error("{threads} threads could not be started: {message}")]
    ThreadPool {
        /// Threads asked for.
        threads: usize,
        /// What the operating system said.
        message: String,
    },
    /// The caller asked for the operation to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The stable word for this kind of error, which the Python exceptions share.
    ///
    /// # Example
    /// ```
    /// assert_eq!(bridgex_core::Error::NoBandwidth.kind(), "invalid_input");
    /// ```
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ThreadPool { .. } => "error",
            Self::Interrupted => "interrupted",
            _ => "invalid_input",
        }
    }

    /// What to do about it, where there is more to say than the message does.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFinite { .. } => {
                Some("Capture these probes again in float32, or leave the neuron out.")
            }
            Self::TooFewSamples { .. } => Some("Use more probes, or another estimator."),
            Self::NoBandwidth => Some("Use bandwidth \"neuron\", or give a number."),
            Self::Processor { .. } => {
                Some("Unset BRIDGEX_SIMD, and the best that the processor has is used.")
            }
            _ => None,
        }
    }
}
