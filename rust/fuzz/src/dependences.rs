//! Dependence: bounds that hold by definition, both orders of the sets, exact and approximate.

use std::sync::atomic::AtomicBool;

use bridgex_core::{
    Error, Result, Rows,
    dependence::{
        self as core, Bandwidth, Dependence, Estimator, Layer, Normalize, Options, Precision,
        Reason,
    },
    rows::Values,
};

use super::bytes::Bytes;

static RUNNING: AtomicBool = AtomicBool::new(false);

/// Rounding of products in single precision, as a share of the largest score.
const ROUNDING: f64 = 1e-5;

/// How far rounding takes a score past 1 where its own term nearly vanishes.
const OVER_ONE: f64 = 1e-3;

/// Rows of either precision.
enum Matrix {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Matrix {
    #[allow(clippy::cast_possible_truncation)] // to infinity, which is to be refused
    fn new(bytes: &mut Bytes<'_>, count: usize, samples: usize, single: bool) -> Self {
        let rows = bytes.rows(count, samples);
        if single {
            Self::F32(rows.into_iter().map(|value| value as f32).collect())
        } else {
            Self::F64(rows)
        }
    }

    fn rows(&self, count: usize, samples: usize) -> Result<Rows<'_>> {
        let values = match self {
            Self::F32(rows) => Values::F32(rows),
            Self::F64(rows) => Values::F64(rows),
        };
        Rows::new(values, count, samples)
    }
}

/// Two sets of rows.
///
/// # Panics
/// When something that has to hold does not.
pub fn dependence(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let options = bytes.options();
    let (n1, n2, samples) = (bytes.below(5), bytes.below(5), bytes.below(33));
    let other_samples = if bytes.byte() == 1 { bytes.below(33) } else { samples };
    let threads = Some(1 + bytes.below(2));
    let single = bytes.byte() % 2 == 1;
    let x = Matrix::new(&mut bytes, n1, samples, single);
    // Now and then the sets are of different precision.
    let y = Matrix::new(&mut bytes, n2, other_samples, single != (n1 == 3));
    assert!(x.rows(n1 + 1, samples).is_err() || samples == 0);
    let (Ok(x), Ok(y)) = (x.rows(n1, samples), y.rows(n2, other_samples)) else {
        panic!("rows of the right number are refused");
    };
    let run = |x, y, options: &Options| core::dependence(x, y, options, true, threads, &RUNNING);
    let result = match run(x, y, &options) {
        Err(error) => return check_refusal(&error),
        Ok(result) => result,
    };
    check(&result, &options, [n1, n2]);
    check_turned(&result, &run(y, x, &options).expect("the other order"), [n1, n2]);
    let exact = Options { tolerance: 0.0, precision: Precision::F64, ..options };
    check_bound(&result, &run(x, y, &exact).expect("without features"));
}

fn check_refusal(error: &Error) {
    assert_eq!(error.kind(), "invalid_input", "{error}");
}

/// What holds for every result.
fn check(result: &Dependence, options: &Options, [n1, n2]: [usize; 2]) {
    let matrix = result.matrix.as_deref().expect("asked for");
    assert_eq!((matrix.len(), result.row_max.len(), result.column_max.len()), (n1 * n2, n1, n2));
    assert!(result.constant_rows + result.left_out <= n1 + n2);
    assert!(result.error_bound.is_finite() && result.error_bound >= 0.0);
    let widths = result.x_widths.iter().chain(&result.y_widths);
    assert!(widths.into_iter().all(|&width| width > 0.0 || width.is_nan()));
    let normalised = options.normalize == Normalize::Cka;
    assert!(!normalised || result.error_bound <= options.tolerance.max(1e-12));
    for &score in matrix {
        assert!(!score.is_infinite());
        // All estimators are inner products, so that Cauchy and Schwarz bound their cosines.
        let most = 1.0 + result.error_bound + OVER_ONE;
        assert!(!normalised || score.is_nan() || score.abs() <= most, "{score}");
        let signed = matches!(options.estimator, Estimator::Unbiased | Estimator::Reference);
        assert!(signed || score.is_nan() || score >= -ROUNDING - result.error_bound, "{score}");
    }
    for (row, &best) in result.row_max.iter().enumerate() {
        check_best(best, (0..n2).map(|column| matrix[row * n2 + column]));
    }
    for (column, &best) in result.column_max.iter().enumerate() {
        check_best(best, (0..n1).map(|row| matrix[row * n2 + column]));
    }
    let lines = [&result.row_max, &result.column_max];
    let none = lines.iter().any(|line| line.iter().all(|best| best.is_nan()));
    assert_eq!(result.layer_score.is_nan(), none);
}

/// The largest number of a line, or NaN where there is none.
fn check_best(best: f64, line: impl Iterator<Item = f64>) {
    close(best, line.fold(f64::NAN, f64::max), 0.0);
}

fn check_turned(one: &Dependence, other: &Dependence, [n1, n2]: [usize; 2]) {
    let [of_one, of_other] = [one, other].map(|result| result.matrix.as_deref().expect("asked"));
    let slack = one.error_bound + other.error_bound + ROUNDING * largest(of_one);
    for (row, column) in (0..n1 * n2).map(|index| (index / n2, index % n2)) {
        close(of_one[row * n2 + column], of_other[column * n1 + row], slack);
    }
    assert_eq!((one.constant_rows, one.left_out), (other.constant_rows, other.left_out));
}

fn check_bound(result: &Dependence, exact: &Dependence) {
    assert_eq!((exact.error_bound, exact.left_out), (0.0, result.left_out));
    let [found, expected] = [result, exact].map(|one| one.matrix.as_deref().expect("asked for"));
    let slack = result.error_bound + ROUNDING * largest(expected);
    found.iter().zip(expected).for_each(|(&found, &expected)| close(found, expected, slack));
}

fn close(found: f64, expected: f64, slack: f64) {
    let same = found.is_nan() && expected.is_nan();
    assert!(same || (found - expected).abs() <= slack, "{found} {expected} {slack}");
}

fn largest(scores: &[f64]) -> f64 {
    scores.iter().fold(1.0, |most: f64, score| most.max(score.abs()))
}

/// What a layer is made of.
struct Part {
    counts: [usize; 2],
    pair: Matrix,
    bridge: Matrix,
    members: Vec<Vec<usize>>,
}

impl Part {
    /// With members that are `stray` rows too far.
    fn new(bytes: &mut Bytes<'_>, candidates: usize, samples: usize, stray: usize) -> Self {
        let counts = [bytes.below(4), bytes.below(5)];
        let set = |bits: u8| (0..counts[1] + stray).filter(|&row| bits >> row & 1 == 1).collect();
        Self {
            counts,
            members: (0..candidates).map(|_| set(bytes.byte())).collect(),
            pair: Matrix::new(bytes, counts[0], samples, false),
            bridge: Matrix::new(bytes, counts[1], samples, true),
        }
    }

    fn layer(&self, samples: usize) -> Layer<'_> {
        Layer {
            pair: self.pair.rows(self.counts[0], samples).expect("rows of the pair"),
            bridge: self.bridge.rows(self.counts[1], samples).expect("rows of the union"),
            members: &self.members,
        }
    }
}

/// Layers and candidates.
///
/// # Panics
/// When something that has to hold does not.
pub fn spectrum(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let options = bytes.options();
    let (count, candidates, samples) = (bytes.below(4), bytes.below(4), bytes.below(20));
    let threads = Some(1 + bytes.below(2));
    let stray = usize::from(bytes.byte() == 1);
    let parts: Vec<Part> =
        (0..count).map(|_| Part::new(&mut bytes, candidates, samples, stray)).collect();
    let layers: Vec<Layer<'_>> = parts.iter().map(|part| part.layer(samples)).collect();
    let scores = match core::spectrum(&layers, &options, threads, &RUNNING) {
        Err(error) => return check_refusal(&error),
        Ok(scores) => scores,
    };
    assert_eq!(scores.len(), count);
    for (layer, scores) in layers.iter().zip(&scores) {
        assert_eq!(scores.cells.len(), candidates);
        assert!(scores.error_bound.is_finite() && scores.error_bound >= 0.0);
        for (cell, members) in scores.cells.iter().zip(layer.members) {
            assert_eq!(cell.score.is_nan(), cell.reason != Reason::Estimable);
            assert!(!cell.score.is_infinite());
            assert!(cell.constant_rows + cell.left_out <= layer.pair.count() + members.len());
            if cell.reason == Reason::Estimable && options.bandwidth != Bandwidth::Layer {
                check_cell(layer, members, &options, (cell.score, scores.error_bound));
            }
        }
    }
}

/// A candidate's score is the dependence of the pair on the candidate's rows alone.
fn check_cell(
    layer: &Layer<'_>,
    members: &[usize],
    options: &Options,
    (score, error_bound): (f64, f64),
) {
    let rows: Vec<f64> = members.iter().flat_map(|&row| layer.bridge.row(row)).collect();
    let samples = layer.bridge.samples();
    let bridge = Rows::new(Values::F64(&rows), members.len(), samples).expect("the rows");
    let exact = Options { tolerance: 0.0, precision: Precision::F64, ..*options };
    let alone = core::dependence(layer.pair, bridge, &exact, false, Some(1), &RUNNING);
    let expected = alone.expect("it has a score").layer_score;
    close(score, expected, error_bound + ROUNDING * expected.abs().max(1.0));
}
