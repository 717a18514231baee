"""The examples in the docstrings of the hub are so.

pytest's own `--doctest-modules` looks through every module and test for the few that have one,
once in each process of the tests.
"""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [path for path in (ROOT / "fhir_hub").rglob("*.py") if ">>> " in path.read_text("utf-8")]
NAMES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_module_are_so(name):
    told = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))

    assert told.attempted
    assert not told.failed
