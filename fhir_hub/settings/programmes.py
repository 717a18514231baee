"""What readings mean for screening, follow-up and public health: `programmes.toml`, as data.

A site's own file (the setting `programmes`) has the same shape, and its tables replace those of
the same name; a table with `enabled = false` is as if it were not there.

Spec: docs/programmes.md; DOMAIN 1.3 S1, S9, S13
"""

from collections.abc import Set
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fhir_hub.settings.places import InvalidSettings
from fhir_hub.settings.toml import NotToml, read_toml
from fhir_hub.settings.types import Whole, no_truth

_MOST_KNOWN = 512
BUILT_IN = Path(__file__).with_name("programmes.toml")


def _decimal(value: Any) -> Any:
    value = no_truth(value)
    return Decimal(str(value)) if isinstance(value, int | float) else value


Number = Annotated[Decimal, BeforeValidator(_decimal)]
Days = Annotated[Whole, Field(ge=1, le=3660)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True


class Plausible(_Table):
    """Within which bounds a value of a code can be true."""

    code: str
    unit: str
    least: Number
    most: Number


class Limit(_Table):
    """A condition on the value of a code: all bounds that are given."""

    code: str
    unit: str
    at_least: Number | None = None
    above: Number | None = None
    at_most: Number | None = None
    below: Number | None = None


class Screening(_Table):
    """A finding: one of the limits is met. Who is in the `programme` is not screened for it."""

    english: str
    chinese: str
    any: tuple[Limit, ...]
    programme: str = ""


class Notification(_Table):
    """A result of a code that public health is told of: to whom, by role and by institution."""

    english: str
    chinese: str
    code: str
    results: tuple[str, ...]
    role: str
    owner: str = ""


class Programme(_Table):
    """A follow-up: by which codes, how often, and what is aimed at."""

    english: str
    chinese: str
    codes: tuple[str, ...]
    every_days: Days
    off_target_days: Days
    targets: tuple[Limit, ...] = ()


class Programmes(BaseModel):
    """All tables, by kind and name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plausible: dict[Name, Plausible] = {}
    screening: dict[Name, Screening] = {}
    notification: dict[Name, Notification] = {}
    programme: dict[Name, Programme] = {}

    def codes(self) -> frozenset[str]:
        """Return the codes of all readings that some table is about."""
        return frozenset(
            {one.code for one in self.plausible.values()}
            | {one.code for one in self.notification.values()}
            | {limit.code for one in self.screening.values() for limit in one.any}
            | {code for one in self.programme.values() for code in one.codes}
        )


class About(NamedTuple):
    """The tables that are about some codes, in their order; of the programmes the names."""

    plausible: tuple[Plausible, ...]
    screening: tuple[tuple[str, Screening], ...]
    notification: tuple[tuple[str, Notification], ...]
    programmes: frozenset[str]


class Tables:
    """The tables by code: of most codes there are none, and each reading asks."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes, self._codes = programmes, programmes.codes()
        self._known: dict[frozenset[str], About] = {}

    def about(self, codes: Set[str]) -> About:
        """Return the tables that are about one of the codes."""
        named = self._codes.intersection(codes)
        known = self._known.get(named)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[named] = self._about(named)
        return known

    def _about(self, codes: frozenset[str]) -> About:
        own = self._programmes
        screening, notification = own.screening.items(), own.notification.items()
        named = (name for name, one in own.programme.items() if not codes.isdisjoint(one.codes))
        return About(
            tuple([one for one in own.plausible.values() if one.code in codes]),
            tuple([one for one in screening if any(limit.code in codes for limit in one[1].any)]),
            tuple([one for one in notification if one[1].code in codes]),
            frozenset(named),
        )


def load_programmes(own: Path | None = None) -> Programmes:
    """Return the built-in tables, with those of the file `own` over them.

    Raises `InvalidSettings`.
    """
    tables = _read(BUILT_IN)
    for kind, named in (_read(own) if own is not None else {}).items():
        if not isinstance(named, dict):
            raise InvalidSettings(f"{own}: {kind}: write tables [{kind}.NAME] / 应为表")
        tables[kind] = {**tables.get(kind, {}), **named}
    kept = {
        kind: {
            name: one
            for name, one in named.items()
            if not (isinstance(one, dict) and one.get("enabled") is False)
        }
        for kind, named in tables.items()
    }
    try:
        return Programmes.model_validate(kept)
    except ValidationError as error:
        told = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InvalidSettings(f"{own}: {'; '.join(told)} / 随访与筛查配置有误") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path.read_bytes())
    except OSError as error:
        raise InvalidSettings(f"{path}: {error.strerror} / 无法读取") from None
    except NotToml as error:
        raise InvalidSettings(f"{path}{error.told}") from None
