"""A store: creation, identity, and the writing of parts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from bridgex.corpora import PART_BYTES, PROBE_BLOCK
from bridgex.errors import InvalidInputError, StoreError
from bridgex.schema import FULL_PROBES
from bridgex.store.candidate import Candidate, probes_candidate, statistics_candidate
from bridgex.store.checks import check_probes, check_statistics
from bridgex.store.committed import Committed, Coverage
from bridgex.store.forms import Forms, in_half_precision
from bridgex.store.info import StoreInfo, garbage_info, language_info, pair_info
from bridgex.store.layout import DIGESTS_ARRAY, FORMAT_VERSION, layer_array
from bridgex.store.local import LocalFolder, open_folder
from bridgex.store.root import Root, check_identity, check_sizes, create_root, read_root
from bridgex.store.snapshot import Snapshot
from bridgex.store.writer import commit, new_attempt

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.schema import (
        GoldFilter,
        NeuronStatistics,
        Pair,
        ProbeBlock,
        ProbeForm,
        Provenance,
    )
    from bridgex.store.folder import Folder


class Store:
    """Statistics and probes of one model, in a directory. Many processes may write at once.

    Make one with ``create``, ``open`` or ``open_or_create``.
    """

    def __init__(self, folder: Folder, root: Root) -> None:
        self._folder = folder
        self._root = root
        self._writer = secrets.token_hex(8)
        self._committed = Committed(folder)
        self._forms = Forms(folder, root.provenance, self._writer)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        provenance: Provenance,
        *,
        part_bytes: int = PART_BYTES,
        probe_block: int = PROBE_BLOCK,
    ) -> Store:
        """Create a store.

        Parameters
        ----------
        path
            A directory that is empty or does not exist.
        provenance
            Where all activations in the store come from.
        part_bytes, probe_block
            Size of the parts that corpora and word lists are split into.

        Raises
        ------
        StoreError
            If there is something at the path already.
        """
        folder = open_folder(path)
        folder.check_exclusive()
        if not create_root(folder, Root(provenance, part_bytes, probe_block)):
            raise StoreError(
                f"there is a store at {folder} already",
                hint="Choose another path, or add to the store that is there.",
            )
        return cls(folder, read_root(folder))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """Open a store.

        Raises
        ------
        NotFoundError
            If there is nothing at the path.
        StoreError
            If there is no store, a damaged one, or one of a newer format.
        """
        folder = open_folder(path)
        return cls(folder, read_root(folder))

    @classmethod
    def open_or_create(
        cls,
        path: str | os.PathLike[str],
        provenance: Provenance,
        *,
        part_bytes: int | None = None,
        probe_block: int | None = None,
    ) -> Store:
        """Open a store to add to it, creating it where there is none.

        Several processes may do so at once. ``part_bytes`` and ``probe_block`` are those of a new
        store; where there is one, they have to be its own if they are given.

        Raises
        ------
        ProvenanceError
            If the store was made by another model, tokenizer, site or policy; the message shows
            what differs, with both values.
        StoreError
            If there is something else at the path, or its parts have another size.
        """
        given = {"part_bytes": part_bytes, "probe_block": probe_block}
        sizes = {name: size for name, size in given.items() if size is not None}
        folder = open_folder(path)
        folder.check_exclusive()
        create_root(folder, Root(provenance, **sizes))
        store = cls(folder, read_root(folder))
        check_identity(folder, store.provenance, provenance)
        check_sizes(folder, store._root, sizes)
        return store

    @property
    def path(self) -> Path:
        """The directory of a store that is in one.

        Raises
        ------
        InvalidInputError
            If the store is on object storage.
        """
        if not isinstance(self._folder, LocalFolder):
            raise InvalidInputError(
                f"the store {self._folder} is not in a directory", hint="Use its location."
            )
        return self._folder.path

    @property
    def location(self) -> str:
        """The path or address of the store."""
        return str(self._folder)

    @property
    def folder(self) -> Folder:
        """All that is in the store, by path."""
        return self._folder

    @property
    def provenance(self) -> Provenance:
        """Where the activations come from."""
        return self._root.provenance

    @property
    def part_bytes(self) -> int:
        """UTF-8 bytes of text in a part of a corpus."""
        return self._root.part_bytes

    @property
    def probe_block(self) -> int:
        """Word pairs in a part of a word list."""
        return self._root.probe_block

    def snapshot(self) -> Snapshot:
        """Return a view of what is committed now."""
        return Snapshot(self._folder, self.provenance)

    def has_statistics(self, part: CorpusPart) -> bool:
        """Say whether all records of a part are stored. Raises as ``add_statistics``."""
        return self._covers(self._of_corpus(part))

    def missing_parts(self, parts: Iterable[CorpusPart]) -> Iterator[CorpusPart]:
        """Yield the parts of a corpus that are not stored. Raises as ``add_statistics``.

        What other workers commit while the parts are consumed is left out too.
        """
        return self._committed.missing((part, self._of_corpus(part)) for part in parts)

    def coverage(self, parts: Iterable[CorpusPart]) -> Coverage:
        """Compare a whole corpus with what is stored, before anything is computed.

        Raises
        ------
        InvalidInputError
            If a record differs from the stored one at its position.
        """
        return self._committed.coverage((part, self._of_corpus(part)) for part in parts)

    def add_statistics(self, part: CorpusPart, statistics: NeuronStatistics) -> bool:
        """Store the statistics of a part, once.

        Parameters
        ----------
        part
            A part of a corpus.
        statistics
            Sums over its tokens.

        Returns
        -------
        bool
            False if the part's records were stored already, or another worker was faster.

        Raises
        ------
        InvalidInputError
            If the statistics do not belong to the part and the model, or a record of the corpus
            differs from the stored one at its position.
        StoreError
            If the part cannot be written.
        """
        check_statistics(part, statistics, self.provenance)
        return self._add(self._of_corpus(part), statistics.token_count, statistics.known(), {})

    def has_probes(self, part: WordPart, gold: GoldFilter) -> bool:
        """Say whether all word pairs of a part were looked at. Raises as ``add_probes``."""
        return self._covers(self._of_words(part, gold))

    def missing_probes(self, parts: Iterable[WordPart], gold: GoldFilter) -> Iterator[WordPart]:
        """Yield the parts of a word list that are not stored. Raises as ``add_probes``."""
        return self._committed.missing((part, self._of_words(part, gold)) for part in parts)

    def probe_coverage(self, parts: Iterable[WordPart], gold: GoldFilter) -> Coverage:
        """Compare a whole word list with what is stored, before anything is computed.

        Raises
        ------
        InvalidInputError
            If a word pair differs from the stored one at its position.
        """
        return self._committed.coverage((part, self._of_words(part, gold)) for part in parts)

    def probe_form(self, pair: Pair, gold: GoldFilter) -> ProbeForm | None:
        """Return what the probes of a pair keep, or None while that is not decided."""
        return self._forms.stored(pair, gold)

    def decide_form(self, pair: Pair, gold: GoldFilter, form: ProbeForm) -> ProbeForm:
        """Decide what the probes of a pair keep, unless that was decided before.

        Parameters
        ----------
        pair, gold
            Whose probes.
        form
            What to keep of the activations.

        Returns
        -------
        ProbeForm
            What is kept: of several writers the first decides. Its neurons may have been chosen
            from other statistics than those of ``form``.

        Raises
        ------
        InvalidInputError
            If the neurons of ``form`` are not ascending ones of the model.
        StoreError
            If other neurons are kept (all, or another percentage), or another precision; or if
            nothing can be written.
        """
        return self._forms.decide(pair, gold, form)

    def add_probes(
        self,
        part: WordPart,
        block: ProbeBlock,
        gold: GoldFilter,
        form: ProbeForm = FULL_PROBES,
    ) -> bool:
        """Store the probe activations of a part of a word list, once.

        Parameters
        ----------
        part
            A part of a pair's word list.
        block
            Activations of its word pairs, or of those that passed the gold filter.
        gold
            The gold filter: probes with (``keep``) and without (``off``) are kept apart.
        form
            The neurons that ``block`` has, and the precision to store them in: what
            ``decide_form`` returned. The first part of a pair decides where nothing is decided.

        Returns
        -------
        bool
            False if the part's word pairs were stored already, or another worker was faster.

        Raises
        ------
        InvalidInputError
            If the activations do not belong to the part and the model, or a word pair of the
            list differs from the stored one at its position, or a value is too large for f16.
        StoreError
            If probes of the pair keep other neurons or another precision, or the part cannot be
            written.
        """
        check_probes(part, block, self.provenance, form)
        layers: tuple[NDArray[Any], ...] = block.activations
        if form.dtype == "f16":
            layers = in_half_precision(layers, block.words, form, self.provenance.layer_sizes)
        if self.decide_form(part.place.pair, gold, form).digest != form.digest:
            raise InvalidInputError(
                "the activations are not of the neurons that the store decided to keep",
                hint="Capture those that decide_form returns.",
            )
        arrays = {layer_array(layer): values for layer, values in enumerate(layers) if values.size}
        words = [[word.source, list(word.targets)] for word in block.words]
        attributes = {"words": words, "considered": block.considered}
        if form.digest is not None:
            attributes["neurons"] = form.digest
        return self._add(self._of_words(part, gold), block.sample_count, arrays, attributes)

    def info(self) -> StoreInfo:
        """Summarise what is in the store."""
        snapshot = self.snapshot()
        return StoreInfo(
            path=self.location,
            format_version=FORMAT_VERSION,
            provenance=self.provenance,
            part_bytes=self.part_bytes,
            probe_block=self.probe_block,
            languages=tuple(language_info(snapshot, language) for language in snapshot.languages),
            probes=tuple(
                info
                for pair in snapshot.pairs
                for info in pair_info(snapshot, pair, block=self.probe_block)
            ),
            garbage=garbage_info(self._folder),
            bytes_on_disk=sum(entry.size for entry in self._folder.walk()),
        )

    def _of_corpus(self, part: CorpusPart) -> Candidate:
        return statistics_candidate(part, self._root)

    def _of_words(self, part: WordPart, gold: GoldFilter) -> Candidate:
        return probes_candidate(part, gold, self._root)

    def _covers(self, candidate: Candidate) -> bool:
        self._committed.refresh(candidate.commits)
        return self._committed.covers(candidate)

    def _add(
        self,
        candidate: Candidate,
        counted: int,
        arrays: dict[str, NDArray[Any]],
        attributes: dict[str, Any],
    ) -> bool:
        if self._covers(candidate):
            return False
        marker = candidate.marker(counted=counted, attempt=new_attempt(), writer=self._writer)
        return commit(
            self._folder,
            marker,
            candidate.marker_path,
            arrays={**arrays, DIGESTS_ARRAY: candidate.span.digests},
            attributes={"kind": candidate.kind, **attributes},
        )
