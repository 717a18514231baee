"""Every trigger event that the hub promises has a map, in every version of HL7v2.

Spec: HL7 table 0003 (events), 0354 (structures); HL7v2 chapters 3, 4, 6, 7, 9, 10, 11 and 12
"""

import pytest
from conversion_parts import converted, errors, lines, mappings, of_type

from fhir_hub.hl7v2.maps.programs import GENERIC_NAME
from fhir_hub.hl7v2.parsing import er7

VERSIONS = ("2.1", "2.3.1", "2.9")
_NOT_HL7 = {"A19"}  # a query of old


def triggers(code, first, last):
    numbers = range(int(first[1:]), int(last[1:]) + 1)
    found = (f"{first[0]}{number:02}" for number in numbers)
    return [f"{code}^{trigger}" for trigger in found if trigger not in _NOT_HL7]


EVENTS = [
    *triggers("ADT", "A01", "A55"),
    *triggers("ADT", "A60", "A62"),
    *triggers("SIU", "S12", "S26"),
    *("ORU^R01", "ORU^R03", "ORU^R30", "ORU^R31", "ORU^R32"),
    *triggers("OUL", "R21", "R24"),
    *("ORM^O01", "OMG^O19", "OML^O21", "OML^O33", "OML^O35", "OMP^O09"),
    *("RDE^O01", "RDE^O11", "RDE^O25", "RDS^O13", "RAS^O17"),
    *triggers("REF", "I12", "I15"),
    *triggers("RRI", "I12", "I15"),
    *("PPR^PC1", "PPR^PC2", "PPR^PC3"),
    *triggers("MDM", "T01", "T11"),
    *("VXU^V04", "BAR^P01", "BAR^P02", "BAR^P05", "BAR^P06", "BAR^P10", "BAR^P12", "DFT^P03"),
]
# What a message of each type is about; a segment that its structure lacks harms nobody.
BODIES = {
    "SIU": ("SCH|P1|F1|||||CHECK|||||^^^202503200900^202503200930", "AIS|1||X^Y"),
    "ORU": ("OBR|1|P1|F1|X^Y", "OBX|1|NM|K^k||4|||||F"),
    "OUL": ("SPM|1|S1||BLD", "OBR|1|P1|F1|X^Y", "OBX|1|NM|K^k||4|||||F"),
    "ORM": ("ORC|NW|P1|F1", "OBR|1|P1|F1|X^Y"),
    "OMG": ("ORC|NW|P1|F1", "OBR|1|P1|F1|X^Y"),
    "OML": ("ORC|NW|P1|F1", "OBR|1|P1|F1|X^Y"),
    "OMP": ("ORC|NW|P1", "RXO|X^Y|1||mg"),
    "RDE": ("ORC|NW|P1", "RXE||X^Y|1||mg"),
    "RDS": ("ORC|RE|P1|F1", "RXD|1|X^Y|202503150800|10|tab"),
    "RAS": ("ORC|RE|P1|F1", "RXA|0|1|202503150800|202503150800|X^Y|1|mg"),
    "REF": ("RF1|A|S|SP|||R1", "PRD|RT|周^明德"),
    "RRI": ("RF1|A|S|SP|||R1", "PRD|RT|周^明德"),
    "PPR": ("PRB|AD|20250315|X^Y|PR1",),
    "MDM": ("TXA|1|CN|TX|202503150800||||||||D1^HIS|||||AU", "OBX|1|TX|K^k||text||||||F"),
    "VXU": ("ORC|RE|P1|F1", "RXA|0|1|202503150800|202503150800|X^Y|1|mg"),
    "DFT": ("FT1|1|T1||20250315||CG|X^Y",),
}


def message_of(event, version):
    code = event.partition("^")[0]
    header = f"MSH|^~\\&|HIS|TEST01|HUB|QPRHP|20250315101500||{event}|C1|P|{version}"
    person = ["EVN||20250315101500", "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F||||||||||A1"]
    visit = ["MRG|T2^^^TEST01^PI||A2", "PV1|1|I|W1^2^3||||D1^周^明德||||||||||||M1"]
    return lines(header, *person, *visit, *BODIES.get(code, ("DG1|1||I10^高血压^I10",)))


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_a_map_and_makes_valid_resources(event):
    for version in VERSIONS:
        text = message_of(event, version)
        assert mappings().program(er7.parse(text)).structure != GENERIC_NAME
        conversion = converted(text)
        assert of_type(conversion, "Patient")
        assert errors(conversion) == []


def test_an_event_that_nobody_knows_gives_what_its_segments_say():
    conversion = converted(message_of("XYZ^Z99", "2.5"))
    assert of_type(conversion, "Patient")
    assert of_type(conversion, "Condition")
