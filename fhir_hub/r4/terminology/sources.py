"""Where terminology comes from: several sources, asked in turn, the nearest first.

What a request brings with it goes before what is stored, that before what is imported, and
R4's own comes last. Within one source the newest version is meant where none is named.

Spec: https://hl7.org/fhir/R4/terminology-service.html
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from fhir_hub import fhirjson
from fhir_hub.r4.packages import Package
from fhir_hub.r4.terminology.canonical import Canonical, matches, order
from fhir_hub.r4.terminology.concepts import CodeSystem, Facts
from fhir_hub.r4.terminology.listed import ListedSystem, header_of


class Source(Protocol):
    """One place that terminology comes from."""

    def code_systems(self, url: str) -> Sequence[CodeSystem]:
        """Return every version of a code system that is here."""

    def supplements(self) -> Iterable[Facts]:
        """Return the CodeSystems here that supplement others."""

    def value_sets(self, url: str) -> Sequence[Facts]:
        """Return every version of a value set that is here."""

    def concept_maps(self) -> Iterable[Facts]:
        """Return all concept maps."""

    def of_all(self, value_set: str) -> Canonical | None:
        """Return the code system here whose `valueSet` this is."""

    def systems(self) -> Iterable[Canonical]:
        """Return the code systems that are here."""


class Shelf:
    """A source of resources in memory; `add` puts one there, or in the place of its version."""

    def __init__(self, resources: Iterable[Facts] = ()) -> None:
        self._systems: dict[str, dict[str, Facts]] = {}
        self._built: dict[Canonical, CodeSystem] = {}
        self._value_sets: dict[str, dict[str, Facts]] = {}
        self._maps: list[Facts] = []
        self._supplements: dict[Canonical, Facts] = {}
        self._of_all: dict[str, Canonical] = {}
        for resource in resources:
            self.add(resource)

    def add(self, resource: Facts) -> None:
        """Put a CodeSystem, ValueSet or ConceptMap here; others are not terminology."""
        kind, url = resource.get("resourceType"), resource.get("url", "")
        if not isinstance(url, str):
            return
        here = Canonical(url, str(resource.get("version", "")))
        if kind == "CodeSystem":
            self._systems.setdefault(url, {})[here.version] = resource
            self._built.pop(here, None)
            if resource.get("content") == "supplement":
                self._supplements[here] = resource
            if isinstance(value_set := resource.get("valueSet"), str):
                self._of_all[value_set.partition("|")[0]] = here
        elif kind == "ValueSet":
            self._value_sets.setdefault(url, {})[here.version] = resource
        elif kind == "ConceptMap":
            # two of the same address are asked both, where none is named
            self._maps.append(resource)

    def remove(self, kind: str, canonical: Canonical) -> None:
        """Take a resource away."""
        if kind == "CodeSystem":
            self._systems.get(canonical.url, {}).pop(canonical.version, None)
            self._built.pop(canonical, None)
            self._supplements.pop(canonical, None)
            self._of_all = {k: one for k, one in self._of_all.items() if one != canonical}
        elif kind == "ValueSet":
            self._value_sets.get(canonical.url, {}).pop(canonical.version, None)
        else:
            self._maps = [one for one in self._maps if _canonical(one) != canonical]

    def code_systems(self, url: str) -> Sequence[CodeSystem]:
        """Return every version of a code system."""
        return [self._system(Canonical(url, version)) for version in self._systems.get(url, ())]

    def _system(self, canonical: Canonical) -> CodeSystem:
        found = self._built.get(canonical)
        if found is None:
            resource = self._systems[canonical.url][canonical.version]
            found = self._built[canonical] = ListedSystem(resource)
        return found

    def supplements(self) -> Iterable[Facts]:
        """Return the CodeSystems here that supplement others."""
        return self._supplements.values()

    def of_all(self, value_set: str) -> Canonical | None:
        """Return the code system whose `valueSet` this is."""
        return self._of_all.get(value_set)

    def value_sets(self, url: str) -> Sequence[Facts]:
        """Return every version of a value set."""
        return list(self._value_sets.get(url, {}).values())

    def concept_maps(self) -> Iterable[Facts]:
        """Return all concept maps."""
        return self._maps

    def systems(self) -> Iterable[Canonical]:
        """Return the code systems."""
        return [Canonical(url, v) for url, versions in self._systems.items() for v in versions]


def _canonical(resource: Facts) -> Canonical:
    return Canonical(str(resource.get("url", "")), str(resource.get("version", "")))


class OwnSource:
    """R4's own terminology; a resource is read when it is asked for."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._raw: dict[str, dict[str, bytes]] = {}
        self._systems: dict[str, CodeSystem] = {}
        self._value_sets: dict[str, Facts] = {}
        self._maps: list[Facts] | None = None

    def _part(self, name: str) -> dict[str, bytes]:
        found = self._raw.get(name)
        if found is None:
            found = self._raw[name] = self._package.terminology(name)
        return found

    def code_systems(self, url: str) -> Sequence[CodeSystem]:
        """Return the one version of a code system."""
        if url not in self._systems:
            raw = self._part("code-systems").get(url)
            if raw is None:
                return ()
            self._systems[url] = ListedSystem(fhirjson.loads(raw))
        return (self._systems[url],)

    def supplements(self) -> Iterable[Facts]:
        """Return none: the only one of R4 is an example."""
        return ()

    def of_all(self, value_set: str) -> Canonical | None:
        """Return None: R4 defines these value sets."""

    def value_sets(self, url: str) -> Sequence[Facts]:
        """Return the one version of a value set."""
        if url not in self._value_sets:
            raw = self._part("value-sets").get(url)
            if raw is None:
                return ()
            self._value_sets[url] = fhirjson.loads(raw)
        return (self._value_sets[url],)

    def concept_maps(self) -> Iterable[Facts]:
        """Return all concept maps."""
        if self._maps is None:
            self._maps = [fhirjson.loads(raw) for raw in self._part("concept-maps").values()]
        return self._maps

    def systems(self) -> Iterable[Canonical]:
        """Return the code systems."""
        headers = [header_of(fhirjson.loads(raw)) for raw in self._part("code-systems").values()]
        return [Canonical(header.url, header.version) for header in headers]


class Found(NamedTuple):
    """A code system, or None, and the versions of it that there are."""

    system: CodeSystem | None
    versions: tuple[str, ...]


class Catalogue:
    """All sources, the nearest first."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)

    def before(self, source: Source) -> "Catalogue":
        """Return a catalogue that asks `source` first."""
        return Catalogue((source, *self.sources))

    def system(self, url: str, version: str = "") -> Found:
        """Return the code system of a version, or of the newest of the nearest source.

        One without content, which only says that it exists, gives way to one that has.
        """
        everywhere = [one for source in self.sources for one in source.code_systems(url)]
        versions = sorted({one.header.version for one in everywhere}, key=order)
        for source in self.sources:
            fitting = [
                one
                for one in source.code_systems(url)
                if (not version or matches(version, one.header.version))
                and one.header.content != "not-present"
            ]
            if fitting:
                newest = max(fitting, key=lambda one: order(one.header.version))
                return Found(newest, tuple(versions))
        return Found(None, tuple(versions))

    def value_set(self, url: str, version: str = "") -> Facts | None:
        """Return the value set of a version, or of the newest of the nearest source."""
        for source in self.sources:
            fitting = [
                one
                for one in source.value_sets(url)
                if not version or matches(version, str(one.get("version", "")))
            ]
            if fitting:
                return max(fitting, key=lambda one: order(str(one.get("version", ""))))
        return None

    def supplement(self, url: str, version: str = "") -> Facts | None:
        """Return the CodeSystem that is this supplement, None if there is none."""
        for source in self.sources:
            for one in source.supplements():
                is_version = not version or matches(version, str(one.get("version", "")))
                if one.get("url") == url and is_version:
                    return one
        return None

    def system_with_value_set(self, url: str) -> Canonical | None:
        """Return the code system that calls `url` the value set of all its codes."""
        for source in self.sources:
            if found := source.of_all(url):
                return found
        return None

    def concept_maps(self) -> Iterable[Facts]:
        """Yield every concept map, the nearest first."""
        for source in self.sources:
            yield from source.concept_maps()
