"""A write may ask that references stay whole: what is referred to is there, and stays."""

import pytest

from fhir_hub.search.entry import UNNAMED, Entry
from fhir_hub.store.base import Broken, Key, Referrer, Target

PATIENT = Key("Patient", "p")


def refers(parameter: str = "subject", code: str = "Patient/p") -> Entry:
    return Entry(parameter, "reference", code)


async def broken(store, changes, targets) -> Broken:
    with pytest.raises(Broken) as raised:
        await store.write(changes, targets=targets)
    return raised.value


@pytest.mark.parametrize(
    ("target", "is_there"),
    [
        (Target("Patient", "p"), True),
        (Target("Patient", "p", "1"), True),
        (Target("Patient", "p", "2"), False),
        (Target("Patient", "p", "x"), False),
        (Target("Patient", "p", "9" * 40), False),
        (Target("Patient", "q"), False),
        (Target("Practitioner", "p"), False),
        (Target("Patient", "gone"), False),
        (Target("Patient", "gone", "1"), False),
        (Target("Patient", "gone", may_be_deleted=True), True),
        (Target("Patient", "gone", "1", may_be_deleted=True), True),
        (Target("Patient", "gone", "2", may_be_deleted=True), False),
    ],
)
async def test_a_target_must_be_stored_in_the_version_that_is_named(
    store, change, target, is_there
):
    await store.write([change("p"), change("gone")])
    await store.write([change("gone", version_id=2, method="DELETE")])
    new = change("o", resource_type="Observation")

    if is_there:
        assert len(await store.write([new], targets=[target])) == 1
    else:
        error = await broken(store, [new], [target])
        assert (error.missing, error.held) == ((target,), ())
        assert await store.read(Key("Observation", "o")) is None


async def test_what_the_same_write_deletes_is_no_target_but_of_a_record(store, change):
    await store.write([change("p")])
    deletion = change("p", version_id=2, method="DELETE")
    new = change("o", resource_type="Observation")
    target, of_record = Target(*PATIENT), Target(*PATIENT, may_be_deleted=True)

    assert (await broken(store, [deletion, new], [target])).missing == (target,)
    assert len(await store.write([deletion, new], targets=[of_record])) == 2


async def test_what_is_referred_to_is_not_deleted_until_nobody_does(store, change):
    await store.write([change("p")])
    await store.write([change("o", refers(), resource_type="Observation")])
    deletion = change("p", version_id=2, method="DELETE")

    assert (await broken(store, [deletion], [])).held == (PATIENT,)
    await store.write([change("o", resource_type="Observation", version_id=2)])
    assert len(await store.write([deletion], targets=[])) == 1


async def test_a_referrer_that_goes_in_the_same_write_does_not_hold(store, change):
    await store.write([change("p", refers("link"))])
    await store.write([change("o", refers(), resource_type="Observation")])

    gone = [
        change("p", version_id=2, method="DELETE"),
        change("o", resource_type="Observation", version_id=2, method="DELETE"),
    ]
    assert len(await store.write(gone, targets=[])) == 2


async def test_records_and_envelopes_hold_nobody(store, change):
    await store.write([change("p")])
    for resource_type in ("AuditEvent", "Provenance", "Bundle", "Parameters"):
        await store.write([change("x", refers("any"), resource_type=resource_type)])

    assert (await store.referrers(PATIENT, most=9)).total == 0
    deletion = change("p", version_id=2, method="DELETE")
    assert len(await store.write([deletion], targets=[])) == 1


async def test_without_targets_nothing_is_asked(store, change):
    await store.write([change("p")])
    await store.write([change("o", refers(code="Patient/none"), resource_type="Observation")])

    assert len(await store.write([change("p", version_id=2, method="DELETE")])) == 1


async def test_referrers_come_in_order_of_creation_each_once(store, change):
    await store.write([change("p")])
    for number in range(5):
        twice = (refers(), refers("performer"))
        await store.write([change(f"o{number}", *twice, resource_type="Observation")])
    await store.write([change("e", refers(UNNAMED), resource_type="Encounter")])
    await store.write([change("o3", resource_type="Observation", version_id=2)])
    without = [Key("Observation", "o0"), Key("Observation", "none")]

    found = await store.referrers(PATIENT, most=2, without=without)
    everyone = await store.referrers(PATIENT, most=9)

    assert found.total == 4
    assert [(one.resource_type, one.logical_id) for one in found.first] == [
        ("Observation", "o1"),
        ("Observation", "o2"),
    ]
    assert everyone.total == 5
    assert everyone.first[-1] == Referrer("Encounter", "e", UNNAMED)


async def test_of_a_deletion_and_a_reference_at_once_one_is_refused(store, change, together):
    for number in range(50):
        await store.write([change(f"p{number}")])
    both = []
    for number in range(50):
        entry = refers(code=f"Patient/p{number}")
        new = change(f"o{number}", entry, resource_type="Observation")
        both += [
            store.write([change(f"p{number}", version_id=2, method="DELETE")], targets=[]),
            store.write([new], targets=[Target("Patient", f"p{number}")]),
        ]
        if number % 2:
            both[-2:] = reversed(both[-2:])

    ended = await together(*both)

    for first, second in zip(ended[::2], ended[1::2], strict=True):
        assert [type(first), type(second)].count(Broken) == 1
