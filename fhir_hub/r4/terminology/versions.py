"""Which version of a code system or value set is meant, where several are known.

A value set may name one, or leave it open; a request may give a default for what is open
(`system-version`), demand one (`check-system-version`), or put one in the place of all
(`force-system-version`).

Spec: https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fhir_hub.r4.terminology.canonical import read_canonical

Patterns = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice: `stated` is what the value set says, `wanted` what was looked for.

    `versions` are those that are known; `is_changed` says that the request had the last word,
    by its parameter `changed_by`.
    """

    stated: str
    wanted: str
    is_changed: bool = False
    versions: tuple[str, ...] = ()
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request says of versions: url → version or pattern; `supplements` are canonicals."""

    default: Patterns = field(default_factory=dict)
    check: Patterns = field(default_factory=dict)
    force: Patterns = field(default_factory=dict)
    value_sets: Patterns = field(default_factory=dict)
    supplements: tuple[str, ...] = ()

    def choose(self, url: str, stated: str) -> Chosen:
        """Return the version to look for where a value set states one, or none."""
        if forced := self.force.get(url):
            return Chosen(stated, forced, is_changed=True, changed_by="force-system-version")
        if stated:
            return Chosen(stated, stated)
        by = "system-version" if url in self.default else "check-system-version"
        wanted = self.default.get(url) or self.check.get(url, "")
        return Chosen("", wanted, is_changed=bool(wanted), changed_by=by if wanted else "")

    def value_set_version(self, url: str) -> str:
        """Return the version of a value set that is named without one; empty: the newest."""
        return self.value_sets.get(url, "")


def patterns(canonicals: Iterable[str]) -> dict[str, str]:
    """Return url → version of canonicals that name both."""
    found = {}
    for one in canonicals:
        url, version = read_canonical(one)
        if version:
            found[url] = version
    return found
