"""A segment that is being written, and those beside it that the same rows write to.

Spec: HL7v2 chapter 2, 2.5
"""

from collections.abc import Callable, Iterable

from fhir_hub.hl7v2.emit.shapes import shaped
from fhir_hub.hl7v2.emit.written import Written, is_empty, render, subcomponents, trimmed
from fhir_hub.hl7v2.parsing import structure
from fhir_hub.hl7v2.parsing.er7 import Encoding
from fhir_hub.hl7v2.parsing.path import Path, parse_path


class Sheet:
    """One segment. A field is a list of repetitions; what its version does not know stays out."""

    def __init__(self, name: str, version: str, told: Callable[[str], None]) -> None:
        self.name = name
        self.fields: dict[int, list[Written]] = {}
        self._version = version
        self._shapes = None if name.startswith("Z") else structure.fields(name, version)
        self._told = told

    @property
    def is_known(self) -> bool:
        """Say whether the version has such a segment."""
        return self._shapes is None or bool(self._shapes)

    def most(self, field: int) -> int:
        """Return how often a field may stand, -1 any number of times."""
        if self._shapes is None:
            return -1
        return self._shapes[field - 1].most if field <= len(self._shapes) else 1

    def texts(self, encoding: Encoding, start: int = 1) -> list[str]:
        """Return the fields from number `start` on, as they stand in ER7."""
        return [
            encoding.repetition.join(render(value, encoding) for value in self.fields.get(at, ()))
            for at in range(start, max(self.fields, default=0) + 1)
        ]

    def required(self) -> list[int]:
        """Return the required fields in which nothing stands yet."""
        shapes = self._shapes or ()
        return [
            number
            for number, shape in enumerate(shapes, start=1)
            if shape.is_required and not self.fields.get(number)
        ]

    def has_room(self, path: Path) -> bool:
        """Say whether the version has a place for this path."""
        if self._shapes is None:
            return True
        if path.field > len(self._shapes):
            return False
        shape = self._shapes[path.field - 1]
        parts = shape.parts
        if path.component > max(len(parts), 1) or shape.most == 0:
            return False
        return not (path.component and parts) or parts[path.component - 1].most != 0

    def is_leaf(self, path: Path) -> bool:
        """Say whether a field has no components in this version, or is not there."""
        if self._shapes is None:
            return False
        return path.field > len(self._shapes) or not self._shapes[path.field - 1].parts

    def put(self, path: Path, written: Written) -> bool:
        """Write a value: as the next repetition of a field, or into a component of the first.

        Says whether it stands there now; it does not if something else does already.
        """
        if not self.has_room(path) or is_empty(written):
            return False
        if path.component:
            return self._put_component(path, written)
        shape = self._shape(path.field)
        value = trimmed(shaped(written, shape, lambda text: self._told(f"{path}: {text}")))
        held = self.fields.get(path.field, [])
        if value in held:
            return True
        if held and value and shape is not None and shape.datatype == "EIP":
            return self._put_pair(path.field, value)
        if not value or len(held) == self.most(path.field):
            return False
        self.fields[path.field] = [*held, value]
        return True

    def _shape(self, field: int) -> structure.Shape | None:
        """Return what a field is; what a result's value is says OBX-2."""
        if self._shapes is None:
            return None
        if self.name == "OBX" and field == 5 and (kind := self.text(Path("OBX", 2))):
            return structure.datatype(kind, self._version)
        return self._shapes[field - 1]

    def _put_pair(self, field: int, value: Written) -> bool:
        """Write the filler's number beside the placer's (EIP), if its place is free."""
        pair = self.fields[field][0]
        size = max(len(pair), len(value))
        old, new = ([*one, *[""] * (size - len(one))] for one in (pair, value))
        parts = list(zip(old, new, strict=True))
        if any(not is_empty([there]) and not is_empty([given]) for there, given in parts):
            return False
        self.fields[field][0] = [given if is_empty([there]) else there for there, given in parts]
        return True

    def _put_component(self, path: Path, written: Written) -> bool:
        held = self.fields.setdefault(path.field, [])
        value = held[0] if held else []
        texts = [one for component in trimmed(written) for one in subcomponents(component)[:1]]
        at = path.component - 1
        value = value + [""] * (path.component - len(value))
        before = subcomponents(value[at])
        if path.subcomponent:
            before += [""] * (path.subcomponent - len(before))
            if before[path.subcomponent - 1] not in ("", texts[0]):
                return False
            before[path.subcomponent - 1] = texts[0]
            texts = before
        elif any(before) and before[: len(texts)] != texts:
            return False
        value[at] = texts if len(texts) > 1 else texts[0]
        held[:1] = [value]
        return True

    def text(self, path: Path) -> str:
        """Return the text at a path, `""` where nothing stands."""
        held = self.fields.get(path.field)
        if not held or len(held[0]) < max(path.component, 1):
            return ""
        parts = subcomponents(held[0][max(path.component, 1) - 1])
        at = max(path.subcomponent, 1) - 1
        return parts[at] if at < len(parts) else ""

    def is_valued(self, path: Path) -> bool:
        """Say whether anything stands at a path."""
        if path.component:
            return bool(self.text(path))
        return any(not is_empty(value) for value in self.fields.get(path.field, ()))


class Seat:
    """The sheets that one place of a message has: its segment's, and those of its companions."""

    def __init__(
        self, name: str, beside: Iterable[str], version: str, told: Callable[[str], None]
    ) -> None:
        self.sheet = Sheet(name, version, told)
        others = [Sheet(one, version, told) for one in beside]
        self.sheets = {one.name: one for one in (self.sheet, *others) if one.is_known}

    def put(self, path: Path | str, written: Written) -> bool:
        """Write a value at a path, if its segment is here."""
        path = parse_path(path) if isinstance(path, str) else path
        sheet = self.sheets.get(path.segment)
        return sheet is not None and sheet.put(path, written)

    def is_valued(self, path: Path | str) -> bool:
        """Say whether anything stands at a path."""
        path = parse_path(path) if isinstance(path, str) else path
        sheet = self.sheets.get(path.segment)
        return sheet is not None and sheet.is_valued(path)

    def text(self, path: Path | str) -> str:
        """Return the text at a path."""
        path = parse_path(path) if isinstance(path, str) else path
        sheet = self.sheets.get(path.segment)
        return sheet.text(path) if sheet else ""
