"""Models and texts on a Hub, from the command line: what is fetched, recorded and refused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.hub_server import serving
from tests.integration.hub_commands import running

from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hub_server import Hub
    from tests.integration.hub_commands import Commands, Outcome


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def bridgex(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with running(hub.url, tmp_path_factory.mktemp("commands")) as commands:
        yield commands


@pytest.fixture(autouse=True)
def _right_again(hub: Hub) -> None:
    hub.asked.clear()
    hub.cuts.clear()
    hub.failing = None


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "de.txt"
    path.write_text("Hund und Katze\ndas Haus\n" * 20, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def files(
    model_directory: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Return the files of a model in shards, and what lies beside them on the Hub."""
    from transformers import AutoModelForCausalLM

    whole = model_directory("llama")
    directory = tmp_path_factory.mktemp("shards")
    untyped: Any = AutoModelForCausalLM
    untyped.from_pretrained(whole).save_pretrained(directory, max_shard_size="15KB")
    found = {path.name: path.read_bytes() for path in (*whole.iterdir(), *directory.iterdir())}
    del found["model.safetensors"]
    assert len(shards_of(found)) > 2
    beside = ("README.md", "consolidated.safetensors", "original/model.pth", "pytorch_model.bin")
    return found | dict.fromkeys(beside, bytes(9000))


def shards_of(files: dict[str, bytes]) -> list[str]:
    return sorted(path for path in files if path.startswith("model-"))


def sent_weights(hub: Hub, name: str) -> dict[str, int]:
    endings = (".safetensors", ".bin", ".pth")
    return {path: size for path, size in hub.sent(name).items() if path.endswith(endings)}


def test_a_model_is_fetched_once_and_its_commit_recorded(
    hub: Hub, bridgex: Commands, files: dict[str, bytes], text: Path, tmp_path: Path
) -> None:
    old = hub.add("model", "one/model", files).names["main"]
    changed = files | {"README.md": b"another"}
    hub.repositories["model", "one/model"].commit(changed)
    command = ("ingest", "corpus", "one/model", tmp_path / "store", "--text", f"de={text}")
    done = bridgex(*command, "--revision", old)
    assert done.code == 0, done.err
    assert sent_weights(hub, "one/model") == {path: len(files[path]) for path in shards_of(files)}
    assert "README.md" not in hub.sent()
    found = Store.open(tmp_path / "store").provenance
    assert found.model == f"one/model@{old}"

    hub.asked.clear()
    again = bridgex(*command)
    assert "0 parts added" in again.err, "another commit with equal weights is the same model"
    assert sent_weights(hub, "one/model") == {}


def test_numbers_are_those_of_the_directory(
    hub: Hub,
    bridgex: Commands,
    files: dict[str, bytes],
    model_directory: Callable[..., Path],
    text: Path,
    tmp_path: Path,
) -> None:
    hub.add("model", "two/model", files)
    stores = []
    for number, (model, mode) in enumerate(
        (("two/model", "resident"), ("two/model", "sweep"), (model_directory("llama"), "resident"))
    ):
        path = tmp_path / f"{number}"
        done = bridgex("ingest", "corpus", model, path, "--text", f"de={text}", "--mode", mode)
        assert done.code == 0, done.err
        stores.append(Store.open(path).snapshot().statistics("de"))
    for other in stores[1:]:
        assert other.sum.tobytes() == stores[0].sum.tobytes()


def test_a_plan_fetches_no_weights(
    hub: Hub,
    bridgex: Commands,
    files: dict[str, bytes],
    model_directory: Callable[..., Path],
    text: Path,
) -> None:
    # Headers need some 100 kB, so the last shard is made larger than that.
    last = shards_of(files)[-1]
    large = files | {last: files[last] + bytes(500_000)}
    hub.add("model", "three/model", large)
    options = ("--text", f"de={text}", "--device", "cpu", "--memory-limit", "1TiB")
    done = bridgex("plan", "three/model", *options, "--format", "json")
    assert done.code == 0, done.err
    assert sent_weights(hub, "three/model")[last] <= 100_001
    here = bridgex("plan", model_directory("llama"), *options, "--format", "json")
    one, other = (json.loads(out) for out in (done.out, here.out))
    plans = [{row["part"]: row["bytes"] for row in found["rows"]} for found in (one, other)]
    for found in plans:
        # It is what the process holds.
        del found["base"]
    assert plans[0] == plans[1]
    for name in ("tokens", "sweeps", "bytes_per_sweep", "store_bytes", "mode"):
        assert one[name] == other[name]


def test_a_plan_is_made_of_what_is_here_without_the_hub(
    hub: Hub, bridgex: Commands, files: dict[str, bytes], text: Path, tmp_path: Path
) -> None:
    hub.add("model", "four/model", files)
    command = ("ingest", "corpus", "four/model", tmp_path / "store", "--text", f"de={text}")
    assert bridgex(*command).code == 0
    del hub.repositories["model", "four/model"]
    done = bridgex("plan", "four/model", "--device", "cpu")
    assert done.code == 0, done.err
    assert bridgex(*command).code == 0, "what is in the cache needs no Hub"


def test_pickled_weights_are_fetched_where_there_are_no_others(
    hub: Hub, bridgex: Commands, files: dict[str, bytes], text: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load

    tensors = {
        name: tensor for path in shards_of(files) for name, tensor in load(files[path]).items()
    }
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    kept = {path: content for path, content in files.items() if "safetensors" not in path}
    hub.add("model", "five/model", kept | {
        "pytorch_model.bin": (tmp_path / "pytorch_model.bin").read_bytes(),
        "training_args.bin": bytes(100),
    })  # fmt: skip
    done = bridgex("ingest", "corpus", "five/model", tmp_path / "s", "--text", f"de={text}")
    assert done.code == 0, done.err
    assert set(sent_weights(hub, "five/model")) == {"pytorch_model.bin"}
    done = bridgex("plan", "five/model", "--device", "cpu")
    assert done.code == 1
    assert "safetensors files are needed" in done.err


def test_a_doctor_needs_the_configuration_alone(
    hub: Hub, bridgex: Commands, files: dict[str, bytes]
) -> None:
    hub.add("model", "six/model", files)
    done = bridgex("doctor", "six/model")
    assert done.code == 0, done.err
    assert set(hub.sent("six/model")) == {"config.json"}


@pytest.mark.parametrize(
    ("arguments", "message", "advice"),
    [
        (("nobody/nothing",), "the model 'nobody/nothing' is not on the Hub, or it is", "hf auth"),
        (("seven/model", "--revision", "v9"), "at revision v9 is not on the Hub: there", "branch"),
        (("seven/gated",), "the model 'seven/gated' needs permission on the Hub", "Ask for access"),
        (("seven/gguf",), "'seven/gguf' has none", "original model"),
        (("seven/adapter",), "'seven/adapter' has none", "original model"),
        (("seven/torn",), "2 of them are not there", "to its end"),
        (("seven/a/model",), "names there have the form owner/name", "directory was meant"),
    ],
)
def test_what_the_hub_does_not_give_is_said(
    hub: Hub,
    bridgex: Commands,
    files: dict[str, bytes],
    text: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    advice: str,
) -> None:
    hub.add("model", "seven/model", files)
    hub.add("model", "seven/gated", files).gated = True
    hub.add("model", "seven/gguf", {"model.gguf": b"GGUF", "README.md": b""})
    hub.add("model", "seven/adapter", {"config.json": b"{}", "adapter_model.safetensors": b""})
    gone = shards_of(files)[:2]
    torn = {path: content for path, content in files.items() if path not in gone}
    hub.add("model", "seven/torn", torn)
    name, *rest = arguments
    store = tmp_path / "store"
    done = bridgex("ingest", "corpus", name, store, "--text", f"de={text}", *rest)
    assert done.code == 1, done.err
    assert message in done.err
    assert advice in done.err
    assert "Traceback" not in done.err
    assert not store.exists()


def test_a_transfer_that_breaks_off_is_taken_up_again(
    hub: Hub, bridgex: Commands, files: dict[str, bytes], text: Path, tmp_path: Path
) -> None:
    hub.add("model", "eight/model", files)
    shard = shards_of(files)[0]
    hub.cuts[shard] = [100, 2000]
    done = bridgex("ingest", "corpus", "eight/model", tmp_path / "store", "--text", f"de={text}")
    assert done.code == 0, done.err
    assert hub.cuts[shard] == []
    (kept,) = (bridgex.directory / "hub").glob(f"hub/models--eight--model/snapshots/*/{shard}")
    assert kept.read_bytes() == files[shard]


@pytest.mark.parametrize("command", [("plan",), ("ingest", "corpus")])
def test_a_transfer_that_stays_broken_leaves_nothing(
    hub: Hub,
    bridgex: Commands,
    files: dict[str, bytes],
    text: Path,
    tmp_path: Path,
    command: tuple[str, ...],
) -> None:
    name = f"nine/{command[0]}"
    hub.add("model", name, files)
    hub.cuts[shards_of(files)[1]] = [0] * 20
    store = tmp_path / "store"
    places = () if command == ("plan",) else (store,)
    done = bridgex(*command, name, *places, "--text", f"de={text}")
    assert done.code == 1
    assert f"the Hub cannot be reached for the model '{name}'" in done.err
    assert "Traceback" not in done.err
    assert not store.exists()
    hub.cuts.clear()
    again = bridgex(*command, name, *places, "--text", f"de={text}")
    assert again.code == 0, again.err


def test_a_hub_in_trouble_is_told_from_one_without_the_model(
    hub: Hub, bridgex: Commands, files: dict[str, bytes], text: Path
) -> None:
    hub.add("model", "ten/model", files)
    hub.failing = 503
    done = bridgex("plan", "ten/model", "--text", f"de={text}")
    assert done.code == 1
    assert "the Hub refused the model 'ten/model'" in done.err
    assert "503" in done.err


def test_a_streamed_text_that_breaks_off_in_its_capture_is_gone_on_with(
    hub: Hub, bridgex: Commands, model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    # A paragraph at the start of every request, and blank lines up to the next one.
    words = b"Hund und Katze\ndas Haus\n" * 20
    block = words + b"%65535s\n" % b"" * 127
    content = (block + b" " * ((8 << 20) - len(block) - 1) + b"\n") * 9
    hub.add("dataset", "owner/words", {"de.txt": content})
    (tmp_path / "de.txt").write_bytes(words * 9)
    model = model_directory("llama")
    plan = ("plan", model, "--device", "cpu", "--text", "de=hf://datasets/owner/words")
    assert bridgex(*plan).code == 0
    assert hub.sent() == {"de.txt": len(content)}

    def ingest(store: str, place: object) -> Outcome:
        options = ("--text", f"de={place}", "--part-bytes", "1024")
        return bridgex("ingest", "corpus", model, tmp_path / store, *options)

    hub.asked.clear()
    # It is read for errors, compared with the store, and captured up to its fifth request.
    hub.cuts["de.txt"] = [8 << 20] * (9 + 9 + 4) + [0] * 20
    broken = ingest("streamed", "hf://datasets/owner/words")
    assert broken.code == 1
    assert "the Hub cannot be reached for de.txt of the dataset owner/words" in broken.err
    assert hub.sent() == {"de.txt": (9 + 9 + 4) * (8 << 20)}

    hub.cuts.clear()
    again = ingest("streamed", "hf://datasets/owner/words")
    assert re.search(r"de: [1-9]\d* parts added .*, [1-9]\d* were there", again.err), again.err
    assert ingest("local", tmp_path / "de.txt").code == 0
    streamed, local = (
        Store.open(tmp_path / name).snapshot().statistics("de") for name in ("streamed", "local")
    )
    assert streamed.token_count == local.token_count
    assert streamed.sum.tobytes() == local.sum.tobytes()
