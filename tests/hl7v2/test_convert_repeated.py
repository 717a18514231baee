"""What a field says that repeats where FHIR has one value: nothing of it is lost.

Spec: DESIGN 5 (nothing lost from a message); v2-to-FHIR IG, OBX-17 and OBX-20 (cardinality)
"""

from conversion_parts import (
    BASE,
    PID,
    TABLE_MSH,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    target,
)

HEAD = (
    "MSH|^~\\&|A|LAB|||20250315||ORU^R01^ORU_R01|C1|P|2.5.1",
    "PID|1||T1^^^LAB^MR||Shen^Guifang||19530412|F",
    "OBR|1||F1|X^Y|||20250315",
)
FURTHER = f"{BASE}/StructureDefinition/further"
RESULT = {"f1": "1", "f2": "NM", "f3": "K^k", "f5": "4", "f11": "F"}


def made(*segments):
    conversion = converted(lines(*HEAD, *segments))
    assert errors(conversion) == []
    return conversion


def texts(concept):
    """Return the text of a concept, and of those that extend it."""
    more = [one for one in concept.get("extension", ()) if one["url"] == FURTHER]
    return [concept["text"], *(one["valueCodeableConcept"]["text"] for one in more)]


def test_each_method_and_site_of_a_result_is_there():
    obx = segment("OBX", **RESULT, f17="M1^PCR~M2^culture~M1^PCR", f20="LA^left arm~RA^right arm")
    conversion = made(obx)
    found = only(conversion, "Observation")
    assert texts(found["method"]) == ["PCR", "culture"]
    assert texts(found["bodySite"]) == ["left arm", "right arm"]
    assert conversion.report.issues() == []
    assert all(one.state != "dropped" for one in conversion.report.fields() if "17[2]" in one.path)


def test_each_accession_number_and_site_of_a_specimen_is_there():
    spm = segment("SPM", f1="1", f2="S1", f4="BLD", f8="LA^left~RA^right", f30="A1&LIS~A2&LIS")
    found = only(made(segment("OBX", **RESULT), spm), "Specimen")
    accession = found["accessionIdentifier"]
    more = [one["valueIdentifier"]["value"] for one in accession["extension"]]
    assert (accession["value"], more) == ("A1", ["A2"])
    assert texts(found["collection"]["bodySite"]) == ["left", "right"]


def test_each_file_of_a_result_is_there():
    pdf, text = "^application^pdf^Base64^JVBERi0=", "^text^plain^A^hello"
    pointers = "http://x.example/1^^image^jpeg~http://x.example/2^^image^png"
    conversion = made(
        segment("OBX", **(RESULT | {"f2": "ED", "f5": f"{pdf}~{text}"})),
        segment("OBX", **(RESULT | {"f2": "RP", "f3": "L^l", "f5": pointers})),
    )
    files = [
        [one["valueAttachment"] for one in found["extension"]]
        for found in of_type(conversion, "Observation")
    ]
    assert [one["contentType"] for one in files[0]] == ["application/pdf", "text/plain"]
    assert [one["url"] for one in files[1]] == ["http://x.example/1", "http://x.example/2"]


def test_who_performed_a_result_is_an_institution_with_address_and_phone():
    lab = segment("PRT", f2="AD", f4="PO", f8="MyLab^^^^^^XX^^^L1", f14="1 Rd^^Suzhou")
    conversion = made(segment("OBX", **RESULT), f"{lab}|^WPN^PH^^^512^5557")
    performers = [
        target(conversion, one)
        for one in only(conversion, "Observation")["performer"]
        if "reference" in one
    ]
    (found,) = [one for one in performers if one.get("name") == "MyLab"]
    assert found["address"] == [{"line": ["1 Rd"], "city": "Suzhou"}]
    assert [one["system"] for one in found["telecom"]] == ["phone"]


def test_what_else_is_told_beside_a_person_is_kept_word_for_word():
    prt = segment("PRT", f2="AD", f4="RO", f5="D1^Lin^Bo", f8="MyLab", f15="^WPN^PH^^^512^5557")
    conversion = made(segment("OBX", **RESULT), prt)
    told = {one.path: one.state for one in conversion.report.fields() if one.path[:3] == "PRT"}
    assert told["PRT-5.1"] == "mapped"
    assert {told["PRT-8"], told["PRT-15.7"]} == {"preserved"}


def test_codes_of_oncology_have_their_public_system():
    for name in ("ICDO3", "ICD-O-3", "2.16.840.1.113883.6.43.1"):
        obx = segment("OBX", **(RESULT | {"f2": "CWE", "f5": f"8500/3^Ductal carcinoma^{name}"}))
        coding = only(made(obx), "Observation")["valueCodeableConcept"]["coding"][0]
        assert coding["system"] == "http://terminology.hl7.org/CodeSystem/icd-o-3"


def test_the_same_allergy_again_is_one():
    same = "DA^药物^HL70127|P1^青霉素|SV|皮疹"
    told = [f"AL1|1|{same}", f"AL1|2|{same}", "AL1|3|DA|P1^青霉素|SV|呕吐"]
    conversion = converted(lines(TABLE_MSH.format("ADT^A08^ADT_A01"), PID, *told))
    found = [
        one["reaction"][0]["manifestation"][0] for one in of_type(conversion, "AllergyIntolerance")
    ]
    assert [one["text"] for one in found] == ["皮疹", "呕吐"]
