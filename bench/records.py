"""Records as a region's hub would hold them: residents, and what care leaves behind.

A record is a Patient with its Encounters, Appointments, Conditions, MedicationRequests,
DiagnosticReports and Observations, 100 resources that refer to each other and to the same few
institutions and doctors; of one person in 500 it is 500, for `$everything`. The same number always
makes the same record, so that a query can be made that finds something. Records grow side by
side, visit by visit, as they do in life: what one person has is spread over the whole file.
"""

import random
from collections.abc import Iterator
from datetime import timedelta

from bench.data import DAY, LABS, observation, patient

DOCTORS = 200
LONG, USUAL = 500, 100  # resources of a record
LONG_RECORD = 7  # the first person whose record is long
_AT_ONCE = 300  # records that grow side by side
INSTITUTIONS = {
    "SHTH01": "市级医院（示例）",
    "QPRHP": "青浦区域医疗中心（示例）",
    "ZJJCHC": "朱家角镇社区卫生服务中心（示例）",
    "JXNHH": "嘉兴市南湖区医院（示例）",
    "WJRH": "苏州市吴江区医院（示例）",
}
CONDITIONS = [
    ("I10.x00", "高血压"), ("E11.900", "2型糖尿病"), ("J44.900", "慢性阻塞性肺疾病"),
    ("I25.103", "冠状动脉粥样硬化性心脏病"), ("M81.900", "骨质疏松"), ("N18.900", "慢性肾脏病"),
    ("J06.900", "急性上呼吸道感染"), ("K29.500", "慢性胃炎"), ("E78.500", "高脂血症"),
]  # fmt: skip
DRUGS = [
    ("C09AA05", "雷米普利片"), ("C08CA01", "苯磺酸氨氯地平片"), ("A10BA02", "盐酸二甲双胍片"),
    ("C10AA05", "阿托伐他汀钙片"), ("B01AC06", "阿司匹林肠溶片"), ("A02BC01", "奥美拉唑肠溶胶囊"),
    ("R03AC02", "沙丁胺醇气雾剂"), ("A10AE04", "甘精胰岛素注射液"),
]  # fmt: skip
_CLASSES = ("AMB", "AMB", "AMB", "IMP", "EMER")
_SID = "https://fhir-hub.example/sid"
_TERMS = "http://terminology.hl7.org/CodeSystem"

Resource = dict


def institutions() -> list[Resource]:
    """Return the organisations and doctors that every record refers to."""
    made: list[Resource] = [
        {
            "resourceType": "Organization",
            "id": code,
            "identifier": [{"system": f"{_SID}/organization", "value": code}],
            "active": True,
            "name": name,
        }
        for code, name in INSTITUTIONS.items()
    ]
    for number in range(DOCTORS):
        person = patient(77_000_000 + number)
        made.append(
            {
                "resourceType": "Practitioner",
                "id": f"T{number:05}",
                "identifier": [{"system": f"{_SID}/SHTH01/staff", "value": f"T{number:05}"}],
                "active": True,
                "name": person["name"],
                "gender": person["gender"],
            }
        )
    return made


def size_of(number: int) -> int:
    """Return how many resources the record of a person has."""
    return LONG if number % 500 == LONG_RECORD else USUAL


def patient_id(number: int) -> str:
    """Return the logical id of a person; like all of these it is as long as one of the hub's."""
    return _id("p", number)


def resources(wanted: int) -> Iterator[Resource]:
    """Yield the institutions and whole records, `wanted` resources at least.

    What is referred to comes first.
    """
    rng = random.Random(wanted)
    yield from institutions()
    left, number = wanted, 0
    growing: list[Iterator[list[Resource]]] = []
    while growing or left > 0:
        while left > 0 and len(growing) < _AT_ONCE:
            number += 1
            growing.append(record(number))
            left -= size_of(number)
        place = rng.randrange(len(growing))
        some = next(growing[place], None)
        if some is None:
            growing[place] = growing[-1]
            growing.pop()
        else:
            yield from some


def people(wanted: int) -> int:
    """Return how many persons `resources(wanted)` has."""
    number = 0
    while wanted > 0:
        number += 1
        wanted -= size_of(number)
    return number


def result_id(number: int, visit: int, place: int) -> str:
    """Return the logical id of a person's result; a report refers to it."""
    return _id("o", number, visit * 12 + place)


def home_id(number: int, place: int) -> str:
    """Return the logical id of what a person measured at home; nothing refers to it."""
    return _id("h", number, place)


def record(number: int) -> Iterator[list[Resource]]:
    """Yield the resources of a person as they come: the person, visits, what is measured at home.

    Each has its `id`.
    """
    rng = random.Random(number)
    size = size_of(number)
    who = f"Patient/{patient_id(number)}"
    yield [_person(number, rng)]
    made = 1
    for visit in range(size // 25):
        moment = DAY + timedelta(days=rng.randrange(600), minutes=rng.randrange(600))
        where, doctor = rng.choice(list(INSTITUTIONS)), f"T{rng.randrange(DOCTORS):05}"
        context = _Visit(number, visit, who, moment.isoformat(), where, doctor)
        results = [result_id(number, visit, place) for place in range(12)]
        yield [
            context.encounter(rng),
            context.appointment(rng),
            context.condition(rng),
            context.medication_request(rng),
            *(
                _result(number * 1000 + visit * 12 + place, one, context)
                for place, one in enumerate(results)
            ),
            context.report(results),
        ]
        made += 17
    for place in range(size - made):  # most of it blood glucose
        yield [_at_home(number, place, home_id(number, place), who)]


def _id(kind: str, number: int, place: int = 0) -> str:
    return f"{kind}{number:09}{place:012}"


def _person(number: int, rng: random.Random) -> Resource:
    resource = patient(number) | {"id": patient_id(number)}
    if number % 20:
        resource["managingOrganization"] = {"reference": "Organization/ZJJCHC"}
    else:  # seldom: a chain to it finds a twentieth
        resource["managingOrganization"] = {"reference": "Organization/WJRH"}
    resource["generalPractitioner"] = [{"reference": f"Practitioner/T{number % DOCTORS:05}"}]
    if number % 30 == 0:
        del resource["birthDate"]
    if number % 25 == 0:
        resource["deceasedBoolean"] = rng.random() < 0.5
    return resource


def _result(number: int, logical_id: str, visit: "_Visit") -> Resource:
    resource = observation(number, visit.patient) | {"id": logical_id}
    resource["effectiveDateTime"] = resource["issued"] = visit.moment
    resource["encounter"] = {"reference": f"Encounter/{visit.id('e')}"}
    return resource


def _at_home(number: int, place: int, logical_id: str, who: str) -> Resource:
    rng = random.Random(number * 1000 + place)
    resource = observation(number * 1000 + 900 + place, who) | {"id": logical_id}
    code, display, unit, low, high = LABS[0] if place % 8 else rng.choice(LABS)
    coding = {"system": "http://loinc.org", "code": code, "display": display}
    moment = DAY + timedelta(days=20 * place, minutes=rng.randrange(1400))
    resource["effectiveDateTime"] = resource["issued"] = moment.isoformat()
    resource["code"] = {"coding": [coding], "text": display}
    value = round(rng.uniform(low, high), 1)
    resource["valueQuantity"] = resource["valueQuantity"] | {
        "value": value,
        "unit": unit,
        "code": unit,
    }
    if place % 40 == 39:
        del resource["performer"]
    return resource


class _Visit:
    """One visit, and what is written about it."""

    def __init__(
        self, number: int, visit: int, patient: str, moment: str, where: str, doctor: str
    ) -> None:
        self.number, self.visit, self.patient, self.moment = number, visit, patient, moment
        self.name = f"{number:08}.{visit}"
        self.where, self.doctor = {"reference": f"Organization/{where}"}, f"Practitioner/{doctor}"
        self.encounter_reference = {"reference": f"Encounter/{self.id('e')}"}

    def id(self, kind: str) -> str:
        return _id(kind, self.number, self.visit)

    def encounter(self, rng: random.Random) -> Resource:
        return {
            "resourceType": "Encounter",
            "id": self.id("e"),
            "identifier": [{"system": f"{_SID}/SHTH01/visit", "value": f"M{self.name}"}],
            "status": "finished",
            "class": {"system": f"{_TERMS}/v3-ActCode", "code": rng.choice(_CLASSES)},
            "subject": {"reference": self.patient},
            "participant": [{"individual": {"reference": self.doctor}}],
            "period": {"start": self.moment, "end": self.moment[:11] + "23:00:00+00:00"},
            "serviceProvider": self.where,
        }

    def appointment(self, rng: random.Random) -> Resource:
        status = rng.choice(("booked", "fulfilled", "fulfilled", "fulfilled", "noshow"))
        return {
            "resourceType": "Appointment",
            "id": self.id("a"),
            "identifier": [{"system": f"{_SID}/QPRHP/booking", "value": f"YY{self.name}"}],
            "status": status,
            "start": self.moment,
            "end": self.moment[:11] + "23:30:00+00:00",
            "minutesDuration": 15,
            "participant": [
                {"actor": {"reference": self.patient}, "status": "accepted"},
                {"actor": {"reference": self.doctor}, "status": "accepted"},
            ],
        }

    def condition(self, rng: random.Random) -> Resource:
        code, display = rng.choice(CONDITIONS)
        return {
            "resourceType": "Condition",
            "id": self.id("c"),
            "clinicalStatus": _concept(f"{_TERMS}/condition-clinical", "active"),
            "verificationStatus": _concept(f"{_TERMS}/condition-ver-status", "confirmed"),
            "category": [_concept(f"{_TERMS}/condition-category", "encounter-diagnosis")],
            "code": _concept("http://hl7.org/fhir/sid/icd-10", code, display),
            "subject": {"reference": self.patient},
            "encounter": self.encounter_reference,
            "recordedDate": self.moment,
        }

    def medication_request(self, rng: random.Random) -> Resource:
        code, display = rng.choice(DRUGS)
        return {
            "resourceType": "MedicationRequest",
            "id": self.id("m"),
            "identifier": [{"system": f"{_SID}/ZJJCHC/prescription", "value": f"CF{self.name}"}],
            "status": rng.choice(("active", "completed", "completed", "stopped")),
            "intent": "order",
            "medicationCodeableConcept": _concept("http://www.whocc.no/atc", code, display),
            "subject": {"reference": self.patient},
            "encounter": self.encounter_reference,
            "authoredOn": self.moment,
            "requester": {"reference": self.doctor},
            "dosageInstruction": [{"text": "口服，每日一次，每次一片，饭后服用"}],
        }

    def report(self, results: list[str]) -> Resource:
        return {
            "resourceType": "DiagnosticReport",
            "id": self.id("d"),
            "identifier": [{"system": f"{_SID}/SHTH01/report", "value": f"JY{self.name}"}],
            "status": "final",
            "category": [_concept(f"{_TERMS}/v2-0074", "CH", "生化")],
            "code": _concept("http://loinc.org", "24323-8", "生化组合"),
            "subject": {"reference": self.patient},
            "encounter": self.encounter_reference,
            "effectiveDateTime": self.moment,
            "issued": self.moment,
            "performer": [self.where],
            "result": [{"reference": f"Observation/{one}"} for one in results],
        }


def _concept(system: str, code: str, display: str = "") -> Resource:
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return {"coding": [coding]} | ({"text": display} if display else {})
