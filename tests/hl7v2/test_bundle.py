"""A conversion as a transaction Bundle: what each entry asks a server for, and that it can be done.

Spec: https://hl7.org/fhir/R4/http.html#transaction
"""

from collections import Counter
from pathlib import Path

import pytest
from conversion_parts import BASE, converted, lines, story, text_of

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.storing.bundle import to_bundle
from fhir_hub.r4.references import find_references

EXAMPLES = Path(__file__).parents[2] / "examples"
ALL = sorted(path for path in EXAMPLES.rglob("*.hl7") if b"BHS|" not in path.read_bytes())
ORU = (
    "MSH|^~\\&|LIS|LAB1|HUB|QPRHP|20250315101500||ORU^R01^ORU_R01|C1|P|2.5.1",
    "PID|1||T1^^^LAB1^MR||Shen^Guifang",
)


def refusals(bundle):
    """Return what a server would refuse in a transaction."""
    entries = bundle["entry"]
    updated = Counter(one["request"]["url"] for one in entries if one["request"]["method"] == "PUT")
    urls = Counter(one["fullUrl"] for one in entries)
    named = [ref["reference"] for one in entries for ref, _ in find_references(one["resource"])]
    twice = [url for counted in (updated, urls) for url, times in counted.items() if times > 1]
    return twice + [url for url in named if url.startswith("urn:uuid:") and url not in urls]


def entries_of(bundle, resource_type):
    return [one for one in bundle["entry"] if one["resource"]["resourceType"] == resource_type]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_server_can_do_each_bundle(path):
    text = path.read_bytes().decode("utf-8", "replace")
    for by_table in (True, False):
        try:
            conversion = converted(text, by_table=by_table)
        except InvalidMessage:
            continue
        assert refusals(to_bundle(conversion)) == []


def test_a_specimen_that_each_panel_tells_again_is_one_entry():
    panels = [
        line
        for number in "123"
        for line in (
            f"OBR|{number}||F{number}|X{number}^Panel",
            "OBX|1|NM|K^k||4|||||F",
            f"SPM|1|S77||BLD||||LA^left|||||||||20250315080{number}",
        )
    ]
    bundle = to_bundle(converted(lines(*ORU, *panels), by_table=True))
    (specimen,) = (one for one in entries_of(bundle, "Specimen") if "type" in one["resource"])
    assert specimen["request"]["url"] == f"Specimen?identifier={BASE}/sid/LAB1|S77"
    for report in entries_of(bundle, "DiagnosticReport"):
        assert {"reference": specimen["fullUrl"]} in report["resource"]["specimen"]
    assert refusals(bundle) == []


def test_two_new_patients_of_one_number_of_a_specimen_each_have_theirs():
    people = [
        line
        for number in "12"
        for line in (
            f"PID|1||T{number}^^^H^MR||A^B",
            f"OBR|1|P{number}|F{number}|X^Y",
            "OBX|1|NM|K^k||4|||||F",
            "SPM|1|1||BLD",
        )
    ]
    head = "MSH|^~\\&|LIS|LAB1|HUB|QPRHP|20250315101500||ORU^R01^ORU_R01|C1|P|2.5.1"
    bundle = to_bundle(converted(lines(head, *people), by_table=True))
    asked = [one["request"] for one in entries_of(bundle, "Specimen") if "type" in one["resource"]]
    assert asked == [{"method": "POST", "url": "Specimen"}] * 2
    assert refusals(bundle) == []


def test_two_patients_of_one_number_of_a_visit_each_have_theirs():
    people = [
        line
        for number in "12"
        for line in (
            f"PID|1||T{number}^^^&1.2.3&ISO^MR||A^B",
            "PV1|1|I|||||||||||||||||V1^^^&1.2.4&ISO^VN",
        )
    ]
    head = "MSH|^~\\&|HIS|HIS1|HUB|QPRHP|20250315101500||BAR^P02^BAR_P02|C1|P|2.5.1"
    bundle = to_bundle(converted(lines(head, "EVN||20250315", *people), by_table=True))
    asked = [one["request"]["url"] for one in entries_of(bundle, "Encounter")]
    assert asked == [
        f"Encounter?identifier=urn:oid:1.2.4|V1&patient.identifier=urn:oid:1.2.3|T{number}"
        for number in "12"
    ]
    assert refusals(bundle) == []


def test_the_bundle_updates_creates_and_finds():
    bundle = to_bundle(story("08"))
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    requests = {}
    for entry in bundle["entry"]:
        requests.setdefault(entry["resource"]["resourceType"], []).append(entry["request"])
    assert requests["Patient"] == [
        {
            "method": "PUT",
            "url": "Patient?identifier=urn:oid:2.16.156.10011.1.3|310229195304129989",
        }
    ]
    assert requests["ServiceRequest"] == [
        {
            "method": "POST",
            "url": "ServiceRequest",
            "ifNoneExist": f"identifier={BASE}/sid/SHTH01|JY20250314-0088",
        }
    ]
    assert requests["Provenance"] == [{"method": "POST", "url": "Provenance"}]
    assert len({entry["fullUrl"] for entry in bundle["entry"]}) == len(bundle["entry"])


def test_a_number_with_marks_of_the_search_is_escaped_in_the_bundle():
    text = text_of("08").replace("L20250314-3321^LIS", "L,1$2 3^LIS")
    urls = [entry["request"]["url"] for entry in to_bundle(converted(text))["entry"]]
    assert (
        f"DiagnosticReport?identifier={BASE}/sid/LIS|L%5C,1%5C$2%203".replace(",", "%2C").replace(
            "$", "%24"
        )
        in urls
    )


def test_the_bundle_names_a_relative_who_answers_for_the_bill_twice_and_not_by_one_key():
    message = lines(
        "MSH|^~\\&|HIS|TEST01|HUB|QPRHP|20250315101500||ADT^A01^ADT_A01|C1|P|2.5",
        "PID|1||T1^^^TEST01^PI||沈^桂芳",
        "NK1|1|李^四|SPO",
        "PV1|1|I|||||||||||||||||M1",
        "GT1|1|G1|李^四||||||||SPO",
    )
    urls = [one["request"]["url"] for one in to_bundle(converted(message, by_table=True))["entry"]]
    found = [url for url in urls if url.startswith("RelatedPerson?")]
    assert len({*found}) == len(found) == 2


def test_two_diagnoses_of_one_number_are_two_entries():
    told = (("I10", "20250110"), ("E11", "20250110"), ("E11", "20250301"), ("E11", "20250301"))
    rows = [f"DG1|1||{code}^X^I10||{day}|F||||||||||||||N1" for code, day in told]
    head = "MSH|^~\\&|HIS|LAB1|HUB|QPRHP|20250315101500||ADT^A08^ADT_A01|C1|P|2.5.1"
    for by_table in (True, False):
        bundle = to_bundle(converted(lines(head, ORU[1], *rows), by_table=by_table))
        asked = [one["request"]["url"] for one in entries_of(bundle, "Condition")]
        key = f"Condition?_tag={BASE}/CodeSystem/part-of-number|{BASE}/sid/LAB1%5C|N1"
        days = ("I10/2025-01-10", "E11/2025-01-10", "E11/2025-03-01")
        assert asked == [f"{key}/{day}" for day in days]
        assert refusals(bundle) == []
