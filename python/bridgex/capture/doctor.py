"""Whether a model can be captured exactly: tried on a small random copy of its architecture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoConfig

from bridgex.capture.collect import collect_probes, collect_statistics
from bridgex.capture.experts import is_read
from bridgex.capture.families import RESIDENT
from bridgex.capture.hub import fetch_configuration
from bridgex.capture.models import load_model
from bridgex.capture.passes import decoder_pass
from bridgex.capture.plain import plain_values, undefined
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.recorder import reading
from bridgex.capture.shrink import write_small
from bridgex.capture.sites import layer_experts, layer_sizes, locate_sites
from bridgex.capture.sources import is_hub_name
from bridgex.capture.towers import family_of, find_decoder, model_class
from bridgex.errors import BridgexError, InvalidInputError, ModelSupportError, NotFoundError
from bridgex.schema import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transformers import PreTrainedConfig

    from bridgex.capture.models import CaptureModel
    from bridgex.schema import NeuronStatistics, Site

TEXTS = (
    'English:"dog"',
    "Hund und Katze",
    "the quick brown fox",
    "水は流れる",
    "a",
    "das Haus am See",
)
"""What the small copy reads."""

_SITES: tuple[Site, ...] = ("act", "post")
# Of the largest value, or of its sum: what summing float32 in another order may change.
_TOLERANCE = 1e-4
_COUNTS = 1e-5


def examine_model(
    model: str | Path,
    *,
    device: str = "cpu",
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> list[Finding]:
    """Try capture on a small random copy of a model.

    Parameters
    ----------
    model
        A Hub id, a directory or a ``config.json``. The weights are neither needed nor read.
    device
        Where the small copy runs.
    revision
        Branch, tag or commit on the Hub.
    trust_remote_code
        Run code that the model brings along.

    Returns
    -------
    list of Finding
        Up to the first check that makes the others pointless.

    Raises
    ------
    NotFoundError, InvalidInputError
        When there is no configuration to read.

    Notes
    -----
    Cost: seconds, and some 100 MB of memory and of the directory for temporary files.
    """
    with quiet_transformers():
        config = read_config(model, revision=revision, trust_remote_code=trust_remote_code)
        findings: list[Finding] = []
        try:
            findings.append(_row(config))
            findings.append(_sizes(config, trust_remote_code=trust_remote_code))
            findings.extend(_quantised(config))
            with TemporaryDirectory(prefix="bridgex-doctor-") as directory:
                findings.append(_write(config, Path(directory)))
                findings.extend(_try_out(Path(directory), device))
        except ModelSupportError as error:
            detail = ". ".join(filter(None, (error.message, error.hint)))
            findings.append(Finding("capture", "wrong", detail))
        return findings


def read_config(
    model: str | Path, *, revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedConfig:
    """Return a model's configuration.

    Raises
    ------
    NotFoundError
        When there is no such file, directory or Hub id.
    InvalidInputError
        When the file is no configuration that transformers knows.
    """
    path = Path(model).expanduser()
    if not path.exists() and is_hub_name(model):
        path = fetch_configuration(str(model), revision=revision)
    if not (path.is_file() or (path / "config.json").is_file()):
        raise NotFoundError(
            f"a config.json was expected at {path}, there is none",
            hint="Name a config.json, a directory that holds one, or a model on the Hub.",
        )
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            path, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(
            f"a model's configuration was expected in {model}: "
            f"{str(error).strip().partition(chr(10))[0]}",
            hint="Check the file, or update transformers.",
        ) from error
    return config


def _row(config: PreTrainedConfig) -> Finding:
    architecture = config.get_text_config().model_type
    family = family_of(config)
    ways = [
        f"act after {block.activation}, post before {block.down_projection}"
        for block in (family.block, family.shared)
        if block is not None
    ]
    routed = [] if family.experts is None else [f"act and post of experts within {family.experts}"]
    return Finding("architecture", "ok", f"{architecture}: {'; '.join([*routed, *ways])}")


def _sizes(config: PreTrainedConfig, *, trust_remote_code: bool) -> Finding:
    """Find the neurons of the model itself, none of whose parameters are made."""
    try:
        with torch.device("meta"):
            model = model_class(config).from_config(config, trust_remote_code=trust_remote_code)
    except Exception as error:  # what a configuration does that does not fit is up to its class
        raise _not_built("the model", error) from error
    decoder = find_decoder(model)
    text = decoder.config
    layers = text.num_hidden_layers
    sites = locate_sites(decoder, layers, text.model_type, "act")
    sizes = layer_sizes(sites, layers)
    span = f"{max(sizes):,}" if len(set(sizes)) == 1 else f"{min(sizes):,} to {max(sizes):,}"
    detail = f"{layers} layers of {span}, {sum(sizes):,} in all"
    routed = sorted({one for one in layer_experts(sites, layers) if one.expert_count})
    kinds = ", ".join(f"{one.expert_count} experts of {one.width:,}" for one in routed)
    return Finding("neurons", "ok", f"{detail}; {kinds}" if routed else detail)


def _quantised(config: PreTrainedConfig) -> Iterator[Finding]:
    told = getattr(config, "quantization_config", None)
    if told is not None:
        method = told.get("quant_method") if isinstance(told, dict) else told.quant_method
        detail = f"{method}: can be read in memory alone, as transformers does; the copy has none"
        yield Finding("quantised weights", "note", detail)


def _write(config: PreTrainedConfig, directory: Path) -> Finding:
    try:
        small = write_small(config, directory)
    except Exception as error:  # what a configuration does that does not fit is up to its class
        raise _not_built("a small copy", error) from error
    size = sum(parameter.numel() for parameter in small.parameters())
    text: Any = small.config.get_text_config()
    detail = f"{text.num_hidden_layers} layers, hidden size {text.hidden_size}, {size:,} parameters"
    return Finding("small random copy", "ok", detail)


def _not_built(what: str, error: Exception) -> ModelSupportError:
    return ModelSupportError(
        f"{what} could not be built from the configuration: {type(error).__name__}: {error}",
        hint="What capture of this model gives has not been tried.",
    )


def _try_out(directory: Path, device: str) -> Iterator[Finding]:
    for site in _SITES:
        model = _open(directory, device, site=site)
        if site == "act":
            yield from _definitions(model)
        yield _checked(f"statistics of {site}", partial(_statistics, model))
        yield _checked(f"probes of {site}", partial(_probes, model))
    yield _checked("batches of another size", partial(_batches, directory, device))
    yield _checked("outputs with and without hooks", partial(_outputs, model))
    check = "resident and layer by layer"
    if model.provenance.architecture in RESIDENT:
        yield Finding(check, "note", "layers take keys from earlier ones: read in memory only")
    else:
        yield _checked(check, partial(_sweep, directory, device))


def _open(directory: Path, device: str, **options: Any) -> CaptureModel:
    chosen: dict[str, Any] = {"mode": "resident", "batch_tokens": 64} | options
    return load_model(directory, device=device, dtype="float32", **chosen)


def _checked(check: str, run: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        passed, detail = run()
    except BridgexError as error:
        passed, detail = False, error.message
    return Finding(check, "ok" if passed else "wrong", detail)


def _definitions(model: CaptureModel) -> Iterator[Finding]:
    unknown = {undefined(one) for one in model.sites} - {None}
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        yield Finding("non-linearity", "note", f"{names} is taken as the library computes it")


def _plain(model: CaptureModel) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the neurons of all layers (token, neuron) for every text; NaN if not routed there."""
    site = model.provenance.site
    return [np.hstack(plain_values(model, text, site)) for text in TEXTS]


def _statistics(model: CaptureModel) -> tuple[bool, str]:
    values = np.vstack(_plain(model))
    routed = np.isfinite(values)
    values = np.where(routed, values, 0)
    found = collect_statistics(model, TEXTS)
    scale = float(np.abs(values).max())
    near_zero = (routed & (np.abs(values) < _TOLERANCE * scale)).sum(0)
    counts = np.abs(found.positive_count - (values > 0).sum(0))
    sums = np.abs(found.sum - values.sum(0)).max() / (scale * len(values))
    squares = np.abs(found.sum_squares - (values**2).sum(0)).max() / (scale**2 * len(values))
    reached = routed.any(0)
    highest = np.where(routed, values, -np.inf).max(0)[reached]
    largest = np.abs(found.maximum[reached] - highest).max() / scale
    passed = (
        found.token_count == len(values)
        and np.array_equal(found.seen, routed.sum(0))
        and bool(np.isneginf(found.maximum[~reached]).all())
        and bool((counts <= near_zero).all())
        and max(sums, squares, largest) < _TOLERANCE
    )
    return passed, (
        f"{found.token_count} tokens of {len(values)}, {counts.sum():,} of {routed.sum():,} counts "
        f"differ, sums by {sums:.0e}, maxima by {largest:.0e} from a plain loop"
    )


def _probes(model: CaptureModel) -> tuple[bool, str]:
    means = np.stack([_routed_mean(text) for text in _plain(model)], axis=1)
    found = np.vstack(collect_probes(model, TEXTS))
    difference = float(np.abs(found - means).max() / np.abs(means).max())
    return difference < _TOLERANCE, f"means differ by {difference:.0e} from a plain loop"


def _routed_mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """Return means (neuron,) over the tokens that a neuron sees; 0 where it sees none."""
    routed = np.isfinite(values)
    return np.where(routed, values, 0).sum(0) / np.maximum(routed.sum(0), 1)


def _batches(directory: Path, device: str) -> tuple[bool, str]:
    one, other = (
        collect_statistics(_open(directory, device, batch_tokens=tokens, max_tokens=64), TEXTS)
        for tokens in (16, 2048)
    )
    return compare_statistics(one, other)


def compare_statistics(one: NeuronStatistics, other: NeuronStatistics) -> tuple[bool, str]:
    """Return whether two differ by rounding alone, and by how much."""
    counts = int(np.abs(one.positive_count - other.positive_count).sum())
    counts += int(np.abs(one.seen - other.seen).sum())
    seen = max(1, int(one.seen.sum()))
    sums = float(np.abs(one.sum - other.sum).max() / np.abs(other.sum).max())
    passed = one.token_count == other.token_count and counts <= _COUNTS * seen
    detail = f"{counts:,} of {seen:,} counts differ, sums by {sums:.0e}"
    return passed and sums < _TOLERANCE, detail


def _outputs(model: CaptureModel) -> tuple[bool, str]:
    ids = np.arange(4, 36).reshape(2, 16)
    forward = decoder_pass(model.decoder, ids, model.device)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            states: torch.Tensor = forward().last_hidden_state
        return states

    free = run()
    with reading(model.sites, lambda *_: None) as meter, meter.forward(ids.size):
        read = run()
    left = sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + is_read(module)  # noqa: SLF001  (no other way)
        for module in model.model.modules()
    )
    same = torch.equal(free, read)
    detail = f"{'equal' if same else 'different'} bits, {left} hooks left afterwards"
    return same and left == 0, detail


def _sweep(directory: Path, device: str) -> tuple[bool, str]:
    """Compare the model in memory with one of which a layer at a time is."""
    one, other = (_open(directory, device, mode=mode) for mode in ("resident", "sweep"))
    statistics = (collect_statistics(model, TEXTS) for model in (one, other))
    known = [found.known() for found in statistics]
    probes = [collect_probes(model, TEXTS) for model in (one, other)]
    pairs = [*((known[0][name], known[1][name]) for name in known[0]), *zip(*probes, strict=True)]
    differing = sum(left.tobytes() != right.tobytes() for left, right in pairs)
    return differing == 0, f"{len(pairs) - differing} of {len(pairs)} arrays have equal bits"


def describe_device() -> str:
    """Return where models run unless told otherwise."""
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        return f"cuda: {found.name}, {found.total_memory / 2**30:.1f} GiB"
    if torch.backends.mps.is_available():
        return "mps"
    return f"cpu, {torch.get_num_threads()} threads"
