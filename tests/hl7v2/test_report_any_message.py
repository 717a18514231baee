"""The report of any message, however odd: each part once, each element that it names is there.

Spec: DESIGN 5 (nothing lost from a message)
"""

import pytest
from conversion_parts import converted, element
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_hub.errors import FhirError
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.reports.leaves import leaves_of

pytestmark = pytest.mark.no_cover  # many rounds of what other tests cover

TEXTS = st.sampled_from(
    [
        *("", "", " ", "T1", "沈", "桂芳", "20250314", "F", "PI", "NM", "7.5", "mg", "Y", "U0001"),
        *('""', "\\T\\", "10^9/L", "a~b", "^^^SHTH01", "1^2&3^4", "&", "~~x"),
    ]
)
SEGMENTS = st.sampled_from(["PID", "NK1", "PV1", "ORC", "OBR", "OBX", "NTE", "AL1", "ZZZ", "UB1"])
LINES = st.lists(st.tuples(SEGMENTS, st.lists(TEXTS, max_size=14)), max_size=7)
EVENTS = st.sampled_from(["ADT^A08", "ORU^R01", "SIU^S12", "REF^I12", "ZZZ^Z01"])


@settings(max_examples=40)
@given(EVENTS, LINES, st.booleans())
@example("ADT^A08", [("PV1", [""] * 6 + ["1^2&3^4"])], True)  # a part of `_family`
@example("ZZZ^Z01", [("ORC", ["CA", "1"]), ("ORC", ["NW", "2"]), ("OBR", [""] * 3 + ["a"])], False)
def test_each_part_is_told_once_and_each_element_named_is_there(event, lines, by_table):
    segments = [f"MSH|^~\\&|XIS|TEST01|HUB||20250315||{event}|C1|P|2.4", "PID|1||T9||王"]
    text = "\r".join([*segments, *("|".join((name, *fields)) for name, fields in lines)])
    try:
        conversion = converted(text, by_table=by_table)
    except FhirError:
        return
    parts = [
        (segment.index, leaf.name)
        for segment in er7.parse(text).segments
        for number in range(1, len(segment.fields))
        for leaf in leaves_of(segment, number, lambda parts: True)
    ]

    fields = conversion.report.fields()

    assert [(one.segment, one.path) for one in fields] == parts
    for one in fields:
        for path in one.to:
            if path != "journal" and not path.startswith(("deletes ", "changes ")):
                assert not isinstance(element(conversion, path), dict | list), one
