"""What a message tells though a rule asks for more is stored, and the log says which rule where.

Spec: docs/referral.md
"""

import parts
import pytest
from meaning_parts import person

from fhir_hub.referral.conduct import Conduct

RF1 = "RF1|P|A|MED|SO|O|Z1^ZJJCHC|20250310094000|20250409235959"


@pytest.fixture
def repository(store, clock):
    return parts.repository(store, clock, parts.ids(), conduct=Conduct(is_strict=False))


async def test_a_referral_after_its_deadline_is_flagged_in_the_log(say, only, log):
    await say("REF^I12", "1000", RF1, person())

    assert (await only("Task"))["status"] == "requested"
    (line,) = log.lines
    event, expressions, codes = line.partition(" expressions=")[0], *line.split("=")[1:]
    assert event == "message_flagged"
    assert "Task.restriction.period" in expressions.split()
    assert "expired" in codes.split()
