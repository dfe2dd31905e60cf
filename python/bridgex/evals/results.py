"""Every prediction of an evaluation, kept so that it can be scored again without the model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.files import write_atomically
from bridgex.schema import Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SCHEMA = "bridgex.predictions/1"


@dataclass(frozen=True)
class Prediction:
    """What one strategy made of one example.

    Attributes
    ----------
    example
        Name of the example, the same for all strategies.
    strategy
        Name of the strategy.
    prompt_hash
        SHA-256 (hex) of the prompts.
    prompts, outputs
        What was asked and what came back, step by step; the last output holds the answer.
    answer
        The answer in the form that is compared.
    golds
        Accepted answers, as the data has them.
    correct
        Whether the answer equals one of them.
    identical
        Whether the example's input is an accepted answer already.
    """

    example: str
    strategy: str
    prompt_hash: str
    prompts: tuple[str, ...]
    outputs: tuple[str, ...]
    answer: str
    golds: tuple[str, ...]
    correct: bool
    identical: bool


@dataclass(frozen=True)
class Results:
    """All predictions of one task, pair, model and scoring rule.

    Attributes
    ----------
    task, generator, scoring
        Names of the task and the scoring rule, and the identity of the model.
    pair
        Source and target.
    predictions
        Strategy after strategy, the examples of each in the same order.
    """

    task: str
    pair: Pair
    generator: str
    scoring: str
    predictions: tuple[Prediction, ...]

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies, in order."""
        return tuple(dict.fromkeys(found.strategy for found in self.predictions))

    def without_identical(self) -> Results:
        """Return the results on the examples that copying the input does not solve."""
        kept = tuple(found for found in self.predictions if not found.identical)
        return Results(self.task, self.pair, self.generator, self.scoring, kept)

    def correct(self, strategy: str) -> NDArray[np.bool_]:
        """Return which examples a strategy got right, bool (example,).

        Raises
        ------
        NotFoundError
            The strategy was not run.
        """
        marks = [found.correct for found in self.predictions if found.strategy == strategy]
        if not marks:
            raise NotFoundError(
                f"no prediction is by {strategy!r}; there are: {', '.join(self.strategies)}"
            )
        return np.array(marks, dtype=bool)


def hash_prompts(prompts: Sequence[str]) -> str:
    """Return the SHA-256 (hex) of the prompts of one example."""
    return hashlib.sha256(json.dumps(list(prompts), ensure_ascii=False).encode()).hexdigest()


def write_predictions(results: Results, path: str | Path) -> None:
    """Write results as Parquet: a row a prediction, the common values in the file's metadata."""
    import io

    import polars as pl

    texts = pl.List(pl.String)
    frame = pl.DataFrame(
        [asdict(found) for found in results.predictions],
        schema={
            "example": pl.String, "strategy": pl.String, "prompt_hash": pl.String,
            "prompts": texts, "outputs": texts, "answer": pl.String, "golds": texts,
            "correct": pl.Boolean, "identical": pl.Boolean,
        },
    )  # fmt: skip
    about = {"schema": _SCHEMA, "task": results.task, "generator": results.generator}
    about |= {"source": results.pair.source, "target": results.pair.target}
    buffer = io.BytesIO()
    frame.write_parquet(buffer, metadata=about | {"scoring": results.scoring})
    write_atomically(Path(path), buffer.getvalue())


def read_predictions(path: str | Path) -> Results:
    """Read what ``write_predictions`` wrote.

    Raises
    ------
    NotFoundError
        There is no such file.
    InvalidInputError
        The file holds no predictions, or those of a later version.
    """
    import polars as pl

    if not Path(path).is_file():
        raise NotFoundError(f"there are no predictions at {path}")
    try:
        about = pl.read_parquet_metadata(path)
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(f"{path} is not a whole Parquet file") from error
    if about.get("schema") != _SCHEMA:
        raise InvalidInputError(
            f"{path} holds {about.get('schema', 'no predictions')!r}, expected {_SCHEMA!r}"
        )
    listed = ("prompts", "outputs", "golds")
    predictions = tuple(
        Prediction(**(row | {name: tuple(row[name]) for name in listed}))
        for row in frame.iter_rows(named=True)
    )
    return Results(
        task=about["task"],
        pair=Pair(about["source"], about["target"]),
        generator=about["generator"],
        scoring=about["scoring"],
        predictions=predictions,
    )
