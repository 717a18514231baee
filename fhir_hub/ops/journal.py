"""The journal of messages over HTTP: list, show, correct, do again, give up.

A listing holds no patient data, a text is masked unless it is asked for whole, which is logged
with who asked. What is wrong with a request is answered as the FHIR side answers it.
"""

from datetime import tzinfo
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from fhir_hub import fhirjson
from fhir_hub.clock import instant, now
from fhir_hub.errors import InvalidParameter
from fhir_hub.hl7v2.journal.asked import NAMES, read_number, read_selection, require_known
from fhir_hub.hl7v2.journal.desk import JournalDesk
from fhir_hub.hl7v2.journal.listing import Page, Row
from fhir_hub.ops.answers import answered, read_body, read_flag

_MOST = 1000
_MOST_BYTES = 1 << 20  # of what says which messages


def add_journal(app: FastAPI, desk: JournalDesk, zone: tzinfo, most_bytes: int) -> None:
    """Add the routes; `zone` is that of times without an offset, `most_bytes` a message's limit."""
    router = APIRouter(prefix="/ops/messages", tags=["messages"])

    @router.get("", summary="Messages, newest first, without patient data")
    async def listed(request: Request) -> Response:
        async def work() -> Row:
            asked = dict(request.query_params)
            text, rest = asked.pop("text", ""), _paging(asked)
            return _page(await desk.listed(read_selection(asked, zone), text=text, **rest))

        return await answered(work)

    @router.get("/{number}", summary="A message and its text, masked unless unmasked=true")
    async def message(request: Request, number: str) -> Response:
        async def work() -> Row:
            asked = dict(request.query_params)
            require_known(asked, ("unmasked",))
            is_masked = not read_flag("unmasked", asked.get("unmasked", "false"))
            found = read_number("number", number)
            return await desk.message(found, is_masked=is_masked, who=_who(request))

        return await answered(work)

    _add_deeds(router, desk, zone, most_bytes)
    app.include_router(router)


def _add_deeds(router: APIRouter, desk: JournalDesk, zone: tzinfo, most_bytes: int) -> None:
    """Add what does something to messages."""

    @router.post("/$replay", summary="Do messages again: failed and dead ones, or a selection")
    async def replay(request: Request) -> Response:
        async def work() -> Row:
            asked = await _body(request)
            again, dry_run = (read_flag(n, asked.pop(n, "false")) for n in ("again", "dry_run"))
            who, paging = _who(request, asked.pop("who", "")), _paging(asked)
            until = asked.get("until") or instant(now())
            page = await desk.replay(
                read_selection(asked, zone),
                who=who,
                again=again,
                dry_run=dry_run,
                count=paging["count"],
                beyond=paging["beyond"],
            )
            return _page(page) | ({"until": until} if page.beyond else {})

        return await answered(work)

    @router.post("/{number}/$correct", summary="Do the body, a corrected text, in its stead")
    async def correct(request: Request, number: str) -> Response:
        async def work() -> Row:
            raw, found = await read_body(request, most_bytes), read_number("number", number)
            if not raw:
                raise InvalidParameter("send the corrected text as the body")
            return await desk.correct(
                found, raw, who=_who(request, request.headers.get("from", ""))
            )

        return await answered(work)

    @router.post("/{number}/$ignore", summary="Let a message that failed, or does not end, rest")
    async def ignore(request: Request, number: str) -> Response:
        async def work() -> Row:
            who = _who(request, request.headers.get("from", ""))
            return await desk.ignore(read_number("number", number), who=who)

        return await answered(work)


def _page(page: Page) -> Row:
    more = {"beyond": page.beyond, "note": page.note}
    return {"messages": page.rows} | {name: value for name, value in more.items() if value}


def _paging(asked: dict[str, str]) -> dict[str, int]:
    """Take how many are wanted, and from where on, out of what is asked."""
    require_known(asked, (*NAMES, "count", "beyond"))
    count = read_number("count", asked.pop("count", "50"), most=_MOST)
    return {"count": max(1, count), "beyond": read_number("beyond", asked.pop("beyond", "0"))}


async def _body(request: Request) -> dict[str, str]:
    content = await read_body(request, _MOST_BYTES)
    body: Any = fhirjson.loads(content) if content.strip() else {}
    if not isinstance(body, dict):
        raise InvalidParameter('send a JSON object, such as {"state": "dead"}')
    return {name: _text(name, value) for name, value in body.items()}


def _text(name: str, value: Any) -> str:
    """Return a value as the query would have it; an empty list must not mean every message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and value:
        return ",".join(_text(name, one) for one in value)
    if value is None or isinstance(value, (list, dict)):
        raise InvalidParameter(f"{name[:40]}: give a value, or leave it out")
    return str(value)


def _who(request: Request, named: str = "") -> str:
    """Return who asks, for the log: where from, and the name that was given."""
    address = request.client.host if request.client else ""
    return " ".join(filter(None, (named[:80], address)))
