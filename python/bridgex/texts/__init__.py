"""Text from where it lies: files of several kinds, directories, standard input and the Hub."""

from bridgex.texts.files import TEXT_FORMATS
from bridgex.texts.records import RECORDS
from bridgex.texts.sources import STANDARD_INPUT, TextSource, open_text

__all__ = ["RECORDS", "STANDARD_INPUT", "TEXT_FORMATS", "TextSource", "open_text"]
