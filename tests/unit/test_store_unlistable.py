"""A directory of markers that cannot be listed: refused by what asks for all, never left out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.faults.places import open_place, unprivileged

from bridgex.corpora import split_parts, split_words
from bridgex.errors import NotFoundError, StoreError
from bridgex.schema import Pair, WordPair
from bridgex.store import Store, compact, merge
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = [f"rekodi ya {number}" for number in range(7)]
UNLISTABLE = ["statistics/en", "probes/id-tl", "neurons/id-tl"]


@pytest.fixture
def store() -> Iterator[Store]:
    with open_place() as place:
        store = Store.create(place / "store", synthetic.provenance(), part_bytes=25, probe_block=3)
        for language in ("en", "sw"):
            for part in split_parts(TEXT, language=language, part_bytes=25):
                store.add_statistics(part, synthetic.statistics(part.records))
        words = [WordPair(text, ("salita",)) for text in TEXT]
        for pair in (Pair("id", "tl"), Pair("sw", "en")):
            for block in split_words(words, pair=pair, block=3):
                store.add_probes(block, synthetic.probes(block, "off"), "off")
        yield store


@contextmanager
def denied(store: Store, series: str) -> Iterator[None]:
    path = store.path / "commits" / series
    path.chmod(0)
    try:
        with unprivileged():
            yield
    finally:
        path.chmod(0o755)


def merged(store: Store) -> object:
    return merge([store], store.path.parent / "merged")


@pytest.mark.parametrize("series", UNLISTABLE)
@pytest.mark.parametrize("use", [merged, compact, Store.info])
def test_what_asks_for_all_is_refused(
    store: Store, series: str, use: Callable[[Store], object]
) -> None:
    with (
        denied(store, series),
        pytest.raises(StoreError, match=rf"cannot read .*{series}.*Permission denied") as error,
    ):
        use(store)
    assert error.value.hint is not None
    assert not (store.path.parent / "merged").exists()


def test_pairs_are_never_left_out(store: Store) -> None:
    with denied(store, "probes/id-tl"):
        snapshot = store.snapshot()
        with pytest.raises(StoreError, match=r"probes/id-tl: Permission denied"):
            _ = snapshot.pairs
        assert snapshot.languages == ("en", "sw")


def test_the_rest_can_be_used(store: Store) -> None:
    with denied(store, "probes/id-tl"):
        assert store.snapshot().statistics("en").record_count == 7
        assert store.snapshot().probes(Pair("sw", "en")).sample_count == 7
        with pytest.raises(NotFoundError, match="no probes of en-tl") as error:
            store.snapshot().probes(Pair("en", "tl"))
    assert error.value.hint == "It has these pairs: id-tl, sw-en."
    compact(store, languages=["sw"])
