"""Messages as nobody should send them: they make what is valid, and each part is where it belongs.

Spec: HL7v2 chapter 2, 2.5.2 and 2.6 (order of segments, unexpected segments)
"""

import random

import pytest
from conversion_parts import PID, TABLE_MSH, converted, errors, lines, of_type

from fhir_hub.hl7v2.groups import assign
from fhir_hub.hl7v2.structure import structure


def made(kind, *segments, by_table=False):
    conversion = converted(lines(TABLE_MSH.format(kind), *segments), by_table=by_table)
    assert errors(conversion) == []
    return conversion


def test_a_specimen_before_its_order_is_the_orders_and_one_more_order_its_own():
    order = [PID, "ORC|NW|P1", "SPM|1|S1||BLD", "DG1|1||E11", "OBR|1|P1||A^a", "OBR|2|P2||B^b"]
    found = of_type(made("OML^O21^OML_O21", *order), "ServiceRequest")
    assert ["specimen" in one for one in found] == [True, False]


STRUCTURES = [
    "OML_O21",
    "OMG_O19",
    "OMI_O23",
    "ORM_O01",
    "PGL_PC6",
    "PRR_PC5",
    "RRI_I12",
    "OML_O33",
]


@pytest.mark.parametrize(
    "name", [*STRUCTURES, "ORU_R01", "OUL_R22", "VXU_V04", "RDE_O11", "DFT_P03"]
)
def test_every_segment_has_a_group_in_whatever_order_they_come(name):
    root = structure(name)
    segments, choice = sorted(root.holds), random.Random(name)
    for _ in range(200):
        few = choice.sample(segments, min(4, len(segments)))
        names = choice.choices([*few, "OBR", "ZXA"], k=choice.randint(2, 8))
        for at, spot in enumerate(assign(names, root)):
            assert at in [held for held, _ in spot.segments[names[at]]], names


def test_a_merge_that_names_one_patient_alone_is_no_linkage():
    merge = ["MRG|T2^^^TEST01^PI", "EVN|A40", PID, "MRG|T2^^^TEST01^PI"]
    conversion = made("ADT^A40^ADT_A39", *merge, by_table=True)
    assert len(of_type(conversion, "Linkage")) == 1
