"""`Schedule/$pool-report`: what became of the places of a month, as a MeasureReport.

It reads the Slots of the period page by page and gives way between pages, so that it delays
nobody; of too many it asks for a shorter period or for one schedule instead of running for ever.

Spec: https://hl7.org/fhir/R4/measurereport.html; docs/referral.md
"""

import asyncio
from dataclasses import replace
from urllib.parse import urlencode

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.errors import InvalidParameter, InvalidResource, Issue, NotSupported
from fhir_hub.r4.dates import date_interval
from fhir_hub.referral.finding import read
from fhir_hub.referral.places import resource_at
from fhir_hub.referral.pool_report import PoolReport, measure_report, name_of, names_wanted
from fhir_hub.rest.criteria import criteria
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.search.plan import Query

ON = ("Schedule",)
_INPUTS = ("period", "hospital", "schedule", "actor")
_AT_ONCE = 500
MOST = 200_000


async def pool_report(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the MeasureReport of a `period` (`2025-03`), of all or one hospital.

    Raises `InvalidParameter`, `UnknownParameter`, `NotSupported` for more than 200,000 Slots.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$pool-report", _INPUTS)
    period = inputs.text("period")
    try:
        interval = date_interval(period, service.zone)
    except InvalidResource:
        raise InvalidParameter("$pool-report needs period: a month such as 2025-03") from None
    pairs = [("start", period)]
    pairs += [(path, inputs.text(name)) for name, path in _NARROWING if inputs.text(name)]
    plan = criteria("Slot", urlencode(pairs), request.base, service)
    store, now = service.repository.store, service.repository.clock()
    report = PoolReport(store, service.pools, now)
    query, seen = Query(("Slot",), plan, count=_AT_ONCE), 0
    while True:
        page = await store.search(query)
        seen += len(page.matches)
        if seen > MOST:
            text = f"the period has more than {MOST} slots: ask for a shorter one, or a schedule"
            raise NotSupported(text, Issue("too-costly", text, chinese="号源过多，请缩短统计期"))
        await report.count([read(one) for one in page.matches], inputs.text("hospital"))
        if not page.cursor:
            break
        query = replace(query, after=page.cursor)
        await asyncio.sleep(0)  # others are served between pages
    names = {
        "/".join(key): name_of(await resource_at(store.read, key), key.logical_id)
        for key in names_wanted(report)
    }
    first = from_microseconds(interval.start).astimezone(service.zone)
    last = from_microseconds(interval.end - 1).astimezone(service.zone)
    shown = {"start": first.date().isoformat(), "end": last.date().isoformat()}
    return answer(200, measure_report(report, shown, instant(now), names))


_NARROWING = (("schedule", "schedule"), ("actor", "schedule.actor"))
