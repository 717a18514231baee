"""What elements were lately found to say, so that what comes again is not looked at again.

Most of what a resource says others have said before it: its status, its category, its code, who
performed it, when, what is usual. An element directly in a resource or in its `meta` is known by
its text, or by the bytes of its JSON: that R4 finds nothing wrong with it, its index entries, and
what it refers to. What comes for the first time is only noted, by a number; what comes again is
kept. So what comes once, such as an identifier, takes no room from codes and values.

That holds because such an element means the same in every resource of its type. Where it may
mean another thing, the resource is looked at as a whole (`shapes.py`).

Spec: https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Callable
from typing import Any

from fhir_hub.search.found import Found
from fhir_hub.search.plain_codings import PlainCodings
from fhir_hub.search.plain_references import PlainReferences

Resource = dict[str, Any]
Content = bytes | str  # of an element: its JSON, or its text
Look = Callable[[Any, Resource, Content | None], Found]
Get = Callable[[Content], Found | None]
Plain = PlainReferences | PlainCodings

LARGE = 1024  # bytes of an element that is not kept
# at a place, and at one whose references are known anyway; each keeps twice so many
_MOST, _FEW = 1024, 16
_ALL = 2560  # that all places keep
_NOTED = 2048  # in each of two generations


class Elements:
    """What is known of elements at all places, at most some thousand."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._noted: set[int] = set()
        self._noted_before: set[int] = set()
        self.kept = 0

    def place(self, look: Look, plain: Plain | None) -> "Place":
        """Return a place of which nothing is known; `look` says what an element there says."""
        place = Place(self, look, plain)
        self._places.append(place)
        return place

    def comes_again(self, number: int) -> bool:
        """Say whether what has this number was noted of late, and note it."""
        if number in self._noted or number in self._noted_before:
            return True
        if len(self._noted) >= _NOTED:
            self._noted_before, self._noted = self._noted, set()
        self._noted.add(number)
        return False

    def make_room(self) -> None:
        """Forget what has not come again of late, at all places."""
        for place in self._places:
            place.turn()
        for place in self._places:
            if self.kept > _ALL // 2:
                place.turn()


class Place:
    """What is known of the elements of one name of one type, by their content.

    `get` finds what is known of late; what was known longer ago is `old`, until the young are as
    many as the place keeps. What is `plain` there need not be known by its content.
    """

    __slots__ = ("_elements", "_most", "_old", "_young", "get", "look", "plain")

    def __init__(self, elements: Elements, look: Look, plain: Plain | None) -> None:
        self.look = look
        self._young: dict[Content, Found] = {}
        self.get: Get = self._young.get  # for as long as the place is there
        self._old: dict[Content, Found] = {}
        self._elements, self.plain = elements, plain
        self._most = _MOST if plain is None else _FEW

    def before(self, content: Content | None) -> Found | None:
        """Return what was known longer ago of an element."""
        if content is None or len(content) > LARGE:
            return None
        if (found := self._old.get(content)) is not None:
            self._keep(content, found)
        return found

    def keep(self, content: Content, value: Any, found: Found) -> None:
        """Keep what was found of an element with which nothing is wrong, if it came before."""
        is_plain = self.plain is not None and self.plain.learn(value, found)
        if len(content) > LARGE or is_plain:
            return
        if self._elements.comes_again(hash(content) ^ id(self)):
            self._most = _MOST  # not all references there are plain
            self._keep(content, found)

    def _keep(self, content: Content, found: Found) -> None:
        if len(self._young) >= self._most:
            self.turn()
        self._young[content] = found
        self._elements.kept += 1
        if self._elements.kept > _ALL:
            self._elements.make_room()

    def turn(self) -> None:
        """Forget what is old; what was young is old."""
        self._elements.kept -= len(self._old)
        self._old = self._young.copy()
        self._young.clear()
