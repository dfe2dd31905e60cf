"""Other ways to read the neurons of a model, or as much as is read with less work."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from bridgex.capture import collect_statistics
from bridgex.capture.batching import batches, record_rows
from bridgex.capture.passes import decoder_pass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridgex.capture import CaptureModel

    Counts = torch.Tensor | None


def bare_decoder(model: CaptureModel, records: Sequence[str]) -> Counts:
    """Run the batches of bridgex, and read nothing."""
    with torch.inference_mode():
        for batch in batches(record_rows(model, records), batch_tokens=model.batch_tokens):
            decoder_pass(model.decoder, batch.ids, model.device)()
    return None


def bridgex(model: CaptureModel, records: Sequence[str]) -> Counts:
    return torch.from_numpy(collect_statistics(model, records).positive_count)


def hidden_states(model: CaptureModel, records: Sequence[str]) -> Counts:
    """Keep the residual stream between layers, as transformers offers; neurons are not in it."""
    with torch.inference_mode():
        for batch in batches(record_rows(model, records), batch_tokens=model.batch_tokens):
            forward: Any = decoder_pass(model.decoder, batch.ids, model.device)
            output = forward(output_hidden_states=True)
            for states in output.hidden_states:
                states.sum((0, 1))
    return None


def per_prompt(model: CaptureModel, records: Sequence[str]) -> Counts:
    """Run text by text through the whole model, and move every layer's values to the host.

    So do the published scripts, but for marks, which are left out here as by bridgex.
    """
    network: Any = model.model
    layers: list[torch.Tensor] = []

    def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        layers.append(output.detach().cpu().float())

    handles = [site.module.register_forward_hook(keep) for site in model.sites]
    counts = torch.zeros(sum(site.width for site in model.sites), dtype=torch.int64)
    try:
        with torch.inference_mode():
            for text in records:
                ids = torch.tensor([model.tokenizer(text).input_ids])
                own = torch.from_numpy(~model.is_special(ids[0].numpy()))
                layers.clear()
                network(ids.to(model.device), use_cache=False)
                values = torch.cat([layer.reshape(len(own), -1) for layer in layers], 1)
                counts += (values[own] > 0).sum(0)
    finally:
        for handle in handles:
            handle.remove()
    return counts


def nnsight(model: CaptureModel, records: Sequence[str]) -> Counts:
    """Save every layer's values of the batches of bridgex, and count them afterwards."""
    library: Any = import_module("nnsight")
    traced = library.NNsight(model.decoder)
    counts = torch.zeros(sum(site.width for site in model.sites), dtype=torch.int64)
    for batch in batches(record_rows(model, records), batch_tokens=model.batch_tokens):
        ids = torch.from_numpy(batch.ids).to(model.device)
        with torch.inference_mode():
            with traced.trace(input_ids=ids, use_cache=False):
                layers = library.save([layer.mlp.act_fn.output for layer in traced.layers])
            own = torch.from_numpy(batch.counted)
            counts += torch.cat([(layer[own] > 0).sum(0) for layer in layers])
    return counts


def transformer_lens(model: CaptureModel, records: Sequence[str]) -> Counts:
    """Cache every layer's gate of the batches of bridgex: it has the sign of the activation."""
    lens = _wrapped(model)
    counts = torch.zeros(sum(site.width for site in model.sites), dtype=torch.int64)
    names = [f"blocks.{layer}.mlp.hook_pre" for layer in range(len(model.sites))]
    for batch in batches(record_rows(model, records), batch_tokens=model.batch_tokens):
        ids = torch.from_numpy(batch.ids).to(model.device)
        with torch.inference_mode():
            _, cached = lens.run_with_cache(ids, names_filter=names, return_type=None)
        own = torch.from_numpy(batch.counted)
        counts += torch.cat([(cached[name][own] > 0).sum(0) for name in names])
    return counts


@cache
def _wrapped(model: CaptureModel) -> Any:
    """Wrap a copy of a model, since its modules are replaced."""
    library: Any = import_module("transformer_lens.model_bridge")
    source = model.model.config.name_or_path
    network = deepcopy(model.model)
    return library.TransformerBridge.boot_transformers(
        source, hf_model=network, tokenizer=model.tokenizer, device=str(model.device)
    )


READERS = {
    "bridgex": bridgex,
    "bare decoder": bare_decoder,
    "hidden states": hidden_states,
    "per prompt": per_prompt,
    "nnsight": nnsight,
    "transformer_lens": transformer_lens,
}
