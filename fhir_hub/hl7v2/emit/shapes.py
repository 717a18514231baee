"""A value as the receiver's version has room for it: what does not fit is left out and told.

A CWE written into a CE loses its ninth component, into an IS all but its code. So no message
has a component that its version does not know.

Spec: HL7v2 chapter 2A of each version, by the tables of `structure.py`
"""

from collections.abc import Callable

from fhir_hub.hl7v2.datatypes.numbers import read_decimal
from fhir_hub.hl7v2.emit.written import Component, Written, is_empty, subcomponents, trimmed
from fhir_hub.hl7v2.parsing.structure import Shape

Told = Callable[[str], None]
# What says that there is nothing; an empty field says nothing.
NOTHING: Written = ['""']
_OPEN = ("varies", "")
_CODED = ("IS", "ID")
# A datatype whose first component is one of these holds a coded value or a person in it (SPS, NDL).
_TEXT_AT = 9  # of a CWE
# Where stands since 2.6 and 2.7 what these components had: XTN.12, XCN.21, XPN.14.
_MOVED = {("XTN", 1): 12, ("XCN", 7): 21, ("XPN", 6): 14}
# What a version demands says nothing of its own: a number of unspecified type, no code.
_UNSPECIFIED = {("CX", 5): "U", ("PLN", 2): "U", ("CNE", 1): '""'}
_CODE_OF_PLACE = ("XON", 3)  # a number until 2.5, and seldom one in fact
_DAY = 8
_IMPRESSION = "IMP"  # the suffix of an observation's code (chapter 7, 7.1.3) is its subcomponent
_INNER = ("CE", "CWE", "CNN", "CN")


def shaped(written: Written, shape: Shape | None, told: Told) -> Written:
    """Return a value in the shape of its field; `None`: a field of a Z-segment, which has any."""
    if shape is None or (not shape.parts and shape.datatype in _OPEN) or written == NOTHING:
        return written
    if not shape.parts:
        return _leaf(written, shape, told)
    if len(shape.parts) < _TEXT_AT < len(written) + 1 and written[2:3] == ["LN"]:
        written = _named(written)
    if shape.parts[0].datatype in _INNER and all(isinstance(one, str) for one in written):
        written = [subcomponents_of(written)]
    written = _within(written, shape, told)
    if not is_empty(written[len(shape.parts) :]):
        told(f"{shape.datatype} has {len(shape.parts)} components; more were left out")
    return [
        one if (shape.datatype, at) == _CODE_OF_PLACE else _component(one, part, told)
        for at, (one, part) in enumerate(zip(written, shape.parts, strict=False), start=1)
    ]


def _within(written: Written, shape: Shape, told: Told) -> Written:
    """Return a value without withdrawn components, and with those that the version demands."""
    done = list(written)
    for at, part in enumerate(shape.parts, start=1):
        stands = at <= len(done) and not is_empty([done[at - 1]])
        if stands and part.most == 0:
            to = _MOVED.get((shape.datatype, at), 0)
            done += [""] * (to - len(done))
            if to and is_empty([done[to - 1]]):
                done[to - 1] = done[at - 1]
            else:
                told(f"{shape.datatype}.{at} was withdrawn; it was left out")
            done[at - 1] = ""
        lacking = _UNSPECIFIED.get((shape.datatype, at), "")
        if part.is_required and lacking and not stands and not is_empty(done):
            done += [""] * (at - len(done))
            done[at - 1] = lacking
    return done


def _named(written: Written) -> Written:
    """Return a CWE with its text (CWE.9) as its code's name: LOINC's own is known by the code."""
    text = written[_TEXT_AT - 1]
    return [written[0], text, *written[2 : _TEXT_AT - 1]] if text else written


def subcomponents_of(written: Written) -> list[str]:
    """Return a value's components as the subcomponents that they are within another one."""
    return [one if isinstance(one, str) else "".join(one[:1]) for one in written]


def _leaf(written: Written, shape: Shape, told: Told) -> Written:
    """Return the one text that there is room for: the code, or the text of what has none."""
    texts = [subcomponents(component)[:1] for component in trimmed(written)]
    found = [one[0] for one in texts if one and one[0]]
    if not found:
        return []
    # a code stands for its name, and for what other systems call it
    is_more = all(map(any, texts[:3])) and len(texts) > 2
    if is_more if shape.datatype in _CODED else len(found) > 1:
        told(f"{shape.datatype} has one component; more were left out")
    return [_simple(found[0], shape, told)]


def _simple(text: str, shape: Shape, told: Told) -> str:
    """Return a text as its simple type has it: a number, a day; empty if it is none."""
    if shape.datatype in ("NM", "SI") and read_decimal(text) is None:
        told(f"{shape.datatype} is a number; a text was left out")
        return ""
    if shape.datatype == "DT" and len(text) > _DAY:
        told("DT is a day; a time was left out")
        return text[:_DAY]
    return text


def _component(component: Component, shape: Shape, told: Told) -> Component:
    parts = subcomponents(component)
    room = len(shape.parts) or 1
    if not shape.parts and parts[1:] == [_IMPRESSION]:
        return parts
    if any(parts[room:]):
        told(f"{shape.datatype} has {room} subcomponents here; more were left out")
    if shape.parts:
        return parts[:room]
    return _simple(parts[0], shape, told) if parts and parts[0] else ""
