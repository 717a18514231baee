"""A Patient as PID: what a query is answered with.

Spec: HL7v2 chapter 3, PID; https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-pid-to-patient.html
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fhir_hub.hl7v2.answers.domains import authority_of
from fhir_hub.hl7v2.datatypes.context import Table
from fhir_hub.hl7v2.er7 import Encoding

Json = dict[str, Any]
Component = str | list[str]
_USES = {"home": "H", "work": "B", "temp": "C", "old": "BA", "billing": "BI"}
_NAMES = {
    "official": "L",
    "usual": "D",
    "nickname": "N",
    "maiden": "M",
    "old": "BAD",
    "temp": "TEMP",
}
_RESIDENT = "NNCHN"


class PidWriter:
    """Writes PID in the delimiters and the code tables of who asks."""

    def __init__(self, encoding: Encoding, tables: Mapping[str, Table]) -> None:
        self._encoding, self._tables = encoding, tables

    def write(self, patient: Json, number: int, identifiers: Iterable[Json]) -> list[str]:
        """Return the fields of PID; `identifiers` are those that the asker is told."""
        telecom = patient.get("telecom", [])
        phones = [one for one in telecom if one.get("system") != "email"]
        work = [one for one in phones if one.get("use") == "work"]
        home = [one for one in telecom if one not in work]
        fields: dict[int, str] = {
            1: str(number),
            3: self._all(identifiers, self._cx),
            5: self._all(patient.get("name", ()), self._xpn),
            7: str(patient.get("birthDate", "")).replace("-", ""),
            8: self._code("AdministrativeSex", str(patient.get("gender", ""))),
            11: self._all(patient.get("address", ()), self._xad),
            13: self._all(home, self._xtn),
            14: self._all(work, self._xtn),
            16: self._text(self._coded(patient.get("maritalStatus", {}))),
            29: _digits(str(patient.get("deceasedDateTime", ""))),
            30: "Y" if patient.get("deceasedBoolean") or "deceasedDateTime" in patient else "",
        }
        if "multipleBirthInteger" in patient:
            fields |= {24: "Y", 25: str(patient["multipleBirthInteger"])}
        return ["PID", *(fields.get(place, "") for place in range(1, max(fields) + 1))]

    def escape(self, text: str) -> str:
        """Return `text` as it may stand in the message."""
        return self._text(text)

    def _all(self, values: Iterable[Json], write: Callable[[Json], list[Component]]) -> str:
        found = (self._join(write(value)) for value in values)
        return self._encoding.repetition.join(one for one in found if one)

    def _join(self, components: list[Component]) -> str:
        inner = self._encoding.subcomponent or " "
        texts = [
            self._text(one)
            if isinstance(one, str)
            else inner.join(self._text(text) for text in one).rstrip(inner)
            for one in components
        ]
        while texts and not texts[-1]:
            texts.pop()
        return self._encoding.component.join(texts)

    def _text(self, text: str) -> str:
        own = self._encoding
        mark = own.escape
        marks = {own.field: "F", own.component: "S", own.repetition: "R", own.subcomponent: "T"}
        marks[mark] = "E"
        return "".join(
            (f"{mark}{marks[sign]}{mark}" if mark else " ")
            if sign in marks
            else " "
            if ord(sign) < 32
            else sign
            for sign in text
        )

    def _cx(self, identifier: Json) -> list[Component]:
        value = str(identifier.get("value", ""))
        if not value:
            return []
        authority, kind = authority_of(str(identifier.get("system", "")))
        codings = identifier.get("type", {}).get("coding", ())
        code = next((str(one["code"]) for one in codings if "code" in one), "")
        period = identifier.get("period", {})
        dates = [_digits(str(period.get(end, "")))[:8] for end in ("start", "end")]
        return [value, "", "", authority, code or kind, "", *dates]

    def _xpn(self, name: Json) -> list[Component]:
        given = [str(one) for one in name.get("given", ())]
        family = str(name.get("family", "")) or ("" if given else str(name.get("text", "")))
        first = [
            " ".join(str(part) for part in name.get(kind, ())) for kind in ("suffix", "prefix")
        ]
        parts = [family, given[0] if given else "", " ".join(given[1:]), *first]
        if not any(parts):
            return []
        return [*parts, "", _NAMES.get(str(name.get("use", "")), ""), _form(name)]

    def _xad(self, address: Json) -> list[Component]:
        lines = [str(one) for one in address.get("line", ())]
        street = lines[0] if lines else ""
        if not lines and "city" not in address:
            street = str(address.get("text", ""))
        named = [str(address.get(part, "")) for part in ("city", "state", "postalCode", "country")]
        use = _USES.get(str(address.get("use", "")), "")
        kind = "M" if address.get("type") == "postal" else use
        return [street, " ".join(lines[1:]), *named, kind, "", str(address.get("district", ""))]

    def _xtn(self, point: Json) -> list[Component]:
        value = str(point.get("value", ""))
        use = {"work": "WPN", "mobile": "PRN"}.get(str(point.get("use", "")), "PRN")
        if point.get("system") == "email":
            return ["", "NET", "Internet", value]
        kind = "CP" if point.get("use") == "mobile" else "PH"
        return [value, use, kind] if value else []

    def _coded(self, concept: Json) -> str:
        codings = concept.get("coding", ())
        codes = (str(one["code"]) for one in codings if "code" in one)
        return next(codes, str(concept.get("text", "")))

    def _code(self, table: str, code: str) -> str:
        """Return what the asker writes for a code of FHIR."""
        held = self._tables.get(table)
        rows = held.rows.items() if held else ()
        return self._text(next((source for source, meant in rows if meant.code == code), ""))


def _form(name: Json) -> str:
    """Return XPN.8: ideographic, phonetic or alphabetic."""
    forms = {"IDE": "I", "SYL": "P", "ABC": "A"}
    codes = (str(one.get("valueCode", "")) for one in name.get("extension", ()))
    return next((forms[code] for code in codes if code in forms), "")


def _digits(moment: str) -> str:
    return moment[:19].translate(dict.fromkeys(map(ord, "-:T")))
