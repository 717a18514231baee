"""A Subscription by rest-hook, through REST and a real endpoint.

Spec: https://hl7.org/fhir/R4/subscription.html
"""

import threading

import parts
import pytest
from endpoint_parts import Endpoint, subscription
from scenario_parts import scenario_hub

PAYLOAD = "application/fhir+json"
SOON = {"subscriptions_pause_s": 0.01}


def patient(family, **more):
    return {"resourceType": "Patient", "name": [{"family": family}], **more}


def running(endpoint, **options):
    return scenario_hub(None, subscriptions_allow=[endpoint.address], **SOON, **options)


@pytest.fixture(scope="module")
def shared():
    """A hub that may notify below one address."""
    allowed = ["http://127.0.0.1:9/hooks"]
    with scenario_hub(None, subscriptions_allow=allowed, **SOON) as hub:
        yield hub


def families(endpoint, count):
    return [endpoint.next().resource["name"][0]["family"] for _ in range(count)]


def until(hub, address, status):
    """Ask until the Subscription says so (the hub says it after the endpoint was answered)."""
    while (found := hub.get(address))["status"] != status:
        pass
    return found


def test_each_version_that_meets_the_criteria_goes_by_put_and_in_order(endpoint):
    with running(endpoint) as hub:
        hub.post("Patient", patient("Before", active=True))
        asked = subscription(
            "Patient?active=true",
            f"{endpoint.address}/hooks?to=a",
            payload=PAYLOAD,
            header=["Authorization: Bearer secret"],
        )
        made = hub.post("Subscription", asked)
        assert made["status"] == "active"
        first = hub.post("Patient", patient("One", active=True))
        hub.post("Patient", patient("Other", active=False))
        address = f"Patient/{first['id']}"
        hub.put(address, first | patient("Two"))
        hub.put(address, first | patient("Three", active=False))
        hub.client.delete(address)
        last = hub.post("Patient", patient("Four", active=True))

        came = [endpoint.next() for _ in range(3)]

        assert [one.resource["name"][0]["family"] for one in came] == ["One", "Two", "Four"]
        assert [one.resource["meta"]["versionId"] for one in came] == ["1", "2", "1"]
        assert (came[0].method, came[0].path) == ("PUT", f"/hooks/{address}?to=a")
        assert came[0].headers["Authorization"] == "Bearer secret"
        assert came[0].headers["Content-Type"] == PAYLOAD
        assert came[2].resource == last
        assert endpoint.is_quiet()
        assert len(hub.history(f"Subscription/{made['id']}")) == 1


def test_without_payload_it_is_a_post_without_a_body_and_off_stops_it(endpoint):
    with running(endpoint) as hub:
        made = hub.post("Subscription", subscription("Patient", endpoint.address))
        hub.post("Patient", patient("One"))
        came = endpoint.next()
        assert (came.method, came.path, came.resource) == ("POST", "/", None)

        hub.put(f"Subscription/{made['id']}", made | {"status": "off"})
        hub.post("Patient", patient("Unheard"))
        hub.put(
            f"Subscription/{made['id']}",
            made | {"status": "requested", "end": "2025-03-11T00:00:00Z"},
        )
        hub.post("Patient", patient("Two"))
        endpoint.next()
        hub.clock.set("2025-03-11T09:00+08:00")

        assert until(hub, f"Subscription/{made['id']}", "off")["end"]
        assert endpoint.is_quiet()


def test_a_failure_is_told_once_in_the_subscription_and_tried_until_it_goes(endpoint):
    endpoint.answers += [500, 302, 404]
    with running(endpoint) as hub:
        asked = subscription("Patient?name=One,Two", endpoint.address, payload=PAYLOAD)
        made = hub.post("Subscription", asked)
        hub.post("Patient", patient("One"))
        hub.post("Patient", patient("Two"))

        assert families(endpoint, 5) == ["One", "One", "One", "One", "Two"]
        until(hub, f"Subscription/{made['id']}", "active")

        versions = hub.history(f"Subscription/{made['id']}")
        assert [one["status"] for one in versions] == ["active", "error", "active"]
        assert [one.get("error") for one in versions] == [None, "answered with 500", None]


def test_one_that_fails_holds_up_no_other(endpoint):
    silent = Endpoint()
    silent.close()
    allowed = [endpoint.address, silent.address]
    with scenario_hub(None, subscriptions_allow=allowed, subscriptions_pause_s=60) as hub:
        failing = hub.post("Subscription", subscription("Patient", silent.address))
        hub.post("Subscription", subscription("Patient", endpoint.address, payload=PAYLOAD))
        hub.post("Patient", patient("One"))
        failed = until(hub, f"Subscription/{failing['id']}", "error")
        assert failed["error"] == "no answer: ConnectionRefusedError"
        hub.post("Patient", patient("Two"))
        assert families(endpoint, 2) == ["One", "Two"]

        channel = failed["channel"] | {"endpoint": f"{endpoint.address}/new"}
        hub.put(f"Subscription/{failing['id']}", failed | {"channel": channel})  # tried at once

        assert [endpoint.next().path for _ in range(2)] == ["/new", "/new"]


def test_what_the_hub_says_in_a_subscription_is_no_news_to_it(endpoint):
    endpoint.answers += [503]
    with running(endpoint) as hub:
        his = hub.post("Subscription", subscription("Subscription", endpoint.address))
        other = subscription("Patient?active=true", endpoint.address, payload=PAYLOAD)
        hub.post("Subscription", other)  # he is told of it, which fails first
        assert [endpoint.next().method for _ in range(2)] == ["POST", "POST"]
        until(hub, f"Subscription/{his['id']}", "active")
        assert len(hub.history(f"Subscription/{his['id']}")) == 3  # active, error, active

        hub.post("Patient", patient("One", active=True))
        assert endpoint.next().method == "PUT"
        assert endpoint.is_quiet()


def test_a_hub_that_is_stopped_waits_for_the_answer_and_does_not_notify_again(endpoint, tmp_path):
    store = f"sqlite:{tmp_path / 'hub.sqlite'}"
    endpoint.may_answer.clear()

    def answer(hub):
        while hub.is_taking:
            pass
        endpoint.may_answer.set()

    with running(endpoint, store=store) as hub:
        hub.post("Subscription", subscription("Patient", endpoint.address, payload=PAYLOAD))
        hub.post("Patient", patient("One"))
        assert endpoint.arrived.wait(parts.PATIENCE_S)
        threading.Thread(target=answer, args=(hub,)).start()
    assert families(endpoint, 1) == ["One"]

    with running(endpoint, store=store) as hub:
        hub.post("Patient", patient("Two"))
        assert families(endpoint, 1) == ["Two"]


def test_a_restart_loses_nothing_and_skips_nothing(endpoint, tmp_path):
    store = f"sqlite:{tmp_path / 'hub.sqlite'}"
    endpoint.answers += [200] + [503] * 1000
    with running(endpoint, store=store) as hub:
        criteria = "Patient?general-practitioner.name=Li"  # asked of the store: another resource
        hub.put(
            "Practitioner/li",
            {"resourceType": "Practitioner", "id": "li", "name": [{"family": "Li"}]},
            201,
        )
        hub.post("Subscription", subscription(criteria, endpoint.address, payload=PAYLOAD))
        his = {"generalPractitioner": [{"reference": "Practitioner/li"}]}
        for family in ("One", "Two", "Three"):
            hub.post("Patient", patient(family, **his))
            hub.post("Patient", patient("Other"))
        assert families(endpoint, 3) == ["One", "Two", "Two"]
    while not endpoint.is_quiet():
        assert families(endpoint, 1) == ["Two"]
    endpoint.answers.clear()

    with running(endpoint, store=store) as hub:
        assert families(endpoint, 2) == ["Two", "Three"]
        until(hub, f"Subscription/{hub.one('Subscription')['id']}", "active")


HOOK = "http://127.0.0.1:9/hooks/a"


@pytest.mark.parametrize(
    ("criteria", "endpoint", "channel", "status", "told"),
    [
        ("Patient?activ=true", HOOK, {}, 400, "did you mean active"),
        ("Patient?birthdate=soon", HOOK, {}, 400, "not a date"),
        ("Patient?_sort=name", HOOK, {}, 400, "_sort"),
        ("Patients?active=true", HOOK, {}, 400, "a search of one type"),
        ("Patient", HOOK, {"type": "email"}, 422, "rest-hook only"),
        ("Patient", HOOK, {"payload": "application/fhir+xml"}, 422, "application/fhir+json"),
        ("Patient", "http://127.0.0.1:9/hooks-of-another", {}, 422, "subscriptions_allow"),
        ("Patient", "http://127.0.0.1:9/hooks/../admin", {}, 400, "dot segments"),
        ("Patient", "http://127.0.0.1:9/hooks/%2e%2e/admin", {}, 400, "dot segments"),
        ("Patient", "http://127.0.0.1:9@example.org/hooks/a", {}, 400, "without user"),
        ("Patient", "http://127.0.0.1:90/hooks/a", {}, 422, "subscriptions_allow"),
        ("Patient", "https://127.0.0.1:9/hooks/a", {}, 422, "subscriptions_allow"),
        ("Patient", "file:///etc/passwd", {}, 400, "http or https"),
        ("Patient", HOOK, {"header": ["A: b\r\nHost: c"]}, 400, "one line"),
        ("Patient", HOOK, {"header": ["Transfer-Encoding: chunked"]}, 400, "one line"),
    ],
)
def test_what_cannot_be_done_is_refused(shared, criteria, endpoint, channel, status, told):
    refused = shared.post("Subscription", subscription(criteria, endpoint, **channel), status)

    (issue,) = refused["issue"]
    assert told in issue["diagnostics"]
    assert issue["expression"][0].startswith("Subscription.c")
    assert shared.found("Subscription") == []


def test_without_the_setting_subscriptions_are_kept_and_nobody_is_called():
    with scenario_hub(None) as hub:
        asked = hub.post("Subscription", subscription("Patient", HOOK), 201)
        known = subscription("Patient", HOOK) | {"id": "b", "status": "active"}
        said = hub.put("Subscription/b", known, 201)

    assert (asked["status"], said["status"]) == ("requested", "requested")
