"""DOMAIN 1.3, scenario S13: who is in a programme of hypertension is followed up.

The resident of the story is contracted (01); her last reading is that of the kiosk (09), 148/92.
Who may see the list is a matter of signing in, which comes later: any client asks here.
"""

import pytest
from scenario_parts import EXAMPLES, SHEN, scenario_hub

PROGRAMME = {
    "system": "https://fhir-hub.example/CodeSystem/programme",
    "code": "hypertension",
}


def reading(moment, pressure, number):
    """Return message 09 of another moment, with another blood pressure."""
    text = next((EXAMPLES / "messages").glob("09_*.hl7")).read_text("utf-8")
    for old, new in (
        ("20250310084", f"{moment}084"),
        ("148/92", pressure),
        ("|11.6|", "|5.6|"),
        ("00-17", f"00-{number}"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def enrolled(hub):
    """Put the resident into the programme; return the address of her CarePlan."""
    patient = hub.one(f"Patient?identifier={SHEN}")["id"]
    made = hub.post(
        "CarePlan",
        {
            "resourceType": "CarePlan",
            "status": "active",
            "intent": "plan",
            "category": [{"coding": [PROGRAMME]}],
            "subject": {"reference": f"Patient/{patient}"},
            "period": {"start": "2025-03-10"},
        },
    )
    return f"CarePlan/{made['id']}"


def overdue(hub):
    centre = hub.one("Organization?identifier=ZJJCHC&active=true")["id"]
    return hub.found(f"Task?owner=Organization/{centre}&code=follow-up&status=requested")


def due(hub, plan):
    (activity,) = hub.get(plan)["activity"]
    return activity["detail"]["scheduledPeriod"]["end"], activity["progress"][0]["text"]


@pytest.fixture(scope="module")
def plan(hub):
    hub.tell("01", "09")
    hub.pass_time("2025-06-18T09:00+08:00")  # 100 days after the reading
    return enrolled(hub)


@pytest.fixture(scope="module")
def on_target(hub, plan):
    """Her next reading is on target; return the plan."""
    hub.tell(reading("20250618", "128/78", 31))
    return plan


def test_s13_step_1_whose_last_reading_is_100_days_old_is_overdue_at_the_centre(hub, plan):
    (task,) = overdue(hub)

    assert task["for"]["reference"] == f"Patient/{hub.one(f'Patient?identifier={SHEN}')['id']}"
    assert due(hub, plan) == ("2025-03-24", "off target / 未达标")


def test_s13_step_2_a_new_reading_removes_her(hub, on_target):
    assert overdue(hub) == []
    done = hub.one("Task?code=follow-up")
    reading_id = done["output"][0]["valueReference"]["reference"]
    assert done["status"] == "completed"
    assert hub.get(reading_id)["component"][0]["valueQuantity"]["value"] == 128
    assert due(hub, on_target) == ("2025-09-16", "on target / 达标")


@pytest.mark.usefixtures("on_target")
def test_s13_step_3_after_three_months_the_clock_puts_her_on_the_list_again(hub):
    hub.pass_time("2025-09-16T23:00+08:00")
    assert overdue(hub) == []
    hub.pass_time("2025-09-17T00:30+08:00")
    assert len(overdue(hub)) == 1
    hub.pass_time("2025-09-18T00:30+08:00")
    assert len(overdue(hub)) == 1


def test_s13_step_4_a_reading_off_target_is_followed_up_sooner(hub, plan):
    hub.tell(reading("20250918", "146/88", 32))

    assert overdue(hub) == []
    assert due(hub, plan) == ("2025-10-02", "off target / 未达标")
    assert hub.found("Task?code=screening&status=requested&_count=10")[0]["input"] != []
    assert len(hub.found("Task?code=screening")) == 1  # that of step 0, before the programme


def test_s13_step_5_who_leaves_the_programme_is_on_no_list(hub, plan):
    hub.pass_time("2025-10-10T09:00+08:00")
    assert len(overdue(hub)) == 1

    hub.put(plan, hub.get(plan) | {"status": "completed"})

    assert overdue(hub) == []


def test_s13_the_interval_is_a_setting(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        "[programme.hypertension]\n"
        "english = 'follow-up'\n"
        "chinese = '随访'\n"
        "codes = ['85354-9']\n"
        "every_days = 60\n"
        "off_target_days = 7\n"
        "targets = [{ code = '8480-6', unit = 'mm[Hg]', below = 150 }]\n",
        "utf-8",
    )
    with scenario_hub(programmes=own) as hub:
        hub.tell("01", "09")

        assert due(hub, enrolled(hub)) == ("2025-05-09", "on target / 达标")
