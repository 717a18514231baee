"""The options that select messages of the journal, declared once for all commands that have them.

A command takes what was `asked` as one dict, in the names of `hl7v2/journal/asked.py`; to who
runs it each name is an option of its own.
"""

import inspect
from collections.abc import Callable
from datetime import UTC
from functools import wraps
from typing import Annotated, Any

import typer

from fhir_hub.cli.say import in_both, refuse

_HELP = {
    "state": "Such as failed or dead; several with commas.",
    "sender": "Sending application or facility, or both: APP|FAC, APP@FAC.",
    "channel": "Came by this channel.",
    "type": "ORU, R01 or ORU^R01.",
    "since": "Came then or after: a date or time.",
    "until": "Came before: a date or time.",
    "links": "About this resource, such as Patient/1.",
    "control_id": "MSH-10.",
}


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with the options that select messages in the place of `asked`."""
    own = inspect.signature(command)

    @wraps(command)
    def run(**given: Any) -> Any:
        asked = {name: given.pop(name) for name in _HELP}
        said = {name: value for name, value in asked.items() if value is not None}
        if said:
            _require_readable(said)
        return command(asked=said, **given)

    options = [_option(name, told) for name, told in _HELP.items()]
    parameters: list[inspect.Parameter] = []
    for one in own.parameters.values():
        one = one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += options if one.name == "asked" else [one]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # typer reads it
    return run


def _require_readable(asked: dict[str, str]) -> None:
    """End the command with exit code 2 if what is asked cannot be read."""
    from fhir_hub.errors import InvalidParameter
    from fhir_hub.hl7v2.journal.asked import read_selection

    try:
        read_selection(asked, UTC)  # whatever the zone of the hub's settings is
    except InvalidParameter as error:
        refuse(in_both(f"--{str(error).replace('_', '-', 1)}", error.title[1]))


def _option(name: str, told: str) -> inspect.Parameter:
    option = typer.Option(f"--{name.replace('_', '-')}", help=told)
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=None, annotation=Annotated[str | None, option])
