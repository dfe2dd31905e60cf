"""All waiting batches through one layer after the other: every parameter is read once.

The hidden states of the batches stay in memory and are overwritten by every layer; of the
parameters only one layer's are there (two while the next one is read in the background).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bridgex.capture.batching import Row, batches, prompt_rows, record_rows
from bridgex.capture.loading import loaded, loading_layers
from bridgex.capture.memory import Halving
from bridgex.capture.passes import decoder_pass
from bridgex.capture.recorder import reading
from bridgex.capture.recording import Shared, finish, record
from bridgex.capture.skeleton import HEAD, SURROUNDINGS
from bridgex.capture.sums import Means, Sums
from bridgex.capture.visits import Visit, Waiting
from bridgex.schema import NeuronStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from bridgex.capture.batching import Batch
    from bridgex.capture.choices import Question
    from bridgex.capture.costs import Budget, Loading
    from bridgex.capture.models import CaptureModel
    from bridgex.capture.sites import SiteModule
    from bridgex.capture.skeleton import Skeleton
    from bridgex.capture.sums import Reading
    from bridgex.progress import Progress


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Batches of one part.

    Attributes
    ----------
    batches
        What is run.
    read, keep
        Makes what hears of the values of some layers, and takes it when all batches were there.
    finished
        Gets the rows of every batch and their last hidden states (row, token, width).
    kept
        Bytes of what is read.
    units
        By how much a batch advances the progress.
    """

    batches: Sequence[Batch]
    read: Callable[[int], Reading] | None = None
    keep: Callable[[Any], None] | None = None
    finished: Callable[[Batch, Tensor], None] | None = None
    kept: int = 0
    units: Callable[[Batch], int] = lambda batch: len(batch.rows)


def sweep_statistics(
    model: CaptureModel, parts: Sequence[Sequence[str]], *, progress: Progress | None = None
) -> list[NeuronStatistics]:
    """Return the statistics of several parts, as ``collect_statistics`` does of each."""
    found: list[list[NeuronStatistics]] = [[] for _ in parts]
    costs = _budget(model).costs

    def job(records: Sequence[str], layers: list[NeuronStatistics]) -> _Job:
        return _Job(
            batches=list(batches(record_rows(model, records), batch_tokens=model.batch_tokens)),
            read=lambda layer: Sums(_sites(model, layer), model.device),
            keep=lambda sums: layers.append(sums.result(len(records))),
            kept=costs.part,
            units=lambda batch: batch.ids.size,
        )

    _sweep(model, [job(*part) for part in zip(parts, found, strict=True)], progress)
    return [NeuronStatistics.of_layers(layers) for layers in found]


def sweep_probes(
    model: CaptureModel,
    parts: Sequence[Sequence[str]],
    *,
    neurons: Sequence[NDArray[np.int64]] | None = None,
    progress: Progress | None = None,
) -> list[tuple[NDArray[np.float32], ...]]:
    """Return the activations of several lists of prompts, as ``collect_probes`` does of each."""
    found: list[list[NDArray[np.float32]]] = [[] for _ in parts]
    costs = _budget(model).costs
    sizes = model.provenance.layer_sizes if neurons is None else [len(rows) for rows in neurons]

    def job(prompts: Sequence[str], layers: list[NDArray[np.float32]]) -> _Job:
        def read(layer: int) -> Means:
            return Means(_sites(model, layer), [layer], model.device, len(prompts), neurons)

        return _Job(
            batches=list(batches(prompt_rows(model, prompts), batch_tokens=model.batch_tokens)),
            read=read,
            keep=lambda means: layers.extend(means.result()),
            kept=costs.probes(len(prompts), sizes),
        )

    _sweep(model, [job(*part) for part in zip(parts, found, strict=True)], progress)
    return [tuple(layers) for layers in found]


def sweep_states(
    model: CaptureModel, questions: Sequence[Question], *, progress: Progress | None = None
) -> list[list[Tensor]]:
    """Return for every question and row the last hidden states (position, width) that matter."""
    found = [[torch.empty(0)] * len(question.rows) for question in questions]

    def job(question: Question, states: list[Tensor]) -> _Job:
        def keep(batch: Batch, hidden: Tensor) -> None:
            for row, state in zip(batch.rows, hidden, strict=True):
                states[row] = state[question.starts[row] - 1 :].clone()

        rows = [Row(ids, np.ones(len(ids), dtype=np.bool_)) for ids in question.rows]
        return _Job(batches=list(batches(rows, batch_tokens=model.batch_tokens)), finished=keep)

    _sweep(model, [job(*part) for part in zip(questions, found, strict=True)], progress)
    return found


@contextmanager
def loaded_head(model: CaptureModel) -> Iterator[None]:
    """Have the language-model head in memory."""
    if model.skeleton is None:
        yield
        return
    with loaded(model.skeleton, HEAD):
        yield


def _sweep(model: CaptureModel, jobs: Sequence[_Job], progress: Progress | None) -> None:
    """Run the batches of all jobs through the model, layer by layer.

    Raises
    ------
    ModelSupportError
        When the layers cannot be run one at a time, or one was not read with every token.
    InvalidInputError
        When an activation is no number, the parameters cannot be read, or memory does not suffice
        for a single row.

    Notes
    -----
    Memory: the hidden states of all batches and the recorded arguments, one layer (or the
    embeddings), and what one batch needs in a layer.
    """
    skeleton = _skeleton(model)
    halving = Halving()
    if not any(job.batches for job in jobs):
        for layer in range(len(skeleton.layers)):
            for job in jobs:
                _visit(model, job, (), layer, halving)
        return
    waiting = _record(skeleton, jobs)
    share = _Share(jobs, progress)
    with loading_layers(skeleton, _loading(model, jobs)) as loaded_layer:
        for layer in range(len(skeleton.layers)):
            with loaded_layer(layer):
                for job, items in zip(jobs, waiting, strict=True):
                    _visit(model, job, items, layer, halving)
            share.tell(layer + 1, len(skeleton.layers))
    halving.tell(model.reporter)
    if any(job.finished for job in jobs):
        _finish(skeleton, jobs, waiting)


def _skeleton(model: CaptureModel) -> Skeleton:
    assert model.skeleton is not None
    return model.skeleton


def _loading(model: CaptureModel, jobs: Sequence[_Job]) -> Loading:
    """Return how layers are loaded beside what waits."""
    tokens = sum(batch.ids.size for job in jobs for batch in job.batches)
    kept = sum(job.kept for job in jobs)
    budget = _budget(model)
    return budget.loading(budget.costs.group(tokens, 0) + kept)


def _budget(model: CaptureModel) -> Budget:
    assert model.budget is not None
    return model.budget


def _record(skeleton: Skeleton, jobs: Sequence[_Job]) -> list[list[Waiting]]:
    shared = Shared()
    with loaded(skeleton, SURROUNDINGS):
        return [
            [
                Waiting(batch, record(skeleton.layers, _pass(skeleton, batch), shared))
                for batch in job.batches
            ]
            for job in jobs
        ]


def _pass(skeleton: Skeleton, batch: Batch) -> Callable[[], Any]:
    return decoder_pass(skeleton.decoder, batch.ids, skeleton.device)


def _visit(
    model: CaptureModel, job: _Job, items: Sequence[Waiting], layer: int, halving: Halving
) -> None:
    if job.read is None:
        visit = Visit(model, layer, halving, None)
        for waiting in items:
            visit.run(waiting)
        return
    into = job.read(layer)
    with reading(_sites(model, layer), into.add) as meter:
        visit = Visit(model, layer, halving, (into, meter))
        for waiting in items:
            visit.run(waiting)
    if job.keep:
        job.keep(into)


def _sites(model: CaptureModel, layer: int) -> list[SiteModule]:
    return [site for site in model.sites if site.layer == layer]


def _finish(skeleton: Skeleton, jobs: Sequence[_Job], waiting: Sequence[Sequence[Waiting]]) -> None:
    """Hand out the decoder's output: what comes after its layers is applied."""
    with loaded(skeleton, SURROUNDINGS):
        for job, items in zip(jobs, waiting, strict=True):
            if job.finished is None:
                continue
            for batch, recorded in items:
                output = finish(skeleton.layers, _pass(skeleton, batch), recorded)
                job.finished(batch, output.last_hidden_state)


class _Share:
    """Tells progress, spread over the layers."""

    def __init__(self, jobs: Sequence[_Job], progress: Progress | None) -> None:
        self._progress = progress
        self._total = sum(job.units(batch) for job in jobs for batch in job.batches)
        self._told = 0

    def tell(self, layers: int, count: int) -> None:
        """Say that some of the layers are done."""
        done = self._total * layers // count
        if self._progress is not None and done > self._told:
            self._progress.advance(done - self._told)
        self._told = done
