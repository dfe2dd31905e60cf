"""Bilingual lexicons: word pairs from MUSE-style files and from parallel tables."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.languages import parse_language
from bridgex.schema import Pair, WordPair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Identical = Literal["keep", "drop"]
BundledLexicon = Literal["core", "strict"]


@dataclass(frozen=True)
class Lexicon:
    """Words of one language and their accepted translations into another.

    Attributes
    ----------
    pair
        Language codes of source and target.
    words
        Every source word once, in file order, with its targets in file order.
    dropped_empty
        Rows left out because the word of one of the two languages was missing.
    identical
        Rows whose source and target are the same letters, whether kept or not.
    dropped_identical
        How many of them were left out.
    """

    pair: Pair
    words: tuple[WordPair, ...]
    dropped_empty: int = 0
    identical: int = 0
    dropped_identical: int = 0


def read_lexicon(
    path: str | Path, source: str, target: str, *, identical: Identical = "keep"
) -> Lexicon:
    """Read the word pairs of one direction.

    Two layouts are recognised by the first line. A *parallel table* has tabs and a header that
    names a language of the pair, in three columns or more, or both in two; columns that name no
    language are left alone. Everything else is *MUSE style*: one ``source target`` a line, parted
    by a tab or else by spaces; a word with several translations has several lines.

    Parameters
    ----------
    path
        A UTF-8 text file.
    source, target
        Languages, as ``parse_language`` reads them. A MUSE-style file does not say which languages
        it holds, so they are taken at the user's word.
    identical
        What happens to rows whose source and target are equal but for upper and lower case: many
        are names and loan words that need no translation.

    Raises
    ------
    NotFoundError
        There is no such file, or the table has no column for a language.
    InvalidInputError
        The two languages are one, the file is empty or not UTF-8, a line has too few or too many
        fields, or no word is left.
    """
    pair = Pair(parse_language(source).code, parse_language(target).code)
    if pair.source == pair.target:
        raise InvalidInputError(f"source and target are the same language: {pair.source!r}")
    path = Path(path)
    lines = _read_lines(path)
    columns = _language_columns(lines[0], pair)
    if columns is None:
        rows = _muse_rows(path, lines)
    else:
        rows = _table_rows(path, lines, _pick(path, columns, pair))
    return _collect(path, pair, rows, identical)


def merge(lexicons: Sequence[Lexicon]) -> Lexicon:
    """Return all words of several lexicons of one pair, every word once, targets in order.

    Raises
    ------
    InvalidInputError
        There is no lexicon, or they are of several pairs.
    """
    pairs = {lexicon.pair for lexicon in lexicons}
    if len(pairs) != 1:
        found = ", ".join(sorted(map(str, pairs))) or "none"
        raise InvalidInputError(f"lexicons of exactly one language pair can be merged, got {found}")
    rows = (
        (word.source, target)
        for lexicon in lexicons
        for word in lexicon.words
        for target in word.targets
    )
    return Lexicon(
        pair=pairs.pop(),
        words=_group(rows),
        dropped_empty=sum(lexicon.dropped_empty for lexicon in lexicons),
        identical=sum(lexicon.identical for lexicon in lexicons),
        dropped_identical=sum(lexicon.dropped_identical for lexicon in lexicons),
    )


def bundled_lexicon(name: BundledLexicon = "core") -> Path:
    """Return the path of a lexicon that comes with bridgex.

    Both are parallel tables over fifteen languages (en zh ja ar he id tl fi hu sw de fr it pt es).
    ``strict`` is the larger one.

    Raises
    ------
    NotFoundError
        There is no bundled lexicon of this name.
    """
    if name not in ("core", "strict"):
        raise NotFoundError(f"the bundled lexicons are 'core' and 'strict', got {name!r}")
    return Path(str(files("bridgex.data") / f"lexicon_{name}.tsv"))


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no lexicon at {path}", hint="Check the path.") from error
    except IsADirectoryError as error:
        raise InvalidInputError(f"a lexicon is a file, but {path} is a directory") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"a lexicon is UTF-8 text, but byte {error.start} of {path} is not",
            hint="convert it first, for example with: iconv -f latin1 -t utf-8",
        ) from error
    except OSError as error:
        raise InvalidInputError(f"cannot read the lexicon {path}: {error.strerror}") from error
    lines = text.split("\n")
    if not text.strip():
        raise InvalidInputError(
            f"the lexicon {path} is empty", hint="Give a file with a word pair on every line."
        )
    return lines


def _language_columns(header: str, pair: Pair) -> list[str | None] | None:
    """Return the language code of every column, or nothing when the line is no header.

    A line of two fields may be a word pair, so it is a header only where it names the pair.
    """
    fields = header.strip("\r").split("\t")
    if len(fields) < 2:  # noqa: PLR2004  a table has at least source and target
        return None
    codes = [_code_or_none(field) for field in fields]
    if len(fields) == 2 and set(codes) != set(pair):  # noqa: PLR2004
        return None
    if not set(codes) & set(pair):
        return None
    return codes


def _code_or_none(text: str) -> str | None:
    try:
        return parse_language(text).code
    except InvalidInputError:
        return None


def _pick(path: Path, columns: Sequence[str | None], pair: Pair) -> tuple[int, int]:
    listed = ", ".join(column for column in columns if column)
    for code in pair:
        count = columns.count(code)
        if count == 0:
            raise NotFoundError(f"{path} has no column for {code!r}; its languages are: {listed}")
        if count > 1:
            raise InvalidInputError(f"{path} has {count} columns for {code!r}, expected one")
    return columns.index(pair.source), columns.index(pair.target)


def _table_rows(
    path: Path, lines: Sequence[str], picked: tuple[int, int]
) -> Iterator[tuple[str, str]]:
    width = len(lines[0].split("\t"))
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        fields = line.strip("\r").split("\t")
        if len(fields) != width:
            raise InvalidInputError(
                f"line {number} of {path} has {len(fields)} fields, "
                f"but the header has {width}: {line!r}"
            )
        yield fields[picked[0]].strip(), fields[picked[1]].strip()


def _muse_rows(path: Path, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        fields = [field for field in line.strip().split("\t" if "\t" in line else " ") if field]
        if len(fields) != 2:  # noqa: PLR2004  source and target
            raise InvalidInputError(
                f"line {number} of {path} should be a source and a target word, "
                f"but has {len(fields)} of them: {line!r}",
                hint="part the two with a tab where a word has spaces inside",
            )
        yield fields[0].strip(), fields[1].strip()


def _collect(
    path: Path, pair: Pair, rows: Iterable[tuple[str, str]], identical: Identical
) -> Lexicon:
    every = list(rows)
    full = [row for row in every if all(row)]
    same = sum(_is_identical(row) for row in full)
    kept = [row for row in full if identical == "keep" or not _is_identical(row)]
    if not kept:
        raise InvalidInputError(
            f"no word pair of {pair} is left of {path}: {len(every)} rows, "
            f"{len(every) - len(full)} with an empty cell, {same} identical in both languages"
        )
    return Lexicon(
        pair=pair,
        words=_group(kept),
        dropped_empty=len(every) - len(full),
        identical=same,
        dropped_identical=len(full) - len(kept),
    )


def _is_identical(row: tuple[str, str]) -> bool:
    return row[0].casefold() == row[1].casefold()


def _group(rows: Iterable[tuple[str, str]]) -> tuple[WordPair, ...]:
    """Return every source word once, with its targets once each, in the order of the rows."""
    targets: dict[str, dict[str, None]] = {}
    for source, target in rows:
        targets.setdefault(source, {})[target] = None
    return tuple(WordPair(source, tuple(found)) for source, found in targets.items())
