"""`Observation/$lastn` and `Observation/$stats`, as a client sees them.

Spec: https://hl7.org/fhir/R4/observation-operations.html
"""

import pytest

LOINC = "http://loinc.org"
VITAL = "http://terminology.hl7.org/CodeSystem/observation-category"
STATISTICS = "http://terminology.hl7.org/CodeSystem/observation-statistics"
WEIGHT = {"system": LOINC, "code": "29463-7"}
LOCAL = {"system": "urn:hospital", "code": "TZ"}
HEIGHT = {"system": LOINC, "code": "8302-2"}


def observation(number, codings, value, moment, unit="kg", **more):
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "category": [{"coding": [{"system": VITAL, "code": "vital-signs"}]}],
        "code": {"coding": codings},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": moment,
        "valueQuantity": {"value": value, "unit": unit},
    } | more


@pytest.fixture
async def stored(client):
    rows = [
        observation(1, [WEIGHT], 60, "2024-01-01"),
        observation(2, [WEIGHT, LOCAL], 61, "2024-01-02"),
        observation(3, [LOCAL], 62, "2024-01-03"),
        observation(4, [LOCAL], 65, "2024-01-03"),
        observation(5, [HEIGHT], 170, "2024-01-01", "cm"),
        observation(6, [WEIGHT], 99, "2024-01-04", status="entered-in-error"),
        observation(7, [HEIGHT], 1, "2024-01-05", "cm", subject={"reference": "Patient/q"}),
    ]
    for name in "pq":
        await client.put(f"Patient/{name}", json={"resourceType": "Patient", "id": name})
    for row in rows:
        answer = await client.put(f"Observation/{row['id']}", json=row)
        assert answer.status_code == 201, answer.text


async def last(client, query):
    answer = await client.get(f"Observation/$lastn?{query}")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["total"] == len(bundle.get("entry", []))
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("patient=p&category=vital-signs", ["o6", "o5"]),
        ("patient=p&category=vital-signs&status=final", ["o3", "o4", "o5"]),
        ("patient=p&category=vital-signs&status=final&max=2", ["o3", "o4", "o5"]),
        ("patient=p&category=vital-signs&status=final&max=3", ["o3", "o4", "o2", "o5"]),
        ("subject=Patient/p&code=8302-2", ["o5"]),
        ("patient=p&code=29463-7&status=final&max=9", ["o2", "o1"]),
        ("patient=q&category=vital-signs", ["o7"]),
        ("patient=none&category=vital-signs", []),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_lastn_finds_the_latest_of_each_kind_and_those_of_the_same_time(client, query, ids):
    assert await last(client, query) == ids


@pytest.mark.usefixtures("stored")
async def test_lastn_takes_parameters_in_the_body(client):
    rows = [("patient", "valueString", "p"), ("code", "valueString", "8302-2")]
    body = {"resourceType": "Parameters", "parameter": [{"name": n, k: v} for n, k, v in rows]}
    answer = await client.post("Observation/$lastn", json=body)

    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == ["o5"]


@pytest.mark.parametrize(
    "query",
    [
        "patient=p",
        "code=8302-2",
        "patient=p&code=x&max=0",
        "patient=p&code=x&_sort=date",
        "patient=p&code=x&colour=red",
    ],
)
async def test_lastn_refuses(client, query):
    answer = await client.get(f"Observation/$lastn?{query}")

    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


async def statistics(client, query):
    answer = await client.get(f"Observation/$stats?{query}")
    assert answer.status_code == 200, answer.text
    found = {}
    for row in answer.json()["parameter"]:
        assert row["name"] == "statistics"
        for component in row["resource"]["component"]:
            [coding] = component["code"]["coding"]
            assert coding["system"] == STATISTICS
            quantity = component.get("valueQuantity", {})
            found[coding["code"]] = (quantity.get("value"), quantity.get("unit"))
    return found


WEIGHTS = f"subject=Patient/p&system={LOINC}&code=29463-7"
LOCALS = "subject=Patient/p&coding=urn:hospital|TZ"


@pytest.mark.usefixtures("stored")
async def test_stats_computes_each_statistic_in_the_unit_of_the_values(client):
    names = (
        "average,maximum,minimum,count,total-count,median,std-dev,sum,variance,"
        "20-percent,80-percent,4-lower,4-upper"
    )
    assert await statistics(client, f"{LOCALS}&statistic={names}") == {
        "average": (pytest.approx(62.6666666667), "kg"),
        "maximum": (65, "kg"),
        "minimum": (61, "kg"),
        "count": (3, None),
        "total-count": (3, None),
        "median": (62, "kg"),
        "std-dev": (pytest.approx(2.08166599947), "kg"),
        "sum": (188, "kg"),
        "variance": (pytest.approx(4.33333333333), None),
        "20-percent": (61.4, "kg"),
        "80-percent": (63.8, "kg"),
        "4-lower": (61.5, "kg"),
        "4-upper": (63.5, "kg"),
    }


@pytest.mark.usefixtures("stored")
async def test_stats_leaves_out_what_was_entered_in_error(client):
    found = await statistics(client, f"{WEIGHTS}&statistic=maximum&statistic=count")

    assert found == {"maximum": (61, "kg"), "count": (2, None)}


@pytest.mark.parametrize(
    ("period", "count"),
    [
        ("start=2024-01-02", 1),
        ("end=2024-01-01", 1),
        ("start=2024-01-01&end=2024-01-02", 2),
        ("start=2024-01-05", 0),
        ("duration=24", 0),
        ("duration=100000", 2),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_stats_looks_at_a_period_only(client, period, count):
    found = await statistics(client, f"{WEIGHTS}&statistic=count&{period}")

    assert found == {"count": (count, None)}


@pytest.mark.usefixtures("stored")
async def test_stats_says_when_there_is_too_little_to_say(client):
    query = f"subject=Patient/p&code=8302-2&statistic=std-dev&statistic=average&period={1}"
    assert (await client.get(f"Observation/$stats?{query}")).status_code == 400
    found = await statistics(client, query.partition("&period")[0])

    assert found == {"std-dev": (None, None), "average": (170, "cm")}


@pytest.mark.usefixtures("stored")
async def test_stats_gives_its_sources_and_takes_a_period_in_the_body(client):
    rows = [
        {"name": "subject", "valueUri": "Patient/p"},
        {"name": "coding", "valueCoding": WEIGHT},
        {"name": "statistic", "valueCode": "sum"},
        {"name": "period", "valuePeriod": {"start": "2024-01-01", "end": "2024-01-31"}},
        {"name": "include", "valueBoolean": True},
        {"name": "limit", "valuePositiveInt": 1},
    ]
    body = {"resourceType": "Parameters", "parameter": rows}
    first, source = (await client.post("Observation/$stats", json=body)).json()["parameter"]

    assert first["resource"]["effectivePeriod"]["start"] == "2023-12-31T16:00:00Z"
    assert (source["name"], source["resource"]["id"]) == ("source", "o1")


@pytest.mark.usefixtures("stored")
async def test_stats_refuses_to_mix_units(client):
    mixed = observation(9, [WEIGHT], 60000, "2024-02-01", "g")
    await client.put("Observation/o9", json=mixed)
    answer = await client.get(f"Observation/$stats?{WEIGHTS}&statistic=sum")

    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("code=x&statistic=sum", 400),
        ("subject=p&code=x&statistic=sum", 400),
        ("subject=Patient/p&statistic=sum", 400),
        ("subject=Patient/p&code=x", 400),
        ("subject=Patient/p&code=x&statistic=kurtosis", 422),
        ("subject=Patient/p&code=x&statistic=sum&duration=x", 400),
        ("subject=Patient/p&code=x&statistic=sum&duration=-1", 400),
        ("subject=Patient/p&code=x&statistic=sum&duration=5&start=2024", 400),
        ("subject=Patient/p&code=x&statistic=sum&start=soon", 400),
        ("subject=Patient/p&coding=x|&statistic=sum", 400),
    ],
)
async def test_stats_refuses(client, query, status):
    answer = await client.get(f"Observation/$stats?{query}")

    assert answer.status_code == status, answer.text
