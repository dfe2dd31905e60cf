"""Fixtures and settings that all tests share."""

from __future__ import annotations

import os

# Two hypothesis runs of one commit test the same cases; `make test` must not depend on luck.
from hypothesis import settings

settings.register_profile("default", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("default")

# As the command line does, before torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
