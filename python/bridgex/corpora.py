"""The parts that the records of a corpus, and word pairs, are stored in.

A *record* is a sentence or document of a text, or one word pair of a lexicon. Where a part begins
and ends follows from the records alone, never from a machine, a clock or the number of workers. A
part knows its *place*: how many records come before it, and a digest chained over all of them. Text
that was appended to a file leaves every earlier place as it was; text that was changed does not.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bridgex.schema import Pair, WordPair

PART_BYTES = 262_144
"""UTF-8 bytes of text in a part of a corpus, unless the store says otherwise."""

PROBE_BLOCK = 256
"""Word pairs in a part of a word list, unless the store says otherwise."""

CHAIN_START = "0" * 64
"""The chain digest of no records."""


@dataclass(frozen=True)
class Place:
    """Where a part of a corpus begins.

    Attributes
    ----------
    language
        Code of the language.
    corpus
        Name of the corpus among those of the language.
    records_before
        Number of records of the corpus before the part.
    chain_before
        Chain digest (hex) of those records.
    """

    language: str
    corpus: str
    records_before: int
    chain_before: str


@dataclass(frozen=True)
class CorpusPart:
    """Consecutive records of a corpus.

    Attributes
    ----------
    place
        Where the part begins.
    records
        The records, in file order; at least one.
    chain_after
        Chain digest (hex) of all records up to the end of the part.
    """

    place: Place
    records: tuple[str, ...]
    chain_after: str

    def record_digests(self) -> NDArray[np.uint64]:
        """Return the first eight bytes of every record's SHA-256, uint64 (record,)."""
        return _short_digests(_digest(record) for record in self.records)


@dataclass(frozen=True)
class WordPlace:
    """Where a part of a pair's word list begins.

    Attributes
    ----------
    pair
        Source and target language.
    records_before
        Number of word pairs of the list before the part.
    chain_before
        Chain digest (hex) of those word pairs.
    """

    pair: Pair
    records_before: int
    chain_before: str


@dataclass(frozen=True)
class WordPart:
    """Consecutive word pairs of a pair's word list.

    Attributes
    ----------
    place
        Where the part begins.
    records
        The word pairs, in list order; at least one.
    chain_after
        Chain digest (hex) of all word pairs up to the end of the part.
    """

    place: WordPlace
    records: tuple[WordPair, ...]
    chain_after: str

    def record_digests(self) -> NDArray[np.uint64]:
        """Return the first eight bytes of every word pair's SHA-256, uint64 (record,)."""
        return _short_digests(_digest(_word_text(word)) for word in self.records)


def split_parts(
    records: Iterable[str],
    *,
    language: str,
    corpus: str = "default",
    part_bytes: int = PART_BYTES,
) -> Iterator[CorpusPart]:
    """Split a corpus into parts of whole records.

    A part takes records as long as their UTF-8 bytes (line ends not counted) stay within
    ``part_bytes``; a longer record is a part of its own. The records of one part are in memory at
    a time.

    Parameters
    ----------
    records
        All records of the corpus, from its first.
    language, corpus
        What the parts belong to.
    part_bytes
        Largest size of a part. Parts of one corpus must agree on it.

    Returns
    -------
    Iterator[CorpusPart]
        The parts, in order.

    Raises
    ------
    InvalidInputError
        If ``part_bytes`` is not positive, or the corpus has no name that can be stored.
    """
    check_corpus_name(corpus)
    if part_bytes < 1:
        raise InvalidInputError(f"a part holds at least 1 byte, not {part_bytes}")
    return _corpus_parts(records, Place(language, corpus, 0, CHAIN_START), part_bytes)


def check_corpus_name(name: str) -> None:
    """Refuse a name of a corpus that is empty, or cannot be written and shown everywhere.

    Raises
    ------
    InvalidInputError
        If it is.
    """
    surrogates = any("\ud800" <= letter <= "\udfff" for letter in name)
    if not name or "\0" in name or surrogates:
        raise InvalidInputError(
            f"expected a name for the corpus, as text without NUL, got {name!r}",
            hint="Choose another name (--corpus).",
        )


def _corpus_parts(records: Iterable[str], place: Place, part_bytes: int) -> Iterator[CorpusPart]:
    held: list[str] = []
    size, chain = 0, place.chain_before
    for record in records:
        length = len(record.encode())
        if held and size + length > part_bytes:
            part = CorpusPart(place, tuple(held), chain)
            yield part
            place = Place(
                place.language, place.corpus, place.records_before + len(held), part.chain_after
            )
            held, size = [], 0
        held.append(record)
        size += length
        chain = _extend(chain, _digest(record))
    if held:
        yield CorpusPart(place, tuple(held), chain)


def split_words(
    words: Iterable[WordPair], *, pair: Pair, block: int = PROBE_BLOCK
) -> Iterator[WordPart]:
    """Split the word list of a pair into parts. A word pair that came before is left out.

    Parameters
    ----------
    words
        The word pairs of one lexicon, or of several one after the other.
    pair
        Source and target language.
    block
        Largest number of word pairs in a part. Parts of one word list must agree on it.

    Returns
    -------
    Iterator[WordPart]
        The parts, in order.

    Raises
    ------
    InvalidInputError
        If ``block`` is not positive.
    """
    if block < 1:
        raise InvalidInputError(f"a part holds at least 1 word pair, not {block}")
    return _word_parts(iter(dict.fromkeys(words)), WordPlace(pair, 0, CHAIN_START), block)


def _word_parts(words: Iterator[WordPair], place: WordPlace, block: int) -> Iterator[WordPart]:
    while held := tuple(islice(words, block)):
        chain = place.chain_before
        for word in held:
            chain = _extend(chain, _digest(_word_text(word)))
        yield WordPart(place, held, chain)
        place = WordPlace(place.pair, place.records_before + len(held), chain)


def _word_text(word: WordPair) -> str:
    return json.dumps([word.source, *word.targets], ensure_ascii=False)


def _digest(record: str) -> bytes:
    return hashlib.sha256(record.encode()).digest()


def _extend(chain: str, digest: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(chain) + digest).hexdigest()


def _short_digests(digests: Iterable[bytes]) -> NDArray[np.uint64]:
    joined = b"".join(digest[:8] for digest in digests)
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)
