"""What the load is made of: residents, results and messages as the three regions send them."""

import json
import random
from datetime import UTC, datetime, timedelta

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾沈陆顾"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂华建国文辉玲英慧晓志"
LABS = [
    ("14771-0", "空腹血糖", "mmol/L", 3.9, 12.0),
    ("4548-4", "糖化血红蛋白", "%", 4.0, 12.0),
    ("14682-9", "肌酐", "umol/L", 41, 180),
    ("2823-3", "钾", "mmol/L", 3.0, 6.5),
    ("6690-2", "白细胞计数", "10*9/L", 2.0, 15.0),
    ("718-7", "血红蛋白", "g/L", 70, 170),
    ("8867-4", "心率", "/min", 50, 120),
    ("59408-5", "血氧饱和度", "%", 88, 100),
    ("29463-7", "体重", "kg", 40, 100),
    ("8480-6", "收缩压", "mm[Hg]", 90, 190),
]
DAY = datetime(2025, 3, 1, tzinfo=UTC)


def patient(number: int) -> dict:
    rng = random.Random(number)
    family = rng.choice(SURNAMES)
    given = "".join(rng.choices(GIVEN, k=rng.choice((1, 2, 2))))
    return {
        "resourceType": "Patient",
        "identifier": [
            {"system": "urn:oid:2.16.156.10011.1.19", "value": f"310118D{number:08}"},
            {"system": "https://fhir-hub.example/sid/ZJJCHC/patient-id", "value": f"Z{number:08}"},
        ],
        "active": True,
        "name": [{"use": "official", "text": family + given, "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": f"130{number:08}", "use": "mobile"}],
        "gender": rng.choice(("male", "female")),
        "birthDate": str((DAY - timedelta(days=rng.randrange(36500))).date()),
        "address": [
            {
                "use": "home",
                "text": f"上海市青浦区朱家角镇示范路{number % 900}号",
                "city": "上海市",
                "district": "青浦区",
                "line": [f"示范路{number % 900}号"],
                "postalCode": "201713",
            }
        ],
    }


def observation(number: int, patient_reference: str) -> dict:
    rng = random.Random(number)
    code, display, unit, low, high = rng.choice(LABS)
    moment = DAY + timedelta(minutes=number % 500_000)
    return {
        "resourceType": "Observation",
        "identifier": [{"system": "https://fhir-hub.example/sid/SHTH01", "value": f"L{number}"}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": code, "display": display}],
            "text": display,
        },
        "subject": {"reference": patient_reference},
        "effectiveDateTime": moment.isoformat(),
        "issued": moment.isoformat(),
        "performer": [{"reference": "Organization/SHTH01", "display": "市级医院（示例）"}],
        "valueQuantity": {
            "value": round(rng.uniform(low, high), 1),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
        "referenceRange": [{"low": {"value": low, "unit": unit}, "text": f"{low}-{high}"}],
    }


def large_patient(number: int) -> dict:
    """Return a Patient of about 2 KB."""
    resource = patient(number)
    resource["contact"] = [
        {
            "relationship": [{"text": "子女"}],
            "name": {"text": "沈晓明"},
            "telecom": [{"system": "phone", "value": f"13{n:09}"}],
            "address": {"text": "上海市青浦区朱家角镇示范路100弄8号501室"},
        }
        for n in range(7)
    ]
    return resource


def transaction(number: int, size: int = 100) -> dict:
    """Return a transaction of a new Patient and `size` - 1 Observations of it."""
    urn = f"urn:uuid:00000000-0000-4000-8000-{number:012}"
    entries = [
        {
            "fullUrl": urn,
            "resource": patient(number),
            "request": {"method": "POST", "url": "Patient"},
        }
    ]
    entries += [
        {
            "resource": observation(number * size + place, urn),
            "request": {"method": "POST", "url": "Observation"},
        }
        for place in range(1, size)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def oru(number: int, results: int = 10) -> bytes:
    """Return an ORU^R01 of `results` OBX, framed for MLLP."""
    who = number % 500
    family, given = SURNAMES[who % len(SURNAMES)], GIVEN[who % len(GIVEN)]
    stamp = "20250314103000"
    born = f"{1935 + who % 61}{1 + who % 12:02}{1 + who % 28:02}"
    lines = [
        f"MSH|^~\\&|LIS|SHTH01|FHIRHUB|QPRHP|{stamp}||ORU^R01^ORU_R01|B{number}|P|2.4"
        "|||AL|NE|CHN|UNICODE UTF-8|zh",
        f"PID|1||T{who:07}^^^SHTH01^PI||{family}^{given}^^^^^L^I||{born}|F",
        f"PV1|1|O|NFM07^^^SHTH01||||||||||||||||M{number}",
        f"ORC|RE|JY{number}^SHTH01|L{number}^LIS||CM||||20250314080500|||T20501^方^晓岚^^^^^^SHTH01^L",
        f"OBR|1|JY{number}^SHTH01|L{number}^LIS|SH-CHEM^生化组合^L|||20250314081000"
        "|||||||20250314082000|BLD&静脉血|T20501^方^晓岚^^^^^^SHTH01^L"
        "||||||20250314102800||CH|F",
    ]
    for place in range(results):
        code, display, unit, low, high = LABS[place % len(LABS)]
        value = round(low + (number % 97) / 97 * (high - low), 1)
        lines.append(
            f"OBX|{place + 1}|NM|{code}^{display}^LN||{value}|{unit}|{low}-{high}|N|||F"
            "|||20250314081000"
        )
    return b"\x0b" + "\r".join(lines).encode() + b"\r\x1c\r"


def adt(number: int) -> bytes:
    """Return an ADT^A01 of one resident, without a frame."""
    who = number % 500
    family, given = SURNAMES[who % len(SURNAMES)], GIVEN[who % len(GIVEN)]
    lines = [
        f"MSH|^~\\&|HIS|SHTH01|FHIRHUB|QPRHP|20250314103000||ADT^A01^ADT_A01|A{number}|P|2.4"
        "|||AL|NE|CHN|UNICODE UTF-8|zh",
        "EVN|A01|20250314102900",
        f"PID|1||T{who:07}^^^SHTH01^PI~Z{who:07}^^^SHTH01^MR||{family}^{given}^^^^^L^I||19530412|F"
        "|||曲阳路100号^^上海市^上海市^200081^CHN^H||021-65000000^PRN^PH|||M",
        "NK1|1|陈^强^^^^^L^I|SPO|曲阳路100号^^上海市|13800000000",
        f"PV1|1|I|NFM07^302^1^SHTH01||||T20501^方^晓岚^^^^^^SHTH01^L||||||||||||M{number}"
        f"{'|' * 25}20250314100000",
        "DG1|1||I10^原发性高血压^I10||20250314|A",
    ]
    return "\r".join(lines).encode()


def document(size: int) -> bytes:
    """Return an MDM^T02 with a PDF of so many bytes in Base64, without a frame."""
    lines = [
        "MSH|^~\\&|EMR|SHTH01|FHIRHUB|QPRHP|20250314103000||MDM^T02^MDM_T02|D1|P|2.4"
        "|||AL|NE|CHN|UNICODE UTF-8|zh",
        "EVN|T02|20250314102900",
        "PID|1||T0000001^^^SHTH01^PI||王^芳^^^^^L^I||19530412|F",
        "PV1|1|I|NFM07^302^1^SHTH01||||||||||||||||M1",
        "TXA|1|DS|AP|20250314103000||||||||D-1^SHTH01|||||AU||AV",
        f"OBX|1|ED|11490-0^出院小结^LN||^application^pdf^Base64^{'QUJD' * (size // 4)}||||||F",
    ]
    return "\r".join(lines).encode()


def dumps(resource: dict) -> bytes:
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
