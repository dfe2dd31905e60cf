"""Where texts are and how they are read, as options."""

from __future__ import annotations

from functools import wraps
from typing import Any

import click

from bridgex.cli.options import F, LanguageCode, combined
from bridgex.texts import RECORDS, TEXT_FORMATS


class LanguageText(click.ParamType[tuple[str, str]]):
    """A language and where a text in it is."""

    name = "language=text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the language code and the place."""
        if isinstance(value, tuple):
            return value[0], value[1]
        language, separator, path = value.partition("=")
        if not separator or not path:
            self.fail(
                f"expected LANGUAGE=FILE, for example sw=swahili.txt, got {value!r}", param, ctx
            )
        return LanguageCode().convert(language, param, ctx), path


def text_options(function: F, *, required: bool = True) -> F:
    """Add ``--text`` and how texts are read; they arrive as ``texts`` and ``text_choices``."""
    options = combined(
        click.option(
            "--text",
            "texts",
            type=LanguageText(),
            multiple=True,
            required=required,
            help="A language and a text in it: a file, a directory, - for standard input, or "
            "hf://datasets/OWNER/NAME/PATH. Once for every language.",
        ),
        click.option(
            "--text-format",
            "format",
            type=click.Choice(TEXT_FORMATS),
            help="What is in the files of text.  [default: told by the end of their names]",
        ),
        click.option(
            "--field",
            default="text",
            show_default=True,
            help="Field or column with the text, of JSON lines, Parquet, CSV and TSV; meta.text "
            "is text within meta.",
        ),
        click.option(
            "--records",
            type=click.Choice(RECORDS),
            default="line",
            show_default=True,
            help="Of text: a record is a line, or a document that ends at a blank line.",
        ),
        click.option(
            "--limit", type=click.IntRange(min=1), help="Records of each text.  [default: all]"
        ),
    )

    @wraps(function)
    def collect(*args: Any, **values: Any) -> Any:
        choices = {name: values.pop(name) for name in ("format", "field", "records", "limit")}
        return function(*args, text_choices=choices, **values)

    return options(collect)  # type: ignore[return-value]  # the wrapper takes other keywords
