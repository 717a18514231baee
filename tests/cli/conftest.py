"""The command line, called as a shell calls it, in the test's own process."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fhir_hub.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"


class Ended(NamedTuple):
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch, capfdbinary) -> Run:
    """Return what runs `fhir-hub` with arguments."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv(
        "FHIR_HUB_WORKERS", "1"
    )  # workers begin as copies of the process: of the test

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["fhir-hub", *(str(one) for one in arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfdbinary.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, out.decode("utf-8"), err.decode("utf-8"))

    return call


@pytest.fixture
def first() -> Path:
    return EXAMPLES / "messages" / "01_ADT_A04_chc_register.hl7"
