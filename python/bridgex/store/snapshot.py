"""Reading a store: a view of what was committed when it was taken."""

from __future__ import annotations

from functools import partial, reduce
from itertools import groupby
from typing import TYPE_CHECKING, get_args

from bridgex.errors import NotFoundError, StoreError
from bridgex.schema import GoldFilter, NeuronStatistics, Pair, WordPair
from bridgex.store.arrays import damaged
from bridgex.store.committed import read_counting
from bridgex.store.forms import form_of
from bridgex.store.inventory import commit_directories, misplaced_directories
from bridgex.store.layout import COMMITS, language_commits, pair_commits, statistics_arrays
from bridgex.store.markers import Marker, marker_names
from bridgex.store.parts import part_attributes, read_part
from bridgex.store.probes import Probes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridgex.schema import ProbeForm, Provenance
    from bridgex.store.folder import Folder
    from bridgex.store.layout import Kind


class Snapshot:
    """What a store held when the snapshot was taken; later commits do not show.

    Languages and pairs are named by normalised codes.
    """

    def __init__(self, folder: Folder, provenance: Provenance) -> None:
        self._folder = folder
        self._provenance = provenance
        directories = commit_directories(folder)
        listed = zip(directories, folder.each(self._list, directories), strict=True)
        self._names = {commits: names for commits, names in listed if names}
        self._markers: dict[str, tuple[list[Marker], list[Marker]]] = {}

    def _list(self, commits: str) -> list[str] | StoreError:
        """List the markers in a directory; if that fails, it is for those who ask for them."""
        try:
            return self._listed(commits)
        except StoreError as error:
            return error

    def _listed(self, commits: str) -> list[str]:
        names = marker_names(self._folder, commits)
        return names + misplaced_directories(self._folder, commits)

    @property
    def provenance(self) -> Provenance:
        """Where the activations come from."""
        return self._provenance

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories that hold markers or cannot be listed, by path in the store, in order."""
        return tuple(self._names)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that have statistics, sorted."""
        return tuple(sorted(self._series("statistics")))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The pairs that have probes, sorted.

        Raises
        ------
        StoreError
            If the markers of some pair cannot be read.
        """
        return tuple(
            sorted(
                {
                    Pair(marker.series[0], marker.series[1])
                    for name in self._series("probes")
                    for marker in self.markers(f"{COMMITS}/probes/{name}")
                }
            )
        )

    def _series(self, kind: Kind) -> list[str]:
        """Return the names of the directories of a kind."""
        found = (name.split("/") for name in self._names)
        return [name for _, its_kind, name in found if its_kind == kind]

    def markers(self, commits: str) -> list[Marker]:
        """Return the parts that count, of those committed in a directory, by series and place."""
        return self._read(commits)[1]

    def pair_markers(self, pair: Pair) -> list[Marker]:
        """Return the parts of a pair's probes that count, by gold filter and place."""
        # The pairs a, b-c and a-b, c share a directory.
        return [one for one in self.markers(pair_commits(pair)) if one.series[:-1] == pair]

    def committed(self, commits: str) -> list[Marker]:
        """Return all parts committed in a directory: also those that do not count."""
        return self._read(commits)[0]

    def _read(self, commits: str) -> tuple[list[Marker], list[Marker]]:
        names = self._names.get(commits, [])
        if isinstance(names, StoreError):
            raise names
        if commits not in self._markers:
            relist = partial(self._listed, commits)
            markers, counting = read_counting(self._folder, commits, names, relist)
            self._markers[commits] = list(markers.values()), counting
        return self._markers[commits]

    def statistics(self, language: str, corpus: str | None = None) -> NeuronStatistics:
        """Add up the statistics of a language.

        Parameters
        ----------
        language
            Code of the language.
        corpus
            Name of one corpus of the language; all of them by default.

        Returns
        -------
        NeuronStatistics
            Within each corpus the parts are added in the order of their places, from zeros; then
            the corpora in the order of their names. The same bits, whatever was committed when,
            by how many workers, and compacted since.

        Raises
        ------
        NotFoundError
            If there are no statistics of the language or corpus.
        StoreError
            If a file of the store is missing or has another size than it should.
        """
        markers = self.markers(language_commits(language))
        if not markers:
            raise _absent(f"statistics of {language}", "languages", self.languages)
        chosen = [marker for marker in markers if corpus in (None, marker.series[1])]
        if not chosen:
            names = sorted({marker.series[1] for marker in markers})
            raise _absent(f"corpus {corpus!r} of {language}", "corpora", names)
        corpora = groupby(chosen, key=lambda marker: marker.series)
        return self._sum(self._sum(map(self._part_statistics, parts)) for _, parts in corpora)

    def _sum(self, terms: Iterable[NeuronStatistics]) -> NeuronStatistics:
        return reduce(
            NeuronStatistics.merge, terms, NeuronStatistics.zeros(self._provenance.neuron_count)
        )

    def _part_statistics(self, marker: Marker) -> NeuronStatistics:
        shape = (self._provenance.neuron_count,)
        names = [
            name
            for name in statistics_arrays(self._provenance)
            # What was imported lacks what the other program did not write.
            if name in marker.arrays or not self._provenance.imported
        ]
        # All of a statistics part is read anyway, so its checksums cost next to nothing.
        arrays = read_part(self._folder, marker, dict.fromkeys(names, shape))
        if (arrays["positive_count"] > arrays.get("routed_count", marker.counted)).any():
            raise damaged(
                self._folder.display(marker.directory),
                f"a neuron is on at more than its tokens, out of {marker.counted}",
            )
        return NeuronStatistics.of_known(
            arrays, token_count=marker.counted, record_count=marker.records
        )

    def probes(self, pair: Pair, gold: GoldFilter | None = None) -> Probes:
        """Open the probe activations of a pair.

        Parameters
        ----------
        pair
            Source and target language.
        gold
            Which probes; by default those with the gold filter (``keep``), and those without
            (``off``) where there are no others.

        Raises
        ------
        NotFoundError
            If there are no such probes.
        StoreError
            If a file of the store is missing.
        """
        markers = self.pair_markers(pair)
        if not markers:
            raise _absent(f"probes of {pair}", "pairs", self._series("probes"))
        policies: list[GoldFilter] = [
            policy
            for policy in get_args(GoldFilter)
            if any(marker.series[2] == policy for marker in markers)
        ]
        if gold is None:
            gold = policies[0]
        elif gold not in policies:
            raise _absent(f"probes of {pair} with gold filter {gold}", "policies", policies)
        chosen = [marker for marker in markers if marker.series[2] == gold]
        return self._open_probes(pair, gold, chosen)

    def probe_form(self, pair: Pair, gold: GoldFilter) -> ProbeForm:
        """Return what the probes of a pair keep; all neurons where nothing else is said."""
        # Committed before any of these probes, and never changed: as it was for the snapshot.
        return form_of(self._folder, pair, gold, self._provenance)

    def _open_probes(self, pair: Pair, gold: GoldFilter, markers: list[Marker]) -> Probes:
        form = self.probe_form(pair, gold)
        return Probes(
            pair=pair,
            gold=gold,
            words=tuple(word for marker in markers for word in self._part_words(marker, form)),
            considered=sum(marker.records for marker in markers),
            layer_sizes=self._provenance.layer_sizes,
            form=form,
            _folder=self._folder,
            _parts=tuple(marker for marker in markers if marker.counted),
        )

    def _part_words(self, marker: Marker, form: ProbeForm) -> list[WordPair]:
        attributes = part_attributes(self._folder, marker)
        place = self._folder.display(marker.directory)
        words = attributes.get("words", [])
        if len(words) != marker.counted:
            raise damaged(place, f"expected {marker.counted} words, found {len(words)}")
        if attributes.get("neurons") != form.digest:
            raise damaged(place, "its neurons are not those that the pair's probes keep")
        return [WordPair(source, tuple(targets)) for source, targets in words]


def _absent(what: str, kinds: str, there: Sequence[str]) -> NotFoundError:
    if not there:
        return NotFoundError(
            f"the store has no {what}: it has no {kinds} yet", hint="Ingest them first."
        )
    return NotFoundError(
        f"the store has no {what}", hint=f"It has these {kinds}: {', '.join(there)}."
    )
