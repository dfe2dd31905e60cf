"""The whole: a model and texts in, a ranking of bridges and its proof out.

Every stage is yielded as soon as it is done. What was captured stays in the store, so a run that
was interrupted goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridgex.analysis import overlap, rank_bridges
from bridgex.analysis.probe_neurons import check_top_neurons, probe_form
from bridgex.analysis.spectra import spectrum_of
from bridgex.analysis.spectrum_inputs import language_neurons, spectrum_inputs
from bridgex.analysis.spectrum_options import SpectrumOptions
from bridgex.analysis.uncertainties import spectrum_uncertainty
from bridgex.analysis.word_draws import Resampling
from bridgex.engines.generator import ModelGenerator
from bridgex.engines.local import ingest_corpora, ingest_probes
from bridgex.errors import InvalidInputError
from bridgex.evals.agreement import Agreement, can_compare, compare_with_ranking
from bridgex.evals.bli import BliTask
from bridgex.evals.runner import run as evaluate
from bridgex.evals.strategies import ZERO_SHOT, Strategy
from bridgex.evals.summary import Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridgex.analysis import LanguageNeurons, Overlap, Ranking, Spectrum, Uncertainty
    from bridgex.capture import CaptureModel
    from bridgex.engines.local import Probed, Text
    from bridgex.evals.results import Results
    from bridgex.lexicon import Lexicon
    from bridgex.progress import Reporter
    from bridgex.schema import GoldFilter, Neurons, NeuronStatistics, ProbeDtype, Provenance
    from bridgex.store import Snapshot, Store


@dataclass(frozen=True)
class Request:
    """What to find out.

    Attributes
    ----------
    lexicon
        Word pairs of source and target: they become probes, and the examples of the evaluation.
    bridges
        Candidates.
    texts
        A corpus for the pair's languages and every candidate, by language code.
    gold
        Which words become probes: those that the model translates right, or all.
    neurons, probe_dtype
        The neurons whose activations on the probes are stored (all, or the ``top`` ones that the
        scores need), and in which precision.
    all_words_if_few
        Where too few words are translated right, use all instead of refusing, and say so.
    words
        Number of words that the evaluation asks for; by default all.
    options
        The choices behind the scores.
    resampling
        What is drawn to say how far the ranking can be trusted.
    threads
        Worker threads of the analysis; by default ``BRIDGEX_NUM_THREADS``, or all cores. The model
        has its own.
    """

    lexicon: Lexicon
    bridges: tuple[str, ...]
    texts: Mapping[str, Text]
    gold: GoldFilter = "keep"
    neurons: Neurons = "all"
    probe_dtype: ProbeDtype = "f32"
    all_words_if_few: bool = False
    words: int | None = None
    options: SpectrumOptions = field(default_factory=SpectrumOptions)
    resampling: Resampling = field(default_factory=Resampling)
    threads: int | None = None

    def __post_init__(self) -> None:
        needed = dict.fromkeys((*self.lexicon.pair, *self.bridges))
        missing = [language for language in needed if language not in self.texts]
        if missing:
            raise InvalidInputError(
                f"no text of {', '.join(missing)}",
                hint="Every language needs one: --text LANGUAGE=FILE.",
            )
        if not self.bridges:
            raise InvalidInputError("no candidate bridge", hint="Name some: --bridges en,es,fr.")
        if self.neurons == "top":
            check_top_neurons(self.options)

    def check(self, provenance: Provenance) -> None:
        """Refuse what this model cannot answer, before anything is captured."""
        self.options.check_sizes(provenance.layer_sizes)


@dataclass(frozen=True)
class SharedNeurons:
    """The languages' neurons, and how many every two share."""

    neurons: LanguageNeurons
    overlap: Overlap


@dataclass(frozen=True)
class Ranked:
    """The ranking, how far it can be trusted, and the spectrum that it comes from."""

    ranking: Ranking
    uncertainty: Uncertainty
    spectrum: Spectrum


@dataclass(frozen=True)
class Evaluated:
    """Word translation by every strategy, and whether the ranking predicted it.

    ``agreement`` is None where fewer than two candidates could be scored.
    """

    results: Results
    summary: Summary
    agreement: Agreement | None


Stage = dict[str, "NeuronStatistics"] | SharedNeurons | Ranked | Evaluated


def run(
    model: CaptureModel, store: Store, request: Request, *, reporter: Reporter
) -> Iterator[Stage]:
    """Run the pipeline, stage after stage.

    Parameters
    ----------
    model
        The model in question.
    store
        Keeps what is captured. Its provenance must be the model's.
    request
        What to find out.
    reporter
        Hears of progress, and of choices that were made.

    Yields
    ------
    Statistics by language; the neurons that languages share; the spectrum and the ranking; the
    evaluation and its verdict.

    Raises
    ------
    BridgexError
        Where a stage cannot be done; the stages before it are kept in the store.
    """
    ingest_corpora(model, store, request.texts, reporter=reporter)
    gold = _ingest_probes(model, store, request, reporter)
    snapshot = store.snapshot()
    yield {language: snapshot.statistics(language) for language in request.texts}
    yield _shared(snapshot, request)
    ranked = _rank(snapshot, request, gold, reporter)
    yield ranked
    yield _evaluate(model, request, ranked.ranking, reporter)


def _ingest_probes(
    model: CaptureModel, store: Store, request: Request, reporter: Reporter
) -> GoldFilter:
    """Add the probes, and return the gold filter that is to be used."""
    done = _ingest(model, store, request, request.gold, reporter)
    if request.gold == "off" or done.enough or not request.all_words_if_few:
        done.require_enough()
        return request.gold
    reporter.note(
        f"only {done.samples} of {done.considered} words are translated right by the model: "
        "all words become probes, whether translated right or not"
    )
    _ingest(model, store, request, "off", reporter).require_enough()
    return "off"


def _ingest(
    model: CaptureModel, store: Store, request: Request, gold: GoldFilter, reporter: Reporter
) -> Probed:
    form = probe_form(
        store,
        request.lexicon.pair,
        gold,
        neurons=request.neurons,
        percent=request.options.selection.top_percent,
        dtype=request.probe_dtype,
    )
    return ingest_probes(model, store, request.lexicon, gold=gold, form=form, reporter=reporter)


def _shared(snapshot: Snapshot, request: Request) -> SharedNeurons:
    everything, _ = language_neurons(snapshot, request.options.selection)
    neurons = everything.only(tuple(request.texts))
    return SharedNeurons(neurons, overlap(neurons, threads=request.threads))


def _rank(snapshot: Snapshot, request: Request, gold: GoldFilter, reporter: Reporter) -> Ranked:
    inputs = spectrum_inputs(
        snapshot,
        request.lexicon.pair,
        bridges=request.bridges,
        gold=gold,
        options=request.options,
    )
    found = spectrum_of(inputs, threads=request.threads)
    ranking = rank_bridges(found)
    trust = spectrum_uncertainty(
        inputs,
        found,
        layers=ranking.layers,
        resampling=request.resampling,
        threads=request.threads,
        reporter=reporter,
    )
    return Ranked(ranking, trust, found)


def _evaluate(
    model: CaptureModel, request: Request, ranking: Ranking, reporter: Reporter
) -> Evaluated:
    strategies = [ZERO_SHOT, *(Strategy("bridge", code) for code in request.bridges)]
    task = BliTask.from_lexicon(request.lexicon, limit=request.words)
    results = evaluate(task, strategies, ModelGenerator(model), reporter=reporter)
    scores = dict(zip(ranking.bridges, ranking.score.tolist(), strict=True))
    comparable = can_compare(results, scores)
    if not comparable:
        reporter.note("fewer than two candidates could be scored: the ranking cannot be checked")
    return Evaluated(
        results=results,
        summary=summarise(results),
        agreement=compare_with_ranking(results, scores) if comparable else None,
    )
