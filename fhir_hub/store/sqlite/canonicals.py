"""From a canonical to what it names, and back: by url, and by version where it names one.

A canonical stands among the entries as a reference whose code is a url and whose system is a
version. What has the url has it under its parameter `url`, the version under `version`.

Spec: https://hl7.org/fhir/R4/references.html#canonical
"""

from collections.abc import Callable
from typing import NamedTuple

from fhir_hub.search.plan import URL, VERSION
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.sql import Sql, all_of

Alias = Callable[[], str]


class Joint(NamedTuple):
    """Tables that lead from a resource to others: what holds between them, and whose the end is."""

    tables: str
    where: Sql
    rid: str


Way = Callable[[Names, Alias, str, int, int], Joint | None]


def named(names: Names, alias: Alias, rid: str, parameter: int, target: int) -> Joint | None:
    """Return the way from the resource `rid` to those of type `target` that its canonicals name.

    `parameter` is the number of the reference. None if no resource of the type has a url.
    """
    url = names.parameter(target, URL, "uri")
    if url is None:
        return None
    own, other = alias(), alias()
    version = _of_version(names, alias, f"{own}.system", f"{other}.rid", target)
    return _joint(own, other, rid, (parameter, url), version)


def naming(names: Names, alias: Alias, rid: str, parameter: int, own_type: int) -> Joint | None:
    """Return the way from the resource `rid`, of type `own_type`, to those that name it."""
    url = names.parameter(own_type, URL, "uri")
    if url is None:
        return None
    own, other = alias(), alias()
    version = _of_version(names, alias, f"{other}.system", rid, own_type)
    return _joint(own, other, rid, (url, parameter), version)


def _joint(own: str, other: str, rid: str, numbers: tuple[int, int], version: Sql) -> Joint:
    """Return the way from an entry of `rid` to the rows of the index that have the same code."""
    keys = Sql(
        f"{own}.rid = {rid} AND {own}.parameter = ?"
        f" AND {other}.parameter = ? AND {other}.code = {own}.code",
        numbers,
    )
    tables = f"entry {own} CROSS JOIN by_code {other}"
    return Joint(tables, all_of((keys, version)), f"{other}.rid")


def _of_version(names: Names, alias: Alias, said: str, rid: str, own_type: int) -> Sql:
    """Return that the version `said` (the number of its text) is none, or one of `rid`'s."""
    number = names.parameter(own_type, VERSION, "token")
    if number is None:
        return Sql(f"{said} = 0")
    text, held = alias(), alias()
    return Sql(
        f"({said} = 0 OR EXISTS (SELECT 1 FROM system {text} CROSS JOIN by_code {held}"
        f" WHERE {text}.id = {said} AND {held}.parameter = ? AND {held}.code = {text}.uri"
        f" AND {held}.rid = {rid}))",
        (number,),
    )
