"""A MongoDB that fails where it is told to; a real one has to be started for that.

Spec: https://github.com/mongodb/specifications/blob/master/source/transactions/tests/README.md
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

POINT = {"configureFailPoint": "failCommand"}
NO_SPACE = 14031


@contextmanager
def failing(address: str, command: str, code: int = 0, **mode: Any) -> Iterator[Callable[[], None]]:
    """Have the server answer a command with an error, or close its connection (without a code).

    Until what is yielded is called.
    """
    data = {"failCommands": [command], "appName": "fhir-hub"}
    data |= {"errorCode": code} if code else {"closeConnection": True}
    with MongoClient(address) as client:

        def end() -> None:
            client.admin.command(POINT | {"mode": "off"})

        try:
            client.admin.command(POINT | {"mode": mode or "alwaysOn", "data": data})
        except OperationFailure:
            pytest.skip("start mongod with --setParameter enableTestCommands=1")
        try:
            yield end
        finally:
            end()
