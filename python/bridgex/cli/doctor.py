"""``bridgex doctor``: whether this installation, machine and model are fit for capture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridgex.cli.options import run_output_options
from bridgex.cli.output import emit

if TYPE_CHECKING:
    from bridgex.cli.output import Format

EXIT_FINDINGS = 3


@click.command()
@click.argument("model", required=False)
@click.option(
    "--path",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="Directory whose disk is tried: 128 MiB are written, read and removed.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the small copy runs.")
@click.option("--revision", help="Revision of a model on the Hub.")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the model.")
@run_output_options
def command(
    model: str | None,
    path: Path,
    device: str,
    revision: str | None,
    trust_remote_code: bool,
    format_: Format,
    output: Path | None,
) -> int:
    """Look at the installation and the machine, and try capture on a small copy of MODEL.

    MODEL is a Hub id, a directory or a config.json; its weights are not needed. Its configuration
    is shrunk and given random weights, and what capture finds in that copy is held against a plain
    loop over the modules' own weights. Exits with 3 if something is wrong.
    """
    from bridgex.cli.doctor_view import doctor_answer, look_at_machine

    sections = {"installation and machine": look_at_machine(path)}
    if model is not None:
        from bridgex.capture import examine_model

        sections[f"model {model}"] = examine_model(
            model, device=device, revision=revision, trust_remote_code=trust_remote_code
        )
    emit(doctor_answer(sections), format_=format_, output=output)
    wrong = any(one.state == "wrong" for found in sections.values() for one in found)
    return EXIT_FINDINGS if wrong else 0
