"""The terminology of a hub: one place to ask what codes there are, mean and belong to.

It joins the sources to a catalogue and answers by the modules beside it. A value set that was
asked about is kept ready until what the sources hold changes (`stamp`).

Spec: https://hl7.org/fhir/R4/terminology-service.html
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from fhir_hub.errors import FhirError
from fhir_hub.r4.packages import Package
from fhir_hub.r4.terminology.compose import Composed, Composer
from fhir_hub.r4.terminology.concepts import CodeSystem, Facts
from fhir_hub.r4.terminology.expand import require_listable
from fhir_hub.r4.terminology.formal import FormalSource
from fhir_hub.r4.terminology.lookup import relation
from fhir_hub.r4.terminology.problems import too_costly
from fhir_hub.r4.terminology.sources import Catalogue, OwnSource, Shelf, Source
from fhir_hub.r4.terminology.versions import Rules

_KEPT = 500
_LONGEST = 500  # characters of an address that is kept


class Terminology:
    """What is asked of terminology; `stamp` changes whenever a source does."""

    def __init__(self, sources: Sequence[Source], stamp: Callable[[], object] = int) -> None:
        self.catalogue = Catalogue(sources)
        self._stamp, self._seen = stamp, stamp()
        self._composed: dict[str, Composed | None] = {}

    def contains(self, value_set: str, system: str, code: str, *, version: str = "") -> bool | None:
        """Return whether `system`|`code` is in the value set, None if that cannot be told.

        An empty `system` is any. A `version` that the value set does not mean is not in it.
        """
        composed = self._ready(value_set)
        if composed is None:
            return None
        if version and not _means(composed, system, version):
            return False
        return composed.contains(system, code)

    def codes(self, value_set: str | Facts, most: int) -> list[tuple[str, str]]:
        """Return the codes of a value set (a canonical, a resource) as (system, code).

        Raises `UnknownTerminology` for a value set that is not here, `TooCostly` for more than
        `most` codes, `Unanswerable` if it is faulty.
        """
        composer = Composer(self.catalogue, Rules())
        if isinstance(value_set, str):
            composed = composer.by_url(value_set)
        else:
            composed = composer.of(value_set)
        require_listable(composed, Rules())
        found = list(islice(composed.members(), most + 1))
        if len(found) > most:
            raise too_costly(str(composed.canonical), most)
        return [(one.system, one.concept.code) for one in found]

    def below(self, system: str, code: str) -> Iterable[str] | None:
        """Yield `code` and all codes below it, None if the system is not known."""
        found = self.system(system)
        return None if found is None else _with(code, found.below(code))

    def above(self, system: str, code: str) -> Iterable[str] | None:
        """Yield `code` and all codes above it, None if the system is not known."""
        found = self.system(system)
        return None if found is None else _with(code, found.above(code))

    def system(self, url: str, version: str = "") -> CodeSystem | None:
        """Return a code system, None if it is not here."""
        return self.catalogue.system(url, version).system

    def subsumes(self, system: str, first: str, second: str) -> str | None:
        """Return how two codes stand to each other, None if the system is not here."""
        found = self.system(system)
        return None if found is None else relation(found, first, second)

    def composer(self, rules: Rules, brought: Iterable[Facts] = ()) -> Composer:
        """Return what makes value sets ready by `rules`, with what a request brings with it."""
        shelf = Shelf(brought)
        return Composer(self.catalogue.before(shelf), rules)

    def _ready(self, value_set: str) -> Composed | None:
        stamp = self._stamp()
        if stamp != self._seen or len(self._composed) > _KEPT:
            self._composed, self._seen = {}, stamp
        if value_set not in self._composed:
            try:
                composed = Composer(self.catalogue, Rules()).by_url(value_set)
            except FhirError:
                composed = None  # what is unknown or faulty decides nothing
            if len(value_set) > _LONGEST:
                return composed
            self._composed[value_set] = composed
        return self._composed[value_set]


def _means(composed: Composed, system: str, version: str) -> bool:
    stated = [part.chosen.stated for part in composed.parts() if part.url == system]
    return not any(stated) or any(not one or one == version for one in stated)


def _with(code: str, others: Iterable[str]) -> Iterable[str]:
    yield code
    yield from others


def own_terminology(
    *before: Source, package: Package | None = None, stamp: Callable[[], object] = int
) -> Terminology:
    """Return the terminology of R4, read when it is asked; the sources `before` go first."""
    return Terminology([*before, FormalSource(), OwnSource(package or Package())], stamp)
