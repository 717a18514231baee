"""Required bindings: the code must be one that R4 lists, where R4 lists them.

`extensible` and weaker bindings are advice, and no business of a structural check. All MIME types
and all currencies cannot be listed, but they have a form.

Spec: https://hl7.org/fhir/R4/terminologies.html#strength
"""

import re
from collections.abc import Mapping
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NONE, Check, Issues, Scope, wrong_kind
from fhir_hub.r4.checks.primitives import formatted

Codes = Mapping[str, frozenset[str]]

_SHOWN = 16
# R4 http.html#mime-type: formats are also named "json", "xml" and "ttl" alone
_is_mime_type = re.compile(r"json|xml|ttl|[^\s/;]+/[^\s/;]+(\s*;.*)?").fullmatch
_is_currency = re.compile(r"[A-Z]{3}").fullmatch

FORMS: Mapping[str, Check] = {
    "http://hl7.org/fhir/ValueSet/mimetypes": formatted(
        _is_mime_type, "give a MIME type, such as text/plain"
    ),
    "http://hl7.org/fhir/ValueSet/currencies": formatted(
        _is_currency, "give the three letters of a currency, such as CNY"
    ),
}


def bound_code(codes: Codes) -> Check:
    """Return the check of a `code` that must be one of `codes` (of any of its systems)."""
    allowed = frozenset().union(*codes.values())
    issues = [Issue("code-invalid", f"give {_list(allowed)}")]

    def check(value: Any, scope: Scope) -> Issues:
        if type(value) is not str:
            return wrong_kind("a string", value)
        return NONE if value in allowed else issues

    return check


def bound_concept(concept: Check, codes: Codes) -> Check:
    """Return `concept`, the check of a CodeableConcept, extended: one coding must be in `codes`."""
    allowed = {(system, code) for system, listed in codes.items() for code in listed}
    wanted = _list(frozenset().union(*codes.values()))
    issues = [
        Issue("code-invalid", f"give a coding with system {' or '.join(codes)} and code {wanted}")
    ]

    def check(value: Any, scope: Scope) -> Issues:
        found = concept(value, scope)
        if found or not ("coding" in value or "text" in value):
            return found  # only an extension, which says why there is no code
        if any(
            (coding.get("system"), coding.get("code")) in allowed
            for coding in value.get("coding", ())
        ):
            return NONE
        return issues

    return check


def _list(codes: frozenset[str]) -> str:
    shown = sorted(codes)
    if len(shown) > _SHOWN:
        return f"one of the {len(shown)} codes that R4 lists, such as {', '.join(shown[:_SHOWN])}"
    return f"one of {', '.join(shown)}" if len(shown) > 1 else shown[0]
