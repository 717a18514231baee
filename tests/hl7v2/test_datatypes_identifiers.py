"""CX, EI and bare numbers as Identifier; XON, HD and devices by their numbers.

Spec: https://hl7.org/fhir/R4/datatypes.html#Identifier; DOMAIN 3.2
"""

import datatype_parts as parts
import pytest

from fhir_hub.identity import systems

_SHEN = "310229195304129989"
_BASE = systems.BASE


@pytest.mark.parametrize(
    ("raw", "system", "value", "type_code"),
    [
        ("ZJJ00012345^^^ZJJCHC^PI", f"{_BASE}/sid/ZJJCHC/patient-id", "ZJJ00012345", "PI"),
        (f"{_SHEN}^^^&2.16.156.10011.1.3&ISO^NNCHN", systems.RESIDENT_ID, _SHEN, "NNCHN"),
        (f"{_SHEN}^^^&2.16.840.1.113883.2.23.1.19.1&ISO", systems.RESIDENT_ID, _SHEN, "NNCHN"),
        ("31022919570930997x^^^^SFZ", systems.RESIDENT_ID, "31022919570930997X", "NNCHN"),
        (_SHEN, systems.RESIDENT_ID, _SHEN, "NNCHN"),
        (f"{_SHEN}^^^SHTH01^MR", systems.RESIDENT_ID, _SHEN, "NNCHN"),
        ("310118D00071234^^^&2.16.156.10011.1.19&ISO^HC", systems.HEALTH_CARD, "310118D00071234",
         "HC"),
        ("S900012345^^^&2.16.156.10011.1.15&ISO^SB", systems.INSURANCE_CARD, "S900012345", "SB"),
        ("S900012345^^^^医保", systems.INSURANCE_CARD, "S900012345", "SB"),
        ("T0088123", f"{_BASE}/sid/SHTH01/patient-id", "T0088123", None),
        ("WJ5566^^^WJPH01^MR", f"{_BASE}/sid/WJPH01/mr", "WJ5566", "MR"),
        ("Z1^^^&2.16.156.10011.1.12&ISO", f"{_BASE}/sid/SHTH01/an", "Z1", None),
        ("P1^^^HOSP&1.2.3.4&ISO^PI", "urn:oid:1.2.3.4", "P1", "PI"),
        ("E12345678^^^^护照", f"{_BASE}/sid/idtype-03", "E12345678", "PPN"),
        ("123-45-6789^^^^SS", "http://hl7.org/fhir/sid/us-ssn", "123-45-6789", "SS"),
        ("X9^^^A^ZZZ", f"{_BASE}/sid/A/zzz", "X9", "ZZZ"),
    ],
)  # fmt: skip
def test_a_number_is_in_the_namespace_of_who_issued_it(raw, system, value, type_code):
    found = parts.made("Identifier", raw)

    assert (found["system"], found["value"]) == (system, value)
    codings = found.get("type", {}).get("coding", [{}])
    assert codings[0].get("code") == type_code


def test_a_type_in_chinese_that_nobody_knows_is_a_text():
    assert parts.made("Identifier", "X1^^^A^特殊号")["type"] == {"text": "特殊号"}


def test_a_resident_id_that_cannot_be_right_is_kept_apart():
    raw = "310229195304129988^^^&2.16.156.10011.1.3&ISO^NNCHN"
    found = parts.made("Identifier", raw)

    assert (found["use"], found["value"]) == ("temp", "310229195304129988")
    assert found["extension"][0]["valueCode"] == "invalid-check-character"
    assert parts.issues_of("Identifier", raw) == ["invalid-resident-id"]


def test_eighteen_digits_that_are_no_resident_id_stay_the_senders_own():
    found = parts.made("Identifier", "310229195304129988^^^SHTH01^PI")

    assert found["system"] == f"{_BASE}/sid/SHTH01/patient-id"


def test_the_old_writing_of_a_resident_id_is_kept_beside_the_new():
    found = parts.made("Identifier", "310229530412998^^^^身份证")

    assert [(one["use"], one["value"]) for one in found] == [
        ("official", _SHEN),
        ("old", "310229530412998"),
    ]


@pytest.mark.parametrize("raw", ["0", "00000", "-", "无", "999999", "NULL", "000000000000000000"])
@pytest.mark.parametrize("name", ["Identifier", "EI", "VisitIdentifier", "ResidentIdentifier"])
def test_a_filler_is_no_number(name, raw):
    assert parts.made(name, raw) is None
    assert parts.issues_of(name, raw) == ["filler-identifier"]


def test_ones_typed_a_resident_id_are_a_filler():
    assert parts.made("Identifier", "111111111111111111^^^^SFZ") is None


def test_the_rest_of_cx_is_kept():
    found = parts.made("Identifier", "123^4^M11^H&1.2.3&ISO^MR^CAMPUS^20200101^20301231")
    other = parts.made("Identifier", "123^^^^MR^CAMPUS")

    assert found["period"] == {"start": "2020-01-01", "end": "2030-12-31"}
    assert found["assigner"] == {"display": "H"}
    assert found["extension"][0]["valueString"] == "4"
    assert other["assigner"] == {"display": "CAMPUS"}


def test_a_number_that_is_valid_until_before_it_was_has_no_end():
    raw = "123^^^H^MR^^20240301^20240229"
    assert parts.made("Identifier", raw)["period"] == {"start": "2024-03-01"}
    assert parts.issues_of("Identifier", raw) == ["period-reversed"]


@pytest.mark.parametrize(
    ("raw", "system", "code"),
    [
        (_SHEN, systems.RESIDENT_ID, "NNCHN"),
        ("123-45-6789", "http://hl7.org/fhir/sid/us-ssn", "SS"),
        ("31022919530412998", systems.RESIDENT_ID, "NNCHN"),
        ("2738947839", f"{_BASE}/sid/SHTH01/ss", "SS"),
    ],
)
def test_the_field_of_a_national_number_holds_one(raw, system, code):
    found = parts.made("ResidentIdentifier", raw)

    assert (found["system"], found["type"]["coding"][0]["code"]) == (system, code)


@pytest.mark.parametrize(
    ("name", "raw", "system", "type_code"),
    [
        ("EI", "JY1-0088^SHTH01", f"{_BASE}/sid/SHTH01", None),
        ("EI", "JY1", f"{_BASE}/sid/SHTH01", None),
        ("EI", "JY1^LAB^1.2.3^ISO", "urn:oid:1.2.3", None),
        ("PlacerNumber", "JY1^A", f"{_BASE}/sid/A", "PLAC"),
        ("FillerNumber", "JY1^A", f"{_BASE}/sid/A", "FILL"),
        ("PlacerEI", "JY1&A^JY1&B", f"{_BASE}/sid/A", "PGN"),
        ("FillerEI", "JY1&A^JY1&B", f"{_BASE}/sid/B", "FGN"),
        ("VisitIdentifier", "JY1", f"{_BASE}/sid/SHTH01/vn", "VN"),
        ("VisitIdentifier", "JY1^^^ZJJCHC^VN", f"{_BASE}/sid/ZJJCHC/vn", "VN"),
        ("StaffIdentifier", "JY1^戴^慧^^^^^^ZJJCHC", f"{_BASE}/sid/ZJJCHC/practitioner", None),
        ("StaffIdentifier", "JY1^A^B^^^^^^NPI&2.16.840.1.113883.4.6&ISO^L^^^NPI",
         "http://hl7.org/fhir/sid/us-npi", "NPI"),
        ("DeviceIdentifier", "JY1", f"{_BASE}/sid/SHTH01/device", None),
        ("DeviceIdentifier", "JY1^N^1.2.3^ISO", "urn:oid:1.2.3", None),
        ("SlotIdentifier", "JY1", systems.SLOT, None),
        ("ContractIdentifier", "JY1", systems.CONTRACT, None),
        ("OrganizationIdentifier", "JY1", systems.ORGANIZATION, None),
        ("OrganizationIdentifier", "某医院^L^JY1", systems.ORGANIZATION, None),
        ("OrganizationIdentifier", "A^L^3^^^^^^^JY1", systems.ORGANIZATION, None),
        ("OrganizationIdentifier", "JY1^1.2.3^ISO", systems.ORGANIZATION, None),
    ],
)  # fmt: skip
def test_other_numbers_have_their_own_namespaces(name, raw, system, type_code):
    found = parts.made(name, raw)

    assert found["system"] == system
    assert found["value"].startswith("JY1")
    assert found.get("type", {}).get("coding", [{}])[0].get("code") == type_code


def test_one_institution_is_one_identifier_whoever_names_it():
    xon = parts.made("Organization", "朱家角镇社区卫生服务中心（示例）^L^ZJJCHC")
    facility = parts.made("FacilityOrganization", "ZJJCHC")
    coded = parts.made("CodedOrganization", "ZJJCHC^朱家角镇社区卫生服务中心（示例）")

    assert xon["identifier"] == facility["identifier"] == coded["identifier"]
    assert xon["name"] == coded["name"] == "朱家角镇社区卫生服务中心（示例）"


def test_an_institution_by_name_alone_has_no_identifier():
    for name in ("FacilityOrganization", "CodedOrganization", "Organization"):
        assert parts.made(name, "市级医院（示例）") == {
            "resourceType": "Organization",
            "name": "市级医院（示例）",
        }


def test_a_credit_code_is_told_by_its_check():
    found = parts.made("Organization", "朱家角^L^12310118DEM0000149")

    assert found["identifier"] == [{"system": systems.USCC, "value": "12310118DEM0000149"}]


def test_an_institution_of_an_authority_keeps_type_and_system():
    found = parts.made("Organization", "CDC^L^^^^CLIA&2.16.840.1.113883.4.7&ISO^XX^^^11D2030855")

    assert found["identifier"][0]["system"] == "urn:oid:2.16.840.1.113883.4.7"
    assert found["identifier"][0]["type"]["coding"][0]["code"] == "XX"


@pytest.mark.parametrize(
    ("raw", "second"),
    [
        ("CDC^11D0668319^CLIA", {"system": f"{_BASE}/sid/CLIA", "value": "11D0668319"}),
        ("CDC^1.2.3^ISO", {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}),
    ],
)
def test_a_facility_keeps_its_universal_id(raw, second):
    assert parts.made("FacilityOrganization", raw)["identifier"][1] == second
    without_name = parts.made("FacilityOrganization", raw.replace("CDC", ""))
    assert without_name["identifier"] == [second]


def test_a_device_is_a_resource_with_its_number():
    assert parts.made("Device", "KIOSK-ZJJ-02", "ZJJCHC") == {
        "resourceType": "Device",
        "identifier": [{"system": f"{_BASE}/sid/ZJJCHC/device", "value": "KIOSK-ZJJ-02"}],
    }
