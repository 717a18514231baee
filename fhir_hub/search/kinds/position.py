"""Special: the one such parameter of R4, where a Location is (`near`).

A position is an entry with the latitude as `low` and the longitude as `high`. Distances are
those of great circles on a sphere, at most 0.6 % from those on the ellipsoid.

Spec: https://hl7.org/fhir/R4/location.html#search
"""

from collections.abc import Callable, Mapping
from math import cos, degrees, pi, radians, sin
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.r4.quantities import asked_number, number
from fhir_hub.r4.units import unit_of
from fhir_hub.search.context import Context
from fhir_hub.search.entry import Entry
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.values import split, unescape
from fhir_hub.search.plan import Near, Test

Add = Callable[[Any, int, list[Entry]], None]

TYPES = ("BackboneElement",)
_EARTH_M = 6_371_008.8
_DEFAULT_KM = "10"


def adder(parameter: str, _: str, __: Context) -> Add:
    """Return what adds the entry of one position; none for one without both numbers."""

    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is dict:
            latitude, longitude = number(value.get("latitude")), number(value.get("longitude"))
            if latitude is not None and longitude is not None:
                out.append(Entry(parameter, "special", "", "", latitude, longitude, "", group))

    return add


def near(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `latitude|longitude|distance|units` asks; without the last two: within 10 km.

    A unit is a code of UCUM, without one it is km. Raises `InvalidResource` for no such place.

    Spec: https://hl7.org/fhir/R4/location.html#search
    """
    parts = [unescape(part) for part in split(text, "|")]
    if not 2 <= len(parts) <= 4:
        raise InvalidResource("a position is written latitude|longitude|distance|units")
    latitude, longitude = asked_number(parts[0]).exact, asked_number(parts[1]).exact
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise InvalidResource("a latitude is from -90 to 90, a longitude from -180 to 180")
    distance, unit = ([*parts[2:], "", ""])[:2]
    metres = asked_number(distance or _DEFAULT_KM, _metres(unit if distance else "")).exact
    if metres < 0:
        raise InvalidResource("a distance is a number from 0")
    angle = min(metres / _EARTH_M, pi)
    return (Near(latitude, longitude, sin(angle / 2) ** 2, degrees(angle)),)


def _metres(code: str) -> Callable[[Any], float]:
    unit = unit_of(code or "km")
    if unit is None or unit.canonical != "cm":
        raise InvalidResource("the unit of a distance is a code of UCUM, such as km, m or [mi_i]")
    return lambda value: float(unit.scale.canonical(value) / 100)


def half_chord(test: Near, latitude: float, longitude: float) -> float:
    """Return the square of half the chord from the test's place to another, on a unit sphere.

    >>> half_chord(Near(0, 0, 0, 0), 0, 180)
    1.0
    """
    north = sin((latitude - test.latitude) * HALF)
    east = sin((longitude - test.longitude) * HALF)
    narrowing = cos(test.latitude * DEGREE) * cos(latitude * DEGREE)
    return north * north + narrowing * (east * east)


DEGREE = radians(1)
HALF = radians(0.5)
MODIFIERS: Mapping[str, Modifier] = {"": Modifier(near)}
