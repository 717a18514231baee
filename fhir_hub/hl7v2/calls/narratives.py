"""Parts of a report in words: what the suffix of an observation's code says (`71020&IMP`).

The code is that of the study, or without one that of OBR-4; its suffix, the second subcomponent
of OBX-3.1, says which part of the report stands in OBX-5. The impression is the conclusion of the
report too; every part stays an Observation, so that a correction is its next version.

Spec: HL7v2 chapter 7, 7.1.3 (suffixes of observation IDs); R4 diagnosticreport.conclusion
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.datatypes import codes, observed
from fhir_hub.hl7v2.datatypes.parts import part
from fhir_hub.hl7v2.making.drafts import Place
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity.systems import BASE

SUFFIXES = f"{BASE}/CodeSystem/observation-suffix"
IMPRESSION = "IMP"
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "ADT": "Addendum",
        "ANT": "Anatomic site",
        "DEV": "Instrument",
        "GDT": "Gross or general description",
        IMPRESSION: "Impression",
        "MDT": "Microscopic or secondary description",
        "MED": "Medication",
        "REC": "Recommendation",
        "TCM": "Technician's comment",
        "VIW": "Views",
    }
)
_NOT_SAID = ("N", "O")  # OBX-11: not done, only ordered
_TAKEN_BACK = ("D", "W", "X")  # deleted, wrong, not to be had
CONCLUSIONS = ("conclusion", "conclusionCode")
_is_suffix = re.compile(r"[A-Za-z]{3}").fullmatch
Json = dict[str, Any]


def suffix_of(value: Value) -> str:
    """Return the suffix of an observation's code in capitals, `""` if it has none."""
    suffix = value.text(1, 2)
    return suffix.upper() if _is_suffix(suffix) else ""


def without_suffix(value: Value) -> Value:
    """Return the code of the study."""
    code, *others = value.components
    study = code.partition(value.encoding.subcomponent)[0]
    return Value(value.encoding.component.join([study, *others]), value.encoding)


def of_suffix(study: Json | None, suffix: str) -> Json:
    """Return the code of a part of a report on the study: the study's, and which part it is."""
    name = _NAMES.get(suffix, suffix)
    coding = {"system": SUFFIXES, "code": suffix}
    if suffix in _NAMES:
        coding["display"] = name
    found = study or {}
    text = found.get("text")
    codings = [*found.get("coding", ()), coding]
    return {"coding": codings, "text": f"{text}: {name}" if text else name}


def conclude(place: Place) -> None:
    """Have the impression that OBX-5 holds among the conclusions of its report.

    One that is taken back leaves the report those that the message has beside it, or none.
    """
    segment, context = place.segment, place.run.context
    reports = place.node.nearest_drafts("DiagnosticReport")
    status = place.text(Path("OBX", 11)).upper()
    if segment.name != "OBX" or not reports or status in _NOT_SAID:
        return
    draft = reports[-1]
    report, kind = draft.resource, place.text(Path("OBX", 2)).upper()
    if status in _TAKEN_BACK:
        draft.nulls += (one for one in CONCLUSIONS if one not in (*report, *draft.nulls))
        return
    values = [one for one in segment.repetitions(5) if one and not one.is_null]
    lines = []
    if kind in ("CE", "CWE", "CNE", "CF"):
        coded = [one for one in values if part(one, 1) or part(one, 4)]
        concepts = [codes.codeable_concept(one, context) for one in coded]
        report.setdefault("conclusionCode", []).extend(one for one in concepts if one)
        lines = [codes.code_text(one, context) for one in values]
    elif found := observed.observed_value(kind, values, None, context):
        lines = [found.value] if found.fhir_type.lower() == "string" else []
    said = [report.get("conclusion"), *lines]
    if text := "\n".join(line for line in said if line):
        report["conclusion"] = text
    if not report.get("conclusionCode", True):
        del report["conclusionCode"]
    draft.nulls[:] = (one for one in draft.nulls if one not in CONCLUSIONS or one not in report)
