"""What a report concludes, and the files of it: an OBX for each, behind its results.

The suffix IMP of OBX-3.1 says that one is an impression; without it a text would be one more
result. They have no number, so all that there are come together, and take the place of those of
before. A file (ED, RP) is told from a result of the same code by OBX-4.

Spec: HL7v2 chapter 7, 7.1.3 (suffixes of observation IDs); R4 diagnosticreport.conclusion
"""

from collections.abc import Iterator
from typing import Any

from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.write_codes import concept
from fhir_hub.hl7v2.emit.write_quantities import attachment, text
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.identity import systems

Json = dict[str, Any]
_IMPRESSIONS = ("conclusion", "conclusionCode")
ELEMENTS = (*_IMPRESSIONS, "presentedForm")
_SUFFIX = f"{systems.BASE}/CodeSystem/observation-suffix"
_STATES = {
    **dict.fromkeys(("corrected", "amended", "appended"), "C"),
    **dict.fromkeys(("registered", "partial", "preliminary"), "P"),
    **dict.fromkeys(("cancelled", "entered-in-error"), "D"),
}


def without_impressions(report: Json, results: list[Json]) -> list[Json]:
    """Return the results of a report without those that a reader made of its conclusion."""
    if not any(name in report for name in _IMPRESSIONS):
        return results
    return [one for one in results if not _is_impression(one)]


def _is_impression(result: Json) -> bool:
    codings = result.get("code", {}).get("coding", ())
    return any((one.get("system"), one.get("code")) == (_SUFFIX, "IMP") for one in codings)


def conclusions(report: Json, group: str, out: Outbound) -> Iterator[Spot]:
    """Return the OBX of what a DiagnosticReport concludes, in words and codes, and of its files."""
    told: list[tuple[str, Written | None]] = []
    if words := report.get("conclusion"):
        told.append(("TX", text(words, out)))
    coded = "CWE" if out.version >= "2.6" else "CE"
    told += [(coded, concept(one, out)) for one in report.get("conclusionCode", ())]
    code = concept(report.get("code", {}), out) or []
    named = [*code, "", "", ""]
    what: Written = [["".join(named[0]), "IMP"], *named[1:3]]
    state = _STATES.get(report.get("status", ""), "F")
    for kind, value in told:
        if value:
            fixed: dict[str, Written] = {"OBX-2": [kind], "OBX-3": what, "OBX-5": value}
            yield Spot("OBX", group, {}, fixed | {"OBX-11": [state]})
    for number, file in enumerate(report.get("presentedForm", ()), start=1):
        if (data := attachment(file, out)) is None:
            out.issue("a file without data and address was left out")
            continue
        if "title" in file:
            out.issue("OBX-5: a file has no title; it was left out")
        kind = "ED" if "data" in file else "RP"
        held: dict[str, Written] = {"OBX-2": [kind], "OBX-3": code, "OBX-5": data}
        held["OBX-4"] = [f"file.{number}"]
        yield Spot("OBX", group, {}, held | {"OBX-11": [state]})
