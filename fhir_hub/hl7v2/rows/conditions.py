"""`when` and `unless` of a map as functions of a place.

`{ "OBX-2" = ["SN", "NM"], "OBX-5.3" = "-", "OBX-6" = true }`: all must hold; a list means one
of it, a text exactly that, `true` and `false` valued and not valued. A bare path means valued.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html (conditions)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhir_hub.hl7v2.making.drafts import Place
from fhir_hub.hl7v2.parsing.path import Path, parse_path

Condition = Callable[[Place], bool]


def paths(written: Any) -> Iterator[Path]:
    """Return the paths that a condition reads; raises `ValueError` for what is no path."""
    keys = [written] if isinstance(written, str) else list(written or ())
    return (parse_path(key) for key in keys)


def compared(written: Any) -> Iterator[Path]:
    """Return the paths whose text a condition compares with codes: not those that it wants valued.

    What is asked for alone says nothing by being there that is told elsewhere.
    """
    known = written.items() if isinstance(written, Mapping) else ()
    return (parse_path(key) for key, wanted in known if not isinstance(wanted, bool))


def valued(written: Any) -> Iterator[Path]:
    """Return the paths that a condition wants valued."""
    known = {written: True} if isinstance(written, str) else written or {}
    return (parse_path(key) for key, wanted in known.items() if wanted is True)


def condition(when: Any, unless: Any, before: str | Sequence[str] = ()) -> Condition | None:
    """Return the function that says whether all hold, `None` where nothing is asked.

    `before` names segments of which none must have come yet, of those that are near; of the
    segment's own kind, none directly before it.
    """
    said = _both(when, unless)
    if not before:
        return said

    names = (before,) if isinstance(before, str) else tuple(before)

    def is_before(place: Place) -> bool:
        if place.segment.name in names and is_again(place):
            return False
        others = [place.node.nearest(name) for name in names if name != place.segment.name]
        is_early = all(one is None or place.segment.index < one.index for one in others)
        return is_early and (said is None or said(place))

    return is_before


def is_again(place: Place) -> bool:
    """Say whether one of the same name stands directly before a segment, past TQ2 of that one."""
    segments, at = place.run.message.segments, place.segment.index - 1
    while at > 0 and segments[at].name == "TQ2":
        at -= 1
    return at >= 0 and segments[at].name == place.segment.name


def _both(when: Any, unless: Any) -> Condition | None:
    wanted, unwanted = _all(when), _all(unless)
    if unwanted is None:
        return wanted
    refused = unwanted
    if wanted is None:
        return lambda place: not refused(place)
    first = wanted
    return lambda place: first(place) and not refused(place)


def _all(written: str | Mapping[str, Any] | None) -> Condition | None:
    if not written:
        return None
    if isinstance(written, str):
        written = {written: True}
    tests = [_one(parse_path(key), wanted) for key, wanted in written.items()]
    if len(tests) == 1:
        return tests[0]

    def every(place: Place) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if not test(place):
                return False
        return True

    return every


def _one(path: Path, wanted: Any) -> Condition:
    name, number, is_whole = path.segment, path.field, not path.component
    if wanted is True:
        return lambda place: place.is_valued(path)
    if wanted is False:

        def is_empty(place: Place) -> bool:
            if is_whole and place.segment.name == name:
                fields = place.fields
                if number >= len(fields) or not fields[number]:
                    return True
                if fields[number][0].isalnum():  # as nearly always
                    return False
            return not place.is_valued(path)

        return is_empty
    among = frozenset([wanted] if isinstance(wanted, str) else wanted)
    is_plain = path.component <= 1 and path.subcomponent <= 1

    def is_among(place: Place) -> bool:
        if is_plain and place.segment.name == name:  # a short code of the segment itself, mostly
            fields = place.fields
            raw = fields[number] if number < len(fields) else ""
            if not raw or raw.isalnum():
                return raw in among
        return place.text(path) in among

    return is_among
