"""Which system an identifier has: one canonical address a kind, aliases resolved to it.

Spec: DOMAIN 3.2
"""

import pytest

from fhir_hub.identity import systems


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("urn:oid:2.16.840.1.113883.2.23.1.19.1", systems.RESIDENT_ID),
        ("2.16.840.1.113883.2.23.1.9.1", systems.RESIDENT_ID),
        ("2.16.156.10011.1.3", systems.RESIDENT_ID),
        ("urn:oid:2.16.840.1.113883.2.23.1.9.2", systems.SOCIAL_SECURITY_CARD),
        ("http://example.org/x", "http://example.org/x"),
        ("", ""),
    ],
)
def test_an_alias_is_resolved(written, canonical):
    assert systems.canonical(written) == canonical
    assert systems.aliases(written)[0] == canonical


@pytest.mark.parametrize(
    ("identifier", "kind", "system"),
    [
        ("2.16.156.10011.1.19", "ISO", systems.HEALTH_CARD),
        ("urn:oid:2.16.156.10011.1.19", "", systems.HEALTH_CARD),
        ("2.16.156.10011.1.12", "ISO", ""),
        ("6F9619FF-8B86-D011-B42D-00C04FC964FF", "GUID",
         "urn:uuid:6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        ("http://a/b", "URI", "http://a/b"),
        ("hospital.example", "DNS", f"{systems.BASE}/sid/hospital.example"),
        ("not an oid", "ISO", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_a_universal_id_names_a_system(identifier, kind, system):
    assert systems.universal(identifier, kind) == system


@pytest.mark.parametrize(
    ("type_code", "has_authority", "system"),
    [
        ("NNCHN", True, systems.RESIDENT_ID),
        ("身份证", False, systems.RESIDENT_ID),
        ("ID", False, systems.RESIDENT_ID),
        ("ID", True, ""),
        ("HC", True, ""),
        ("HC", False, systems.HEALTH_CARD),
        ("jkk", True, systems.HEALTH_CARD),
        ("社保卡", True, systems.SOCIAL_SECURITY_CARD),
        ("SB", False, systems.INSURANCE_CARD),
        ("护照", False, f"{systems.BASE}/sid/idtype-03"),
        ("台胞证", True, f"{systems.BASE}/sid/idtype-07"),
        ("MR", False, ""),
        ("", False, ""),
    ],
)
def test_a_type_names_a_national_system_or_none(type_code, has_authority, system):
    assert systems.national(type_code, has_authority=has_authority) == system


def test_local_namespaces_are_addresses():
    assert systems.patient_number("市级医院 一", "住院").startswith(f"{systems.BASE}/sid/%E5")
    assert systems.patient_number("", "") == f"{systems.BASE}/sid/unknown/patient-id"
    assert systems.practitioner("SHTH01").endswith("/sid/SHTH01/practitioner")
    assert systems.location("SHTH01").endswith("/sid/SHTH01/location")
    assert systems.device("SHTH01").endswith("/sid/SHTH01/device")
    assert systems.authority_system("LIS").endswith("/sid/LIS")
    assert systems.kind_of_oid("urn:oid:2.16.156.10011.1.12") == "AN"
