"""What the hub keeps once: parts known by number, doses given, documents, an institution at home.

Spec: HL7v2 chapters 4, 4A (RXA-6), 6 (PR1-25) and 9 (OBX of a document)
"""

import base64

import pytest
from conversion_parts import BASE, converted, errors, lines, of_type, only, segment, states, target

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.5"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def kept(kind, *segments):
    conversion = converted(lines(MSH.format(kind), PID, *segments))
    assert errors(conversion) == []
    return conversion


@pytest.mark.parametrize(
    ("parent", "system", "value"),
    [("PP&HIS^FF&LIS", "HIS", "PP"), ("&^FF&LIS", "LIS", "FF")],
)
def test_the_order_before_is_known_by_its_number(parent, system, value):
    conversion = kept("OML^O21^OML_O21", f"ORC|NW|P1|F1|||||{parent}", "OBR|1|P1|F1|X^Y")
    (based,) = only(conversion, "ServiceRequest")["basedOn"]
    identifier = based["identifier"]
    assert (based["type"], identifier["value"]) == ("ServiceRequest", value)
    assert identifier["system"] == f"{BASE}/sid/{system}"


def test_nothing_in_the_field_of_the_order_before_is_none():
    conversion = kept("OML^O21^OML_O21", "ORC|NW|P1|F1|||||&^&", "OBR|1|P1|F1|X^Y")
    assert "basedOn" not in only(conversion, "ServiceRequest")
    conversion = kept("OMP^O09^OMP_O09", "ORC|NW|P1|||||", "RXO|A^甲|1||mg")
    assert "priorPrescription" not in only(conversion, "MedicationRequest")


def test_an_institution_that_orders_has_an_address_that_is_no_home():
    orc = "ORC|NW|P1|F1" + "|" * 18 + "甲院^^^^^HIS&&L^^SITE^^77|路1^^上海^^^^H"
    conversion = kept("OML^O21^OML_O21", orc, "OBR|1|P1|F1|X^Y")
    institution = target(conversion, only(conversion, "ServiceRequest")["requester"])
    (address,) = institution["address"]
    assert (institution["name"], address["city"]) == ("甲院", "上海")
    assert "use" not in address


def test_the_whole_procedure_is_known_by_its_number():
    pr1 = "PR1|1||X^op||20250315" + "|" * 14 + "P1^HIS" + "|" * 6 + "P0^HIS"
    conversion = kept("ADT^A01^ADT_A01", "PV1|1|I", pr1)
    (whole,) = only(conversion, "Procedure")["partOf"]
    identifier = {"system": f"{BASE}/sid/HIS", "value": "P0"}
    assert whole == {"type": "Procedure", "identifier": identifier}


@pytest.mark.parametrize("amount", ["999", "0.5"])
def test_a_dose_of_999_was_not_recorded(amount):
    rxa = f"RXA|0|1|20250315|20250315|08^HepB^CVX|{amount}|mL|||||||||||||CP"
    conversion = kept("VXU^V04^VXU_V04", "ORC|RE||F1", rxa)
    shot = only(conversion, "Immunization")
    if amount == "999":
        assert "doseQuantity" not in shot
    else:
        assert (str(shot["doseQuantity"]["value"]), shot["doseQuantity"]["code"]) == ("0.5", "mL")


def document(*obx):
    txa = "TXA|1|CN|TX|20250315|||||||||D1^HIS||||AU||AV"
    conversion = kept("MDM^T02^MDM_T02", "EVN|T02|20250315", "PV1|1|O", txa, *obx)
    return only(conversion, "DocumentReference"), conversion


def test_the_lines_of_a_document_are_one_text():
    found, conversion = document("OBX|1|TX|R^报告||第一行||||||F", "OBX|2|TX|R^报告||第二行||||||F")
    (content,) = found["content"]
    attachment = content["attachment"]
    assert base64.b64decode(attachment["data"]).decode() == "第一行\n第二行"
    assert (attachment["contentType"], attachment["title"]) == ("text/plain", "报告")
    told = [state for (path, _), state in states(conversion).items() if path == "OBX-5"]
    assert told == ["mapped", "mapped"]


def test_a_note_in_a_document_is_content_of_it_or_of_its_value():
    text = ("OBX|1|TX|R^报告||第一行||||||F", "NTE|1||代签")
    found, conversion = document(*text, "OBX|2|NM|H^身高||170|cm|||||F", "NTE|1||站立")
    told = [base64.b64decode(one["attachment"]["data"]).decode() for one in found["content"]]
    assert told == ["第一行", "代签"]
    assert only(conversion, "Observation")["note"] == [{"text": "站立"}]


@pytest.mark.parametrize(
    ("said", "system"),
    [
        ("R", "http://terminology.hl7.org/CodeSystem/v2-0272"),
        ("X9", f"{BASE}/CodeSystem/TEST01/local"),
    ],
)
def test_how_confidential_a_document_is_has_its_table(said, system):
    txa = segment("TXA", f1="1", f2="CN", f12="D1^HIS", f17="AU", f18=said)
    found = only(kept("MDM^T02^MDM_T02", "EVN|T02|20250315", "PV1|1|O", txa), "DocumentReference")
    assert [one["coding"][0]["system"] for one in found["securityLabel"]] == [system]


def test_a_document_in_data_keeps_its_type():
    found, _ = document("OBX|1|ED|R^报告||^application^pdf^Base64^JVBERi0=||||||F")
    assert found["content"][0]["attachment"] == {
        "contentType": "application/pdf",
        "data": "JVBERi0=",
        "title": "报告",
    }


@pytest.mark.parametrize("encoding", ["Base64", "A", "HEX"])
def test_a_document_whose_data_was_left_out_has_its_type_alone(encoding):
    found, _ = document(f"OBX|1|ED|R^报告||^application^pdf^{encoding}^||||||F")
    assert found["content"][0]["attachment"] == {"contentType": "application/pdf", "title": "报告"}


def test_a_document_of_values_alone_has_them_as_its_text():
    found, conversion = document(
        "OBX|1|NM|W^体重||90|kg|||||F|||20250314", "OBX|2|CE|K^结论||N^正常||||||F"
    )
    (content,) = found["content"]
    text = base64.b64decode(content["attachment"]["data"]).decode()
    assert text == "体重: 90 kg\n结论: 正常"
    assert len(of_type(conversion, "Observation")) == 2


def test_values_beside_a_text_are_none_of_the_document():
    found, _ = document("OBX|1|NM|W^体重||90|kg|||||F", "OBX|2|TX|R^报告||正文||||||F")
    texts = [base64.b64decode(one["attachment"]["data"]).decode() for one in found["content"]]
    assert texts == ["正文"]


def test_a_document_of_which_nothing_is_said_is_made_all_the_same():
    found, _ = document("OBX|1|TX|R^报告")
    assert found["content"][0]["attachment"]
    txa = "TXA|1|CN||20250315|||||||||D1^HIS"
    conversion = kept("MDM^T01^MDM_T02", "EVN|T01|20250315", "PV1|1|O", txa)
    assert only(conversion, "DocumentReference")["content"][0]["attachment"]


def test_a_note_without_words_is_none():
    seen = ("OBR|1||F1|X^Y", "OBX|1|NM|K^k||4|||||F", "NTE|1||||D7^李^明|20250315")
    conversion = kept("ORU^R01^ORU_R01", *seen)
    assert "note" not in only(conversion, "Observation")


def test_a_prescription_of_two_timings_has_bounds_of_one_kind():
    timings = ("TQ1|1|||||3^d", "TQ1|2||||||20250315080000|20250320080000")
    conversion = kept("OMP^O09^OMP_O09", "ORC|NW|P1", *timings, "RXO|A^甲|1||mg")
    bounds = [
        [name for name in dose["timing"]["repeat"] if "bounds" in name]
        for dose in only(conversion, "MedicationRequest")["dosageInstruction"]
    ]
    assert bounds == [["boundsDuration"], ["boundsPeriod"]]


def test_a_time_of_a_dose_that_is_none_is_kept_word_for_word():
    rxe = "RXE||A^甲|1||mg" + "|" * 17 + "每周"
    conversion = kept("RDE^O11^RDE_O11", "ORC|NW|P1", rxe)
    assert "rateRatio" not in str(only(conversion, "MedicationRequest"))
    assert states(conversion)["RXE-22", 3] == "preserved"


def test_a_problem_that_was_an_error_has_not_ended():
    conversion = kept("PPR^PC3^PPR_PC1", "PRB|DE|20250315|X^Y|PR1|||20240101||20250301")
    problem = only(conversion, "Condition")
    assert "abatementDateTime" not in problem
    assert problem["verificationStatus"]["coding"][0]["code"] == "entered-in-error"


def test_what_a_vaccinated_person_was_given_to_read_is_told_document_by_document():
    told = [
        ("30956-7", "A", "110^DTaP^CVX"),
        ("29768-9", "A", "20240101"),
        ("30956-7", "B", "08^HepB^CVX"),
        ("29768-9", "B", "20240202"),
        ("29769-7", "A", "20240501"),
        ("29769-7", "C", "20240501"),
    ]
    seen = [
        f"OBX|{at}|CE|{code}^x^LN|{sub}|{said}||||||F"
        for at, (code, sub, said) in enumerate(told, 1)
    ]
    conversion = kept("VXU^V04^VXU_V04", "ORC|RE||I1^R", "RXA|0|1|20240501||110^V^CVX|999", *seen)
    dose = only(conversion, "Immunization")
    assert dose["education"] == [
        {
            "documentType": "DTaP",
            "publicationDate": "2024-01-01",
            "presentationDate": "2024-05-01",
        },
        {"documentType": "HepB", "publicationDate": "2024-02-02"},
    ]
