"""The compiled files of FHIR definitions, read when they are asked for: the only file access of r4.

There are 215 of them and a hub needs twenty; a type that nobody stores costs nothing. What is
in them, and how they are made, is told in `tools/compile_definitions.py`.
"""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_DATA = Path(__file__).parent / "data"


class Package:
    """The compiled definitions in one folder; files are read anew at each call."""

    def __init__(self, folder: Path = _DATA) -> None:
        self._folder = folder

    def index(self) -> dict[str, Any]:
        """Return the FHIR version and the kind, base and abstractness of every type."""
        return self._read("index.json", dict[str, Any])

    def structure(self, name: str) -> dict[str, Any]:
        """Return the facts of the type `name`, which the index must know."""
        return self._read(f"types/{name}.json", dict[str, Any])

    def search_parameters(self) -> list[dict[str, Any]]:
        """Return the facts of every search parameter, sorted by url."""
        return self._read("search-parameters.json", list[dict[str, Any]])

    def codes(self) -> dict[str, dict[str, list[str]]]:
        """Return value set url → system → codes."""
        return self._read("codes.json", dict[str, dict[str, list[str]]])

    def compartments(self) -> dict[str, dict[str, list[str]]]:
        """Return compartment → resource type → codes of the parameters that put it there."""
        return self._read("compartments.json", dict[str, dict[str, list[str]]])

    def terminology(self, name: str) -> dict[str, bytes]:
        """Return url → JSON, of `name`: `code-systems`, `value-sets` or `concept-maps`."""
        raw = self._read(f"terminology/{name}.json", dict[str, msgspec.Raw])
        return {url: bytes(content) for url, content in raw.items()}

    def _read(self, path: str, shape: type[T]) -> T:
        return msgspec.json.decode((self._folder / path).read_bytes(), type=shape)
