"""The leaves of a message: every part that holds something, down to subcomponents, and its name.

A field of very many parts is one leaf as a whole: each leaf is left out in turn, and what is left
is converted again and compared, which takes the square or the cube of their number.

Spec: HL7v2 chapter 2, 2.5 (fields, repetitions, components, subcomponents)
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fhir_hub.hl7v2.parsing.er7 import Encoding, Segment, unescape
from fhir_hub.hl7v2.parsing.path import Path

_HEADERS = ("MSH", "BHS", "FHS")
_MOST_REPETITIONS = 50
_MOST_PARTS = 300
_USUAL = Encoding()


class Leaf(NamedTuple):
    """One part: its segment's index, its numbers from 1, its text. `name` is as one writes it.

    A number is in the name where the field has more than one such part: `PID-7`, `PID-3[2].4`.
    That of a field as a whole has the numbers 0.
    """

    segment: int
    field: int
    repetition: int
    component: int
    subcomponent: int
    text: str
    name: str

    @property
    def is_whole(self) -> bool:
        """Say whether it is a field as a whole, because that has too many parts to try each."""
        return self.component == 0

    def is_in(self, path: Path) -> bool:
        """Say whether it stands at a path of its segment, or within."""
        if path.field != self.field:
            return False
        return self.is_whole or (
            path.component in (0, self.component) and path.subcomponent in (0, self.subcomponent)
        )


def leaves_of(segment: Segment, number: int, may_divide: Callable[[int], bool]) -> list[Leaf]:
    """Return the leaves of a field: its parts, or itself where these are more than can be tried.

    `may_divide` says whether so many parts are few enough beside what else there is.
    """
    text = segment.field(number)
    if not text.strip():
        return []
    if number <= 2 and segment.name in _HEADERS:
        return [Leaf(segment.index, number, 1, 1, 1, text, f"{segment.name}-{number}")]
    found = [
        (places, unescape(raw, segment.encoding).strip())
        for places, raw in _pieces(text, segment.encoding)
    ]
    found = [(places, text) for places, text in found if text]
    if _is_long(found) or not may_divide(len(found)):
        whole = unescape(text, segment.encoding).strip()
        return [Leaf(segment.index, number, 0, 0, 0, whole, f"{segment.name}-{number}")]
    repeats = any(places[0] > 1 for places, _ in found)
    has_parts = any(places[1] > 1 or places[2] > 1 for places, _ in found)
    divided = {places[:2] for places, _ in found if places[2] > 1}
    leaves = []
    for places, text in found:
        repetition, component, subcomponent = places
        name = f"{segment.name}-{number}"
        name += f"[{repetition}]" if repeats else ""
        name += f".{component}" if has_parts else ""
        name += f".{subcomponent}" if places[:2] in divided else ""
        leaves.append(Leaf(segment.index, number, *places, text, name))
    return leaves


def _is_long(found: list[tuple[tuple[int, int, int], str]]) -> bool:
    return len(found) > _MOST_PARTS or len({places[0] for places, _ in found}) > _MOST_REPETITIONS


def _pieces(text: str, encoding: Encoding) -> Iterator[tuple[tuple[int, int, int], str]]:
    for repetition, whole in enumerate(_split(text, encoding.repetition), start=1):
        for component, part in enumerate(_split(whole, encoding.component), start=1):
            for subcomponent, raw in enumerate(_split(part, encoding.subcomponent), start=1):
                yield (repetition, component, subcomponent), raw


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else [text]


def replaced(segment: Segment, leaf: Leaf, text: str) -> Segment:
    """Return the segment with another text (escaped) in the place of a leaf."""
    encoding = segment.encoding
    if leaf.field <= 2 and segment.name in _HEADERS:
        return segment
    if leaf.is_whole:
        return segment.with_field(leaf.field, text)
    repetitions = _split(segment.field(leaf.field), encoding.repetition)
    components = _split(repetitions[leaf.repetition - 1], encoding.component)
    parts = _split(components[leaf.component - 1], encoding.subcomponent)
    parts[leaf.subcomponent - 1] = text
    components[leaf.component - 1] = encoding.subcomponent.join(parts)
    repetitions[leaf.repetition - 1] = encoding.component.join(components)
    return segment.with_field(leaf.field, encoding.repetition.join(repetitions))


def standard(text: str, encoding: Encoding) -> str:
    """Return a field as it is written with HL7's usual delimiters."""
    usual = _USUAL
    if encoding[:5] == usual[:5]:
        return text
    marks = {sign: f"\\{letter}\\" for sign, letter in zip("|^~\\&", "FSRET", strict=True)}

    def plain(raw: str) -> str:
        return "".join(marks.get(sign, sign) for sign in unescape(raw, encoding))

    return usual.repetition.join(
        usual.component.join(
            usual.subcomponent.join(map(plain, _split(part, encoding.subcomponent)))
            for part in _split(whole, encoding.component)
        )
        for whole in _split(text, encoding.repetition)
    )
