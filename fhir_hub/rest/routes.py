"""One table routes every FHIR request: REST, entries of a bundle, the console, the CLI.

A path has one of a few shapes; `T` stands for a resource type, `I` for a logical id, `V` for a
version id, `C` for the type of a compartment's members, `$` for an operation. An
interaction is one module and one row here.

Spec: https://hl7.org/fhir/R4/http.html#summary
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fhir_hub.errors import MethodNotAllowed, NotFound
from fhir_hub.nearest import did_you_mean
from fhir_hub.rest import (
    bundle,
    capabilities,
    create,
    delete,
    history,
    operation_definitions,
    patch,
    read,
    search,
    update,
    vread,
)
from fhir_hub.rest.message import FhirRequest, FhirResponse
from fhir_hub.rest.operations import (
    booking,
    contract,
    diff,
    dispensing,
    everything,
    expand,
    lastn,
    lookup,
    match,
    merge,
    meta,
    package,
    pool_report,
    reassign,
    remind,
    search_parameters,
    stats,
    summary,
    translate,
    validate,
    validate_code,
)
from fhir_hub.rest.service import Operation, Service

Interaction = Callable[[FhirRequest, Service], Awaitable[FhirResponse]]


class Route(NamedTuple):
    """An interaction: its name in R4, its HTTP method, the shape of its path, its function.

    An operation's `resource_types` are those that have it, of none all; it `affects_state` if
    it writes resources.
    """

    interaction: str
    method: str
    shape: str
    function: Interaction
    resource_types: tuple[str, ...] = ()
    affects_state: bool = False


ROUTES = (
    Route("capabilities", "GET", "metadata", capabilities.capabilities),
    Route("transaction", "POST", "", bundle.process),
    Route("search-system", "GET", "", search.search_system),
    Route("search-system", "POST", "_search", search.search_system),
    Route("history-system", "GET", "_history", history.history),
    Route("create", "POST", "T", create.create),
    Route("search-type", "GET", "T", search.search_type),
    Route("search-type", "POST", "T/_search", search.search_type),
    Route("history-type", "GET", "T/_history", history.history),
    Route("search-compartment", "GET", "T/I/C", search.search_compartment),
    Route("search-compartment", "POST", "T/I/C/_search", search.search_compartment),
    Route("read", "GET", "T/I", read.read),
    Route("update", "PUT", "T/I", update.update),
    Route("conditional-update", "PUT", "T", update.conditional_update),
    Route("patch", "PATCH", "T/I", patch.patch),
    Route("conditional-patch", "PATCH", "T", patch.conditional_patch),
    Route("delete", "DELETE", "T/I", delete.delete),
    Route("conditional-delete", "DELETE", "T", delete.conditional_delete),
    Route("history-instance", "GET", "T/I/_history", history.history),
    Route("vread", "GET", "T/I/_history/V", vread.vread),
    Route("$everything", "GET", "T/I/$everything", everything.everything, everything.ON),
    Route("$everything", "POST", "T/I/$everything", everything.everything, everything.ON),
    Route("$diff", "GET", "T/I/$diff", diff.diff),
    Route("$lastn", "GET", "T/$lastn", lastn.lastn, lastn.ON),
    Route("$lastn", "POST", "T/$lastn", lastn.lastn, lastn.ON),
    Route("$find", "GET", "T/$find", booking.find, booking.ON),
    Route("$find", "POST", "T/$find", booking.find, booking.ON),
    Route("$hold", "POST", "T/$hold", booking.hold, booking.ON, affects_state=True),
    Route("$book", "POST", "T/$book", booking.book, booking.ON, affects_state=True),
    Route("$renew", "POST", "T/I/$renew", contract.renew, contract.ON, affects_state=True),
    Route("$transfer", "POST", "T/I/$transfer", contract.transfer, contract.ON, affects_state=True),
    Route("$pool-report", "GET", "T/$pool-report", pool_report.pool_report, pool_report.ON),
    Route("$pool-report", "POST", "T/$pool-report", pool_report.pool_report, pool_report.ON),
    Route("$dispensing-list", "GET", "T/$dispensing-list", dispensing.collect, dispensing.ON),
    Route("$dispensing-list", "POST", "T/$dispensing-list", dispensing.collect, dispensing.ON),
    Route("$reassign", "POST", "T/$reassign", reassign.reassign, reassign.ON, affects_state=True),
    Route("$match", "POST", "T/$match", match.match, match.ON),
    Route("$merge", "POST", "T/$merge", merge.merge, merge.ON, True),
    Route("$unmerge", "POST", "T/$unmerge", merge.unmerge, merge.ON, True),
    Route("$package", "GET", "T/I/$package", package.package, package.ON),
    Route("$package", "POST", "T/I/$package", package.package, package.ON),
    Route("$remind", "POST", "T/$remind", remind.remind, remind.ORDERS),
    Route("$remind", "POST", "T/I/$remind", remind.remind, remind.ON),
    Route("$remind", "GET", "T/I/$remind", remind.remind, remind.ON),
    Route("$summary", "GET", "T/I/$summary", summary.summary, summary.ON),
    Route("$summary", "POST", "T/I/$summary", summary.summary, summary.ON),
    Route("$summary", "GET", "T/$summary", summary.summary, summary.ON),
    Route("$summary", "POST", "T/$summary", summary.summary, summary.ON),
    Route("$stats", "GET", "T/$stats", stats.stats, stats.ON),
    Route("$stats", "POST", "T/$stats", stats.stats, stats.ON),
    Route("$status", "GET", "T/$status", search_parameters.status, search_parameters.ON),
    Route("$status", "GET", "T/I/$status", search_parameters.status, search_parameters.ON),
    Route("$reindex", "POST", "T/I/$reindex", search_parameters.reindex, search_parameters.ON),
    Route("$expand", "GET", "T/$expand", expand.operation, expand.ON),
    Route("$expand", "POST", "T/$expand", expand.operation, expand.ON),
    Route("$expand", "GET", "T/I/$expand", expand.operation, expand.ON),
    Route("$expand", "POST", "T/I/$expand", expand.operation, expand.ON),
    Route("$validate-code", "GET", "T/$validate-code", validate_code.operation, validate_code.ON),
    Route("$validate-code", "POST", "T/$validate-code", validate_code.operation, validate_code.ON),
    Route("$validate-code", "GET", "T/I/$validate-code", validate_code.operation, validate_code.ON),
    Route(
        "$validate-code", "POST", "T/I/$validate-code", validate_code.operation, validate_code.ON
    ),
    Route("$lookup", "GET", "T/$lookup", lookup.lookup, lookup.ON),
    Route("$lookup", "POST", "T/$lookup", lookup.lookup, lookup.ON),
    Route("$subsumes", "GET", "T/$subsumes", lookup.subsumes, lookup.ON),
    Route("$subsumes", "POST", "T/$subsumes", lookup.subsumes, lookup.ON),
    Route("$subsumes", "GET", "T/I/$subsumes", lookup.subsumes, lookup.ON),
    Route("$subsumes", "POST", "T/I/$subsumes", lookup.subsumes, lookup.ON),
    Route("$translate", "GET", "T/$translate", translate.operation, translate.ON),
    Route("$translate", "POST", "T/$translate", translate.operation, translate.ON),
    Route("$translate", "GET", "T/I/$translate", translate.operation, translate.ON),
    Route("$translate", "POST", "T/I/$translate", translate.operation, translate.ON),
    Route("$meta", "GET", "$meta", meta.meta),
    Route("$meta", "GET", "T/$meta", meta.meta),
    Route("$meta", "GET", "T/I/$meta", meta.meta),
    Route("$meta", "GET", "T/I/_history/V/$meta", meta.meta),
    Route("$meta-add", "POST", "T/I/$meta-add", meta.meta_add, affects_state=True),
    Route("$meta-delete", "POST", "T/I/$meta-delete", meta.meta_delete, affects_state=True),
    Route("$validate", "POST", "T/$validate", validate.validate),
    Route("$validate", "POST", "T/I/$validate", validate.validate),
    Route("$validate", "GET", "T/I/$validate", validate.validate),
)

INTERACTIONS = tuple(dict.fromkeys(route.interaction for route in ROUTES))


def _operations() -> tuple[Operation, ...]:
    """Return the operations of the table, each once, with the levels at which it is answered."""
    found: dict[str, list[Route]] = {}
    for row in ROUTES:
        if row.interaction.startswith("$"):
            found.setdefault(row.interaction, []).append(row)
    return tuple(
        Operation(
            name,
            _definition(name, types),
            types,
            is_of_system=any(row.shape == name for row in rows),
            is_of_type=any(row.shape == f"T/{name}" for row in rows),
            is_of_instance=any(row.shape.startswith("T/I/") for row in rows),
            affects_state=any(row.affects_state for row in rows),
        )
        for name, rows in found.items()
        for types in (tuple(dict.fromkeys(one for row in rows for one in row.resource_types)),)
    )


def _definition(name: str, types: tuple[str, ...]) -> str:
    """Return where an operation is defined: by HL7, or below the base."""
    if name == "$summary":
        return "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"
    if name in operation_definitions.TOLD:
        return f"OperationDefinition/{operation_definitions.definition_id(name, types)}"
    # of several types R4 defines it for each; $merge is as R5 has it
    return f"http://hl7.org/fhir/OperationDefinition/{(*types, 'Resource')[0]}-{name[1:]}"


OPERATIONS = _operations()

_TABLE = {(route.method, route.shape): route for route in ROUTES}
_SHAPES: dict[str, list[str]] = {}
for _route in ROUTES:
    _SHAPES.setdefault(_route.shape, []).append(_route.method)


def shape(path: tuple[str, ...]) -> str:
    """Return the shape of a path below the base.

    >>> shape(("Patient", "1", "_history", "2"))
    'T/I/_history/V'
    """
    if not path:
        return ""
    first, *rest = path
    if first == "metadata" or first[0] in "_$":
        return "/".join(path)
    names = ["T"]
    for place, name in enumerate(rest):
        if name[:1] == "$" or (name[:1] == "_" and place != 1) or name == "_history":
            names.append(name)
        elif place == 1:
            names.append("C")
        else:
            names.append(("I", "?", "V")[place] if place < 3 else "?")
    return "/".join(names)


_NO_FORM = "no interaction has an address of this form"
_ALL = "see [base]/metadata"


def route(request: FhirRequest) -> Route:
    """Return the row that answers the request; raises `NotFound` or `MethodNotAllowed`."""
    form = shape(request.path)
    found = _TABLE.get((request.method, form))
    if found is None:
        if methods := _SHAPES.get(form):
            methods = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
            raise MethodNotAllowed(f"this address takes {', '.join(methods)}", methods)
        name = request.path[-1]
        told = f"no operation is here by the name {name[:40]}" if name[:1] == "$" else _NO_FORM
        if there := _addresses(name):
            raise NotFound(f"{told}; it is {', '.join(there)}")
        known = ["_history", "_search", *(one.name for one in OPERATIONS)]
        raise NotFound(f"{told}{did_you_mean(name, known, _ALL, most=1, likeness=0.75)}")
    return found


def _addresses(name: str) -> list[str]:
    """Return where the operation of that name is answered, as `Patient/ID/$everything`."""
    there = [
        "/".join({"T": kind, "I": "ID"}.get(step, step) for step in row.shape.split("/"))
        for row in ROUTES
        if row.interaction == name
        for kind in row.resource_types or ("[type]",)
    ]
    return list(dict.fromkeys(there)) if name[:1] == "$" else []


async def dispatch(request: FhirRequest, service: Service) -> FhirResponse:
    """Answer one request; raises `FhirError`."""
    return await route(request).function(request, service)
