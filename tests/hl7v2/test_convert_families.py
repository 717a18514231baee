"""Every family of messages in every version that has it: the same facts, in the forms of that one.

Times are TQ in ORC-7 and RXE-1 until 2.4, TQ1 from then on; a specimen is OBR-15 until 2.4, then
SPM; a code is CE until 2.4, then CWE; a moment TS until 2.5, then DTM; a telephone XTN.1 until 2.6,
then XTN.12; a patient's numbers PID-2 and PID-4 as well, until 2.6.

Spec: HL7v2 chapters 2 to 12, of 2.3 to 2.8.2
"""

from decimal import Decimal
from typing import Any

import pytest
from conversion_parts import converted, element, errors, lines

VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
LATER = VERSIONS[2:]


def message(event: str, version: str, segments: list[str]) -> str:
    """Return a message with what its segments leave to the version filled in."""
    is_old, is_early = version < "2.5", version < "2.7"
    filled = {
        "TQ": "1^BID^D5^202503150800" if is_old else "",
        "CE": "CE" if is_old else "CWE",
        "TS": "TS" if version < "2.6" else "DTM",
        "TEL": "021-59720000" if is_early else "^WPN^PH^^^^^^^^^021-59720000",
        "SPS": "BLD&全血&HL70070" if is_old else "",
    }
    late = {"@TQ1": "TQ1|1||BID|||5^d|202503150800", "@SPM": "SPM|1|S1&TEST01||BLD"}
    body = [one for one in segments if one not in late or not is_old]
    header = f"MSH|^~\\&|HIS|TEST01|HUB|QPRHP|20250315101500||{event}|C1|P|{version}"
    numbers = "O1^^^OLD01^PI|T1^^^TEST01^PI|A9^^^ALT01^PI" if is_early else "|T1^^^TEST01^PI|"
    person = f"PID|1|{numbers}|沈^桂芳||19530412|F|||||{filled['TEL']}"
    given = [late.get(one, one).format(**filled) for one in body]
    return lines(header, *given).replace("PID\r", person + "\r")


VISIT = (
    "PV1|1|I|W1^2^3^TEST01||||D1^周^明德|||CAR|||||||||V1^^^TEST01^VN" + "|" * 25 + "202503150800"
)
CASES: dict[str, tuple[tuple[str, ...], list[str], dict[str, Any]]] = {
    "ADT^A01": (
        VERSIONS,
        [
            *(
                "EVN|A01|202503150810",
                "PID",
                "NK1|1|沈^华|DAU||{TEL}",
                VISIT,
                "AL1|1|DA|PEN^青霉素^L|SV|皮疹",
            ),
            *("DG1|1||I10^高血压^I10||20250315|A", "IN1|1|CN1^居民^L|I1|医保局"),
        ],
        {
            "Patient.telecom[0].value": "02159720000",
            "RelatedPerson.telecom[0].value": "02159720000",
            "Encounter.period.start": "2025-03-15T08:00:00+08:00",
            "AllergyIntolerance.reaction[0].severity": "severe",
            "Condition.code.text": "高血压",
            "Coverage.type.text": "居民",
        },
    ),
    "SIU^S12": (
        VERSIONS,
        [
            "SCH|P1|F1|||||CHECK^复查^L||30|min|^^30^202503200900^202503200930|||||D1^周^明德|||||||||Booked",
            *("PID", "RGS|1|A", "AIS|1|A|ECHO^心超^L|202503200900", "AIP|1|A|D1^周^明德"),
        ],
        {
            "Appointment.status": "booked",
            "Appointment.start": "2025-03-20T09:00:00+08:00",
            "Appointment.minutesDuration": 30,
            "Appointment.serviceType[0].text": "心超",
        },
    ),
    "ORU^R01": (
        VERSIONS,
        [
            *(
                "PID",
                VISIT,
                "ORC|RE|P1|F1",
                "OBR|1|P1|F1|GLU^血糖^L|||202503150800||||||||{SPS}||||||||||F",
            ),
            *("OBX|1|NM|K^钾^L||4.10|mmol/L|3.5-5.5|N|||F", "NTE|1|L|溶血"),
            *("OBX|2|{CE}|G^血型^L||A^A型^L||||||F", "OBX|3|{TS}|D^时刻^L||202503150700||||||F"),
            "@SPM",
        ],
        {
            "Observation[0].valueQuantity.value": Decimal("4.10"),
            "Observation[0].note[0].text": "溶血",
            "Observation[1].valueCodeableConcept.text": "A型",
            "Observation[2].valueDateTime": "2025-03-15T07:00:00+08:00",
            "Specimen.type.coding[0].code": "BLD",
            "DiagnosticReport.status": "final",
        },
    ),
    "ORM^O01": (
        VERSIONS[:6],
        ["PID", "ORC|NW|P1|||||{TQ}|||||D1^周^明德", "@TQ1", "OBR|1|P1||ECG^心电图^L"],
        {
            "ServiceRequest.occurrenceTiming.repeat.frequency": 2,
            "ServiceRequest.code.text": "心电图",
        },
    ),
    "OML^O21": (
        LATER,
        ["PID", "ORC|NW|P1|||||{TQ}", "@TQ1", "OBR|1|P1||GLU^血糖^L|||||||||||{SPS}", "@SPM"],
        {
            "ServiceRequest.occurrenceTiming.repeat.frequency": 2,
            "Specimen.type.coding[0].code": "BLD",
        },
    ),
    "OMP^O09": (
        LATER,
        ["PID", "ORC|NW|P1|||||{TQ}", "@TQ1", "RXO|AMX^阿莫西林^L|500||mg", "RXR|PO^口服^L"],
        {
            "MedicationRequest.dosageInstruction[0].timing.repeat.frequency": 2,
            "MedicationRequest.dosageInstruction[0].doseAndRate[0].doseQuantity.value": Decimal(
                500
            ),
            "MedicationRequest.dosageInstruction[0].route.text": "口服",
        },
    ),
    "RDE^O11": (
        LATER,
        ["PID", "ORC|NW|P1|F1", "RXE|{TQ}|AMX^阿莫西林^L|250||mg", "@TQ1", "RXR|PO^口服^L"],
        {
            "MedicationRequest.dosageInstruction[0].timing.repeat.frequency": 2,
            "MedicationRequest.dosageInstruction[0].doseAndRate[0].doseQuantity.value": Decimal(
                250
            ),
            "MedicationRequest.medicationCodeableConcept.text": "阿莫西林",
        },
    ),
    "RDS^O13": (
        LATER,
        ["PID", "ORC|RE|P1|F1", "RXD|1|AMX^阿莫西林^L|202503150900|14|CAP|||R1", "RXR|PO^口服^L"],
        {
            "MedicationDispense.whenHandedOver": "2025-03-15T09:00:00+08:00",
            "MedicationDispense.quantity.value": Decimal(14),
        },
    ),
    "RAS^O17": (
        LATER,
        [
            "PID",
            "ORC|RE|P1|F1",
            "RXA|0|1|202503150900|202503150910|AMX^阿莫西林^L|1|CAP",
            "RXR|PO^口服^L",
        ],
        {
            "MedicationAdministration.effectivePeriod.end": "2025-03-15T09:10:00+08:00",
            "MedicationAdministration.dosage.route.text": "口服",
        },
    ),
    "VXU^V04": (
        VERSIONS,
        ["PID", "RXA|0|2|20250315|20250315|08^乙肝疫苗^CVX|0.5|mL||||||||L7", "RXR|IM^肌肉^L"],
        {
            "Immunization.occurrenceDateTime": "2025-03-15",
            "Immunization.lotNumber": "L7",
            "Immunization.route.text": "肌肉",
        },
    ),
    "MDM^T02": (
        VERSIONS,
        [
            *("EVN|T02|202503150810", "PID", VISIT),
            "TXA|1|DS|TX|202503150800|D1^周^明德|||||||DOC1^HIS|||||AU",
            "OBX|1|TX|S^小结^L||出院||||||F",
        ],
        {
            "DocumentReference.masterIdentifier.value": "DOC1",
            "DocumentReference.docStatus": "final",
            "DocumentReference.content[0].attachment.contentType": "text/plain",
        },
    ),
    "REF^I12": (
        VERSIONS,
        [
            "RF1|A^接受^HL70283|S|CAR^心内科^L|||R1^CHC|20250315",
            *("PRD|RP|周^明德", "PRD|RT|李^建国", "PID", "DG1|1||I10^高血压^I10||20250315|A"),
        ],
        {
            "ServiceRequest.requester.display": "周明德",
            "ServiceRequest.priority": "stat",
            "Condition.code.text": "高血压",
        },
    ),
    "PPR^PC1": (
        VERSIONS,
        ["PID", VISIT, "PRB|AD|20250315|HTN^高血压^L|PR1", "GOL|AD|20250315|BP^血压达标^L|G1"],
        {"Condition.identifier[0].value": "PR1", "Goal.description.text": "血压达标"},
    ),
    "RRI^I12": (
        VERSIONS,
        [
            "MSA|AA|C0",
            "RF1|A^接受^HL70283|R|CAR^心内科^L|||R1^CHC|20250315",
            "PRD|RT|李^建国",
            "PID",
        ],
        {"Task.status": "accepted"},
    ),
    "OUL^R22": (
        LATER[1:],
        [
            *("PID", "SPM|1|S1&TEST01||BLD", "OBR|1|P1|F1|GLU^血糖^L|||202503150800"),
            "OBX|1|NM|K^钾^L||4.10|mmol/L|||||F",
        ],
        {
            "Observation.valueQuantity.value": Decimal("4.10"),
            "Specimen.identifier[0].value": "S1",
            "DiagnosticReport.code.text": "血糖",
        },
    ),
    "RGV^O15": (
        LATER,
        ["PID", "ORC|RE|P1|F1", "RXG|1||{TQ}|AMX^阿莫西林^L|1||CAP", "@TQ1", "RXR|PO^口服^L"],
        {
            "MedicationDispense.dosageInstruction[0].timing.repeat.frequency": 2,
            "MedicationDispense.dosageInstruction[0].route.text": "口服",
        },
    ),
    "DFT^P03": (
        VERSIONS,
        ["EVN|P03|202503150810", "PID", VISIT, "FT1|1|T1||20250315||CG|ECG^心电图^L|||2"],
        {"ChargeItem.code.text": "心电图", "ChargeItem.quantity.value": Decimal(2)},
    ),
    "BAR^P01": (
        VERSIONS,
        [
            "EVN|P01|202503150810",
            "PID",
            VISIT,
            "DG1|1||I10^高血压^I10||20250315|A",
            "GT1|1|G1|沈^华",
        ],
        {"Condition.code.text": "高血压", "RelatedPerson.name[0].text": "沈华"},
    ),
}


@pytest.mark.parametrize(
    ("event", "version"),
    [(event, version) for event, (versions, *_) in CASES.items() for version in versions],
)
def test_the_facts_of_a_family_are_the_same_in_the_form_of_each_version(event, version):
    _, segments, expected = CASES[event]
    conversion = converted(message(event, version, segments))
    assert errors(conversion) == []
    assert {path: element(conversion, path) for path in expected} == expected
    numbers = [one["value"] for one in element(conversion, "Patient.identifier")]
    assert sorted(numbers) == (["A9", "O1", "T1"] if version < "2.7" else ["T1"])
