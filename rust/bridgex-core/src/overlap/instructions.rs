//! The two steps whose speed depends on single instructions, for every instruction set.
//!
//! Everything else is plain code that is compiled once per instruction set, inlined into
//! [`run`]. A value that stands for an instruction set can only be had where the processor has
//! it, which is what makes the unsafe calls sound.

use crate::{Result, simd::Path};

/// Sets on each side of a tile.
pub(super) const TILE: usize = 4;

/// Rows of words, all of one length.
pub(super) type Rows<'a> = [&'a [u64]; TILE];

/// Sizes of the intersections of every row of one side with every row of the other.
pub(super) type Counts = [[u64; TILE]; TILE];

/// What an instruction set does in its own way.
pub(super) trait Instructions: Copy {
    /// Intersection sizes of four sets with four others, all of one length.
    fn tile(self, rows: Rows<'_>, columns: Rows<'_>) -> Counts;

    /// The bits of a word where the mask has one, moved to the low end.
    fn extract(self, word: u64, mask: u64) -> u64;
}

/// Work that is compiled for every instruction set.
pub(super) trait Operation {
    /// The work itself; must be inlined.
    fn run(self, instructions: impl Instructions) -> Result<()>;
}

/// Run an operation with an instruction set that the processor has.
///
/// # Errors
/// Those of the operation.
///
/// # Panics
/// When the processor lacks it; [`Path::named`] gives none such.
pub(super) fn run(path: Path, operation: impl Operation) -> Result<()> {
    match path {
        #[cfg(target_arch = "x86_64")]
        Path::Popcnt => {
            let simd = pulp::x86::V2::try_new().expect("the path is available");
            simd.vectorize(move || operation.run(Plain))
        }
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => {
            let simd = pulp::x86::V3::try_new().expect("the path is available");
            simd.vectorize(move || operation.run(x86::Avx2(simd)))
        }
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => {
            let simd = x86::Avx512::try_new().expect("the path is available");
            simd.vectorize(move || operation.run(simd))
        }
        _ => operation.run(Plain),
    }
}

/// What the compiler makes of plain code.
#[derive(Clone, Copy)]
struct Plain;

impl Instructions for Plain {
    #[inline(always)]
    fn tile(self, rows: Rows<'_>, columns: Rows<'_>) -> Counts {
        plain_tile(rows, columns)
    }

    #[inline(always)]
    fn extract(self, word: u64, mut mask: u64) -> u64 {
        let mut found = 0;
        let mut place = 0;
        while mask != 0 {
            found |= (word >> mask.trailing_zeros() & 1) << place;
            place += 1;
            mask &= mask - 1;
        }
        found
    }
}

#[inline(always)]
fn plain_tile(rows: Rows<'_>, columns: Rows<'_>) -> Counts {
    let len = rows[0].len();
    let (rows, columns) = (rows.map(|row| &row[..len]), columns.map(|column| &column[..len]));
    let mut counts = [[0; TILE]; TILE];
    for word in 0..len {
        for (row, line) in rows.iter().zip(&mut counts) {
            for (column, count) in columns.iter().zip(line) {
                *count += u64::from((row[word] & column[word]).count_ones());
            }
        }
    }
    counts
}

/// Add the counts of the words that fill no vector.
#[inline(always)]
fn with_rest<const LANES: usize>(mut counts: Counts, rows: Rows<'_>, columns: Rows<'_>) -> Counts {
    let start = rows[0].len() / LANES * LANES;
    if start < rows[0].len() {
        let rest = plain_tile(rows.map(|row| &row[start..]), columns.map(|row| &row[start..]));
        for (line, rest) in counts.iter_mut().flatten().zip(rest.iter().flatten()) {
            *line += rest;
        }
    }
    counts
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)] // functions that need an instruction set are called with proof of it

    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_add_epi8, _mm256_add_epi64, _mm256_and_si256, _mm256_sad_epu8,
        _mm256_shuffle_epi8, _mm256_srli_epi16, _mm512_add_epi64, _mm512_and_si512,
        _mm512_popcnt_epi64, _pext_u64,
    };

    use pulp::{cast, x86::V3};

    use super::{Counts, Instructions, Rows, TILE, with_rest};

    pulp::simd_type! {
        /// Proof of x86-64-v4 with VPOPCNTDQ.
        pub(super) struct Avx512 {
            popcnt: "popcnt",
            avx: "avx",
            avx2: "avx2",
            bmi1: "bmi1",
            bmi2: "bmi2",
            lzcnt: "lzcnt",
            avx512f: "avx512f",
            avx512bw: "avx512bw",
            avx512cd: "avx512cd",
            avx512dq: "avx512dq",
            avx512vl: "avx512vl",
            vpopcntdq: "avx512vpopcntdq",
        }
    }

    /// Proof of x86-64-v3.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(pub(super) V3);

    impl Instructions for Avx512 {
        #[inline(always)]
        fn tile(self, rows: Rows<'_>, columns: Rows<'_>) -> Counts {
            // SAFETY: `self` exists, so the processor has AVX-512 and VPOPCNTDQ.
            with_rest::<8>(unsafe { tile_of_eights(rows, columns) }, rows, columns)
        }

        #[inline(always)]
        fn extract(self, word: u64, mask: u64) -> u64 {
            // SAFETY: `self` exists, so the processor has BMI2.
            unsafe { _pext_u64(word, mask) }
        }
    }

    impl Instructions for Avx2 {
        /// As 2 × 2 tiles, whose sums fit into 16 registers.
        #[inline(always)]
        fn tile(self, rows: Rows<'_>, columns: Rows<'_>) -> Counts {
            let mut counts = [[0; TILE]; TILE];
            for i in (0..TILE).step_by(2) {
                for j in (0..TILE).step_by(2) {
                    let (one, other) = ([rows[i], rows[i + 1]], [columns[j], columns[j + 1]]);
                    // SAFETY: `self` exists, so the processor has AVX2.
                    let part = unsafe { quarter_of_fours(one, other) };
                    counts[i][j..j + 2].copy_from_slice(&part[0]);
                    counts[i + 1][j..j + 2].copy_from_slice(&part[1]);
                }
            }
            with_rest::<4>(counts, rows, columns)
        }

        #[inline(always)]
        fn extract(self, word: u64, mask: u64) -> u64 {
            // SAFETY: `self` exists, so the processor has BMI2.
            unsafe { _pext_u64(word, mask) }
        }
    }

    /// Counts of a tile in all whole vectors of eight words.
    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    fn tile_of_eights(rows: Rows<'_>, columns: Rows<'_>) -> Counts {
        let vectors = rows[0].len() / 8;
        let (rows, columns) = (chunked::<8, _>(rows), chunked::<8, _>(columns));
        let mut sums: [[__m512i; TILE]; TILE] = [[cast([0_u64; 8]); TILE]; TILE];
        for vector in 0..vectors {
            let row = rows.map(|row| cast(row[vector]));
            let column = columns.map(|column| cast(column[vector]));
            for i in 0..TILE {
                for j in 0..TILE {
                    let ones = _mm512_popcnt_epi64(_mm512_and_si512(row[i], column[j]));
                    sums[i][j] = _mm512_add_epi64(sums[i][j], ones);
                }
            }
        }
        totals(cast::<_, [[[u64; 8]; TILE]; TILE]>(sums))
    }

    /// Counts of a quarter of a tile in all whole vectors of four words: both halves of every byte
    /// are looked up in a table, and added up in bytes for as long as these hold the sum.
    #[target_feature(enable = "avx2")]
    fn quarter_of_fours(rows: [&[u64]; 2], columns: [&[u64]; 2]) -> [[u64; 2]; 2] {
        const LONGEST: usize = 255 / 8;
        let table: __m256i = cast([[0_u8, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4]; 2]);
        let zero: __m256i = cast([0_u64; 4]);
        let vectors = rows[0].len() / 4;
        let (rows, columns) = (chunked::<4, _>(rows), chunked::<4, _>(columns));
        let mut sums = [[zero; 2]; 2];
        for start in (0..vectors).step_by(LONGEST) {
            let mut bytes = [[zero; 2]; 2];
            for vector in start..vectors.min(start + LONGEST) {
                let row = [halves(cast(rows[0][vector])), halves(cast(rows[1][vector]))];
                let column = [halves(cast(columns[0][vector])), halves(cast(columns[1][vector]))];
                for (i, j, half) in PARTS {
                    let both = _mm256_and_si256(row[i][half], column[j][half]);
                    bytes[i][j] = _mm256_add_epi8(bytes[i][j], _mm256_shuffle_epi8(table, both));
                }
            }
            for (sum, bytes) in sums.iter_mut().flatten().zip(bytes.iter().flatten()) {
                *sum = _mm256_add_epi64(*sum, _mm256_sad_epu8(*bytes, zero));
            }
        }
        totals(cast::<_, [[[u64; 4]; 2]; 2]>(sums))
    }

    /// The whole vectors of rows. No closures: they would not be inlined, and this is done once
    /// for every tile.
    #[inline(always)]
    fn chunked<const LANES: usize, const ROWS: usize>(
        rows: [&[u64]; ROWS],
    ) -> [&[[u64; LANES]]; ROWS] {
        let vectors = rows[0].len() / LANES;
        let mut chunks: [&[[u64; LANES]]; ROWS] = [&[]; ROWS];
        for row in 0..ROWS {
            chunks[row] = &rows[row].as_chunks().0[..vectors];
        }
        chunks
    }

    /// Sums over the lanes.
    #[inline(always)]
    fn totals<const LANES: usize, const SIDE: usize>(
        sums: [[[u64; LANES]; SIDE]; SIDE],
    ) -> [[u64; SIDE]; SIDE] {
        let mut totals = [[0; SIDE]; SIDE];
        for i in 0..SIDE {
            for j in 0..SIDE {
                totals[i][j] = sums[i][j].iter().sum();
            }
        }
        totals
    }

    /// Row, column and half of a byte.
    const PARTS: [(usize, usize, usize); 8] =
        [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)];

    /// The low and the high four bits of every byte.
    #[target_feature(enable = "avx2")]
    fn halves(bytes: __m256i) -> [__m256i; 2] {
        let low = cast([0x0f_u8; 32]);
        [_mm256_and_si256(bytes, low), _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low)]
    }
}
