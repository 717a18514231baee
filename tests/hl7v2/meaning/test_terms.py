"""A term of which a message tells one end alone: the other one stays, if it fits to that.

Spec: HL7v2 chapter 2, 2.5.3 (empty says nothing); chapter 6, IN1-12 and IN1-13; chapter 3, NK1-8
"""

import pytest
from meaning_parts import person, segment


@pytest.mark.parametrize(
    ("term", "then", "period"),
    [
        pytest.param(("20250101", "20251231"), ("20250201", ""), ("2025-02-01", "2025-12-31")),
        pytest.param(("20250101", "20251231"), ("", "20260331"), ("2025-01-01", "2026-03-31")),
        pytest.param(("20250101", "20251231"), ("20260101", ""), ("2026-01-01", None)),
        pytest.param(("20250101", "20251231"), ("20250101", '""'), ("2025-01-01", None)),
    ],
    ids=["a start", "an end", "another term", "no end"],
)
@pytest.mark.parametrize(
    ("name", "fields", "kind"),
    [
        pytest.param("IN1", ("f12", "f13"), "Coverage"),
        pytest.param("NK1", ("f8", "f9"), "RelatedPerson"),
    ],
)
async def test_an_empty_end_of_a_term_leaves_it(say, only, name, fields, kind, term, then, period):
    what = {"IN1": {"f2": "310", "f3": "310", "f36": "Y1"}, "NK1": {"f2": "沈^晓明", "f3": "CHD"}}
    for at, told in (("1000", term), ("1100", then)):
        ends = dict(zip(fields, told, strict=True))
        await say("ADT^A08", at, person(), segment(name, f1="1", **what[name], **ends))

    told = (await only(kind))["period"]
    assert (told.get("start"), told.get("end")) == period
