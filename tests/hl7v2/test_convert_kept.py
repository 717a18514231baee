"""What a message says and no resource has room for: it is kept, word for word, in its Provenance.

Spec: DESIGN 5 (nothing lost from a message); HL7v2 chapters 3 (PID-6), 4A (RXE-13), 6 (IN1), 15
"""

import pytest
from conversion_parts import PID, TABLE_MSH, codes, converted, errors, lines, only, segment

ADT, ORU, RDE = "ADT^A01^ADT_A01", "ORU^R01^ORU_R01", "RDE^O11^RDE_O11"
VXU = "VXU^V04^VXU_V04"
WHO = segment("ROL", f2="AD", f3="PP", f4="D7^Li^Qiang", f5="2022", f9="GP^General", f14="Clinic")
ORDER = ("ORC|NW|P1|F1||||||20250315|||D1^Li", "RXE|1^QD|A^X|1||mg||||||||D2^Wang", "RXR|PO")


@pytest.mark.parametrize(
    ("kind", "segments", "kept"),
    [
        pytest.param(ADT, (f"{PID[:21]}||A^B|Li^Hua",), "PID||||||Li^Hua", id="a mother's name"),
        pytest.param(ADT, (f"{PID[:21]}||A^B||195x",), "PID|||||||195x", id="no date"),
        pytest.param(
            ADT,
            (PID, WHO),
            segment("ROL", f5="2022", f9="GP^General", f14="Clinic"),
            id="since when somebody cares for her, and where",
        ),
        pytest.param(
            ADT,
            (PID, "PV1|1|I", segment("IN1", f1="1", f2="H", f3="P1", f4="Payer", f5="A~B", f6="C")),
            "IN1|||||A~B",
            id="a second address of who insures",
        ),
        pytest.param(
            ADT,
            (PID, "PV1|1|I", "IN1|1|H|P1|Payer", segment("IN2", f49="Li^Hua", f50="555")),
            segment("IN2", f49="Li^Hua", f50="555"),
            id="whom to ask at an employer that has no name",
        ),
        pytest.param(
            ORU,
            (PID, "OBR|1|P1|F1|X^Y|||2014121914001", "OBX|1|NM|A^B||1|||||F"),
            "OBR|||||||2014121914001",
            id="no time",
        ),
        pytest.param(
            ADT,
            (PID, segment("PV1", f1="1", f2="I", f44="20250310", f45="20250301")),
            segment("PV1", f45="20250301"),
            id="an end before its start",
        ),
        pytest.param(
            ADT,
            (PID[:21] + "^^20250102^20240101" + PID[21:],),
            "PID|||T1^^^TEST01^PI^^20250102^20240101",
            id="a number that ends before it starts",
        ),
        pytest.param(
            RDE,
            (PID, "ORC|NW|P1", "TQ1|1|2^TAB|QD", "RXE||A^X|40||mg"),
            "TQ1||2^TAB",
            id="a quantity beside a dose",
        ),
        pytest.param(
            RDE,
            (PID, "ORC|NW|P1", segment("TQ1", f1="1", f3="QD", f13="long"), "RXE||A^X|1||mg"),
            segment("TQ1", f13="long"),
            id="no time that it takes",
        ),
        pytest.param(
            RDE,
            (PID, "ORC|NW|P1", segment("RXE", f2="A^X", f3="half", f5="TAB", f10="few", f11="BX")),
            segment("RXE", f3="half", f5="TAB", f10="few", f11="BX"),
            id="no dose and no amount, with their units",
        ),
        pytest.param(
            "OMG^O19^OMG_O19",
            (PID, "ORC|NW|P1", segment("TQ1", f1="1", f6="often", f7="soon"), "OBR|1|P1||A^X"),
            segment("TQ1", f6="often", f7="soon"),
            id="no times of an order",
        ),
        pytest.param(
            "OMG^O19^OMG_O19",
            (PID, "ORC|NW|P1", segment("TQ1", f1="1", f7="20250401"), "OBR|1|P1||A^X||20250402"),
            segment("TQ1", f7="20250401"),
            id="another start than OBR-6",
        ),
        pytest.param(
            ORU,
            (
                PID,
                segment("OBR", f2="P1", f3="F1", f4="X^Y", f22="20250315"),
                "OBX|1|NM|A^B||1|||||F",
            ),
            segment("OBR", f22="20250315"),
            id="a day where R4 has a point in time",
        ),
        pytest.param(
            RDE,
            (PID, "ORC|NW|P1", segment("RXE", f2="A^X", f3="40", f4="20", f5="mg", f11="TAB")),
            segment("RXE", f4="20", f11="TAB"),
            id="a maximum below the dose, the unit of no amount",
        ),
        pytest.param(
            "RDS^O13^RDS_O13",
            (PID, "ORC|RE|P1|F1", "RXD|1|A^X|20250315|30|TAB||R1"),
            "ORC|||F1",
            id="the second number of a prescription that is not told",
        ),
        pytest.param(
            ADT,
            (PID, segment("ROL", f2="AD", f3="AT", f4="D7^Li", f5="20250310", f6="20250301")),
            segment("ROL", f6="20250301"),
            id="an end of taking part before its start",
        ),
        pytest.param(
            "OML^O21^OML_O21",
            (PID, "ORC|NW|P1", "OBR|1|P1||X^Y", segment("CTD", f1="A", f2="Li", f7="N1^LN")),
            segment("CTD", f7="N1^LN"),
            id="the kind of a contact's number",
        ),
        pytest.param(
            "OMD^O03^OMD_O03",
            (PID, "ORC|NW|P1", "ODS|D|M1^Breakfast|DB^Diet^L"),
            "ODS||M1^Breakfast",
            id="the code of a meal",
        ),
        pytest.param(
            ADT,
            (PID, "PV1|1|I", segment("PV2", f11="a week")),
            "PV2|||||||||||a week",
            id="no days",
        ),
        pytest.param(
            ADT,
            (PID, "PV1|1|I", segment("PR1", f1="1", f3="A^X", f5="soon", f7="long")),
            "PR1|||||soon||long",
            id="neither time nor minutes of a procedure",
        ),
        pytest.param(
            RDE, (PID, "ORC|NW|P1", "RXE||A^X|半片||片", "RXR|PO"), "RXE|||半片||片", id="no dose"
        ),
        pytest.param(
            VXU,
            (PID, "ORC|RE|P1|F1", "RXA|0|1|20250314||08^HepB^CVX|a drop|mL"),
            "RXA||1||||a drop|mL",
            id="no dose given",
        ),
        pytest.param(RDE, (PID, *ORDER), "|".join(["RXE", *[""] * 12, "D2^Wang"]), id="who else"),
    ],
)
def test_what_no_resource_has_room_for_is_kept(kind, segments, kept):
    conversion = converted(lines(TABLE_MSH.format(kind), *segments))

    assert errors(conversion) == []
    extensions = only(conversion, "Provenance").get("extension", ())
    said = [one["valueString"] for one in extensions if "valueString" in one]
    assert kept in [one.replace("RXE|1^QD", "RXE|") for one in said]


def test_what_somebody_is_licensed_for_studied_and_speaks():
    conversion = converted(
        lines(
            TABLE_MSH.format("PMU^B01^PMU_B01"),
            "EVN|B01|20250315",
            "STF|S1||Li^Hua",
            segment("PRA", f1="S1", f5="OBG^Board"),
            "LAN|1|zh^Chinese",
            segment("CER", f1="1", f2="L1", f4="WJW", f10="YS^License^L", f25="2020", f27="2030"),
            segment("CER", f1="2", f2="L2", f4="WJW", f10="ZG^Exam^L", f23="2019"),
            segment("EDU", f1="1", f2="MD", f5="19940701", f6="Fudan", f9="SUR^Surgery"),
            segment("EDU", f1="2", f6="School"),
        )
    )

    assert errors(conversion) == []
    found = only(conversion, "Practitioner")
    assert found["communication"][0]["coding"][0]["code"] == "zh"
    assert [
        (one["code"]["coding"][0]["code"], one["issuer"]["display"], one["period"])
        for one in found["qualification"]
    ] == [
        ("YS", "WJW", {"start": "2020", "end": "2030"}),
        ("ZG", "WJW", {"start": "2019"}),
        ("MD", "Fudan", {"start": "1994-07-01"}),
    ]
    (field,) = found["qualification"][2]["extension"]
    assert (field["url"].rpartition("/")[2], codes(field["valueCodeableConcept"]).keys()) == (
        "field-of-study",
        {"SUR"},
    )
    assert [one["identifier"][0]["value"] for one in found["qualification"][:2]] == ["L1", "L2"]
    kept = [one.get("valueString") for one in only(conversion, "Provenance")["extension"]]
    assert {"PRA|||||OBG^Board", "EDU|2|||||School"} <= {*kept}
