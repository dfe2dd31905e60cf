//! Best matches between one set and every candidate, gathered tile by tile.

use super::neuron::Part;

/// Best matches of one set against every candidate.
#[derive(Debug)]
pub(super) struct Matches {
    /// Best match of every row of the first set within every candidate: candidate × n1, NaN where
    /// there is none.
    pub row_max: Vec<f64>,
    /// Best match of every row of the second set within the first, NaN where there is none.
    pub column_max: Vec<f64>,
    /// Every score, n1 × n2, where asked for.
    pub matrix: Option<Vec<f64>>,
    pub x_parts: Vec<Part>,
    pub y_parts: Vec<Part>,
}

/// Best matches within one tile.
pub(super) struct Piece {
    x: Vec<usize>,
    y: Vec<usize>,
    /// Candidate × rows of the tile.
    rows: Vec<f64>,
    columns: Vec<f64>,
    scores: Option<Vec<f64>>,
}

/// The candidates that have each row of the second set.
#[derive(Debug)]
pub(super) struct Candidates {
    count: usize,
    of_row: Vec<Vec<usize>>,
}

impl Candidates {
    pub fn new(members: &[&[usize]], rows: usize) -> Self {
        let mut of_row = vec![Vec::new(); rows];
        for (candidate, members) in members.iter().enumerate() {
            members.iter().for_each(|&member| of_row[member].push(candidate));
        }
        Self { count: members.len(), of_row }
    }
}

impl Piece {
    /// Reduce the scores of a tile, rows `x` by columns `y`, to its best matches.
    pub fn new(
        x: &[usize],
        y: &[usize],
        scores: Vec<f64>,
        candidates: &Candidates,
        matrix: bool,
    ) -> Self {
        let mut rows = vec![f64::NEG_INFINITY; candidates.count * x.len()];
        let mut columns = vec![f64::NEG_INFINITY; y.len()];
        for (place, line) in scores.chunks_exact(y.len()).enumerate() {
            for (column, &score) in line.iter().enumerate() {
                columns[column] = columns[column].max(score);
                for &candidate in &candidates.of_row[y[column]] {
                    let best = &mut rows[candidate * x.len() + place];
                    *best = best.max(score);
                }
            }
        }
        let scores = matrix.then_some(scores);
        Self { x: x.to_vec(), y: y.to_vec(), rows, columns, scores }
    }
}

impl Matches {
    /// No match yet.
    pub fn new([x_parts, y_parts]: [Vec<Part>; 2], candidates: usize, matrix: bool) -> Self {
        Self {
            row_max: vec![f64::NEG_INFINITY; candidates * x_parts.len()],
            column_max: vec![f64::NEG_INFINITY; y_parts.len()],
            matrix: matrix.then(|| vec![0.0; x_parts.len() * y_parts.len()]),
            x_parts,
            y_parts,
        }
    }

    /// Take in a tile, in whatever order they come.
    pub fn merge(&mut self, piece: &Piece) {
        let (n1, n2) = (self.x_parts.len(), self.y_parts.len());
        for (index, &best) in piece.rows.iter().enumerate() {
            let (candidate, place) = (index / piece.x.len(), index % piece.x.len());
            let cell = &mut self.row_max[candidate * n1 + piece.x[place]];
            *cell = cell.max(best);
        }
        for (&column, &best) in piece.y.iter().zip(&piece.columns) {
            self.column_max[column] = self.column_max[column].max(best);
        }
        if let (Some(matrix), Some(scores)) = (&mut self.matrix, &piece.scores) {
            for (&row, line) in piece.x.iter().zip(scores.chunks_exact(piece.y.len())) {
                for (&column, &score) in piece.y.iter().zip(line) {
                    matrix[row * n2 + column] = score;
                }
            }
        }
    }

    /// Constant rows score 0 with every row that can be estimated; the others score nothing.
    pub fn finish(&mut self, members: &[&[usize]]) {
        let n1 = self.x_parts.len();
        for (candidate, members) in members.iter().enumerate() {
            let parts = || members.iter().map(|&member| self.y_parts[member]);
            let line = &mut self.row_max[candidate * n1..(candidate + 1) * n1];
            add_constants(line, &self.x_parts, parts);
        }
        let parts = || self.x_parts.iter().copied();
        add_constants(&mut self.column_max, &self.y_parts, parts);
        if let Some(matrix) = &mut self.matrix {
            let n2 = self.y_parts.len();
            for (index, score) in matrix.iter_mut().enumerate() {
                let parts = [self.x_parts[index / n2], self.y_parts[index % n2]];
                if parts.contains(&Part::LeftOut) {
                    *score = f64::NAN;
                }
            }
        }
    }

    /// The best matches of the first set within a candidate.
    pub fn rows(&self, candidate: usize) -> &[f64] {
        let n1 = self.x_parts.len();
        &self.row_max[candidate * n1..(candidate + 1) * n1]
    }

    /// (mean of the row maxima + mean of the column maxima) / 2 of a candidate.
    pub fn layer_score(&self, candidate: usize, members: &[usize]) -> f64 {
        let columns = members.iter().map(|&member| self.column_max[member]);
        f64::midpoint(
            mean_of_numbers(self.rows(candidate).iter().copied()),
            mean_of_numbers(columns),
        )
    }
}

fn add_constants<I: Iterator<Item = Part>>(best: &mut [f64], own: &[Part], others: impl Fn() -> I) {
    let constant = others().any(|part| part == Part::Constant);
    let none = others().all(|part| part == Part::LeftOut);
    for (cell, &part) in best.iter_mut().zip(own) {
        if part == Part::LeftOut || none {
            *cell = f64::NAN;
        } else if part == Part::Constant || constant {
            *cell = cell.max(0.0);
        }
    }
}

/// Mean of the values that are not NaN; NaN where all are.
fn mean_of_numbers(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .filter(|value| !value.is_nan())
        .fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}
