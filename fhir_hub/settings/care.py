"""The rules of slots and prescriptions: tables `[pools.NAME]` and `[prescriptions.NAME]`.

A table names a hospital, a department, both or none; for one place the tables that fit are laid
over each other, the most exact last, key by key. So a hospital says only what is different there.

Spec: docs/referral.md; DOMAIN 2.6, 2.7
"""

from collections.abc import Collection, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from fhir_hub.settings.types import Names, Real, Whole

Share = Annotated[Real, Field(ge=0, le=1)]
Count = Annotated[Whole, Field(ge=0, le=3660)]


class PlaceSettings(BaseModel):
    """Whose rules a table holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hospital: str = ""
    """For which hospital: the logical id or an identifier of its Organization; empty for all."""

    department: str = ""
    """For which department: the logical id or an identifier of its Organization, or a code of the
    service or specialty; empty for all."""


class PoolSettings(PlaceSettings):
    """What `[pools.NAME]` says: when slots may be booked, and how a day is to be divided."""

    public_window_days: Count = 14
    """How many days before its time a slot may be booked by the public."""

    community_lead_days: Count = 5
    """How many days earlier community centres may book theirs."""

    urgent_days: Count = 3
    """Within how many days an urgent referral may take what is left for communities."""

    return_hours: Count = 24
    """How many hours before its time what communities have not taken is the public's."""

    community_share: Share = 0.5
    """The part of a schedule's places of a day that is the communities' at least; INTERNAL ones
    are not counted."""

    special_need_share: Share = 0.1
    """The part of the communities' places that is of the kind SPECIAL-NEED at most."""

    expert_share: Share = 0.6
    """The part of the communities' places that is EXPERT and DISEASE together at least; less is
    warned of."""

    ordinary_share: Share = 0.3
    """The part of the communities' places that is about ORDINARY; a difference above a tenth is
    warned of."""


class PrescriptionSettings(PlaceSettings):
    """What `[prescriptions.NAME]` says: for how many days, and of which groups rules speak."""

    normal_days: Count = 7
    """The days of an ordinary prescription at most."""

    emergency_days: Count = 3
    """The days of one of an emergency at most."""

    long_days: Count = 28
    """The days of a long or extended one without a note of the assessment."""

    longest_days: Count = 84
    """The days of a long or extended one at most."""

    source_days: Count = 183
    """How old the prescription may be that an extended one continues."""

    refill_days: Count = 7
    """How many days the supply of the same ingredient may still last."""

    guardian_years: Annotated[Whole, Field(ge=0, le=18)] = 6
    """Below which age the guardian is to be noted."""

    controlled: Names = ("N01AH", "N02A", "N06BA", "N07BC")
    """The groups (ATC) that are never on a long or extended prescription, nor on one of an
    Internet hospital: a list, or codes with commas between."""

    chronic: Names = (
        "E10", "E11", "E13", "E14", "I10", "I11", "I12", "I13", "I15", "I25",
    )  # fmt: skip
    """The diagnoses (ICD-10) that are enough for a long one without a contract."""

    internet_classes: Names = ("VR",)
    """The classes of visits that are an Internet hospital's: there a pharmacist reviews first."""

    without_kind: bool = False
    """Whether a prescription that says no kind is looked at too, by the rules that need none."""


Table = TypeVar("Table", bound=PlaceSettings)


def is_by_place(tables: Mapping[str, PlaceSettings]) -> bool:
    """Say whether one of the tables is for a hospital or department alone."""
    return any(one.hospital or one.department for one in tables.values())


def rules_at(default: Table, tables: Mapping[str, Table], place: Collection[str]) -> Table:
    """Return what holds at a place that has these codes: `default` and the tables that fit.

    >>> tables = {"all": PoolSettings(return_hours=12), "H": PoolSettings(hospital="H1")}
    >>> rules_at(PoolSettings(), tables, {"H1"}).return_hours
    12
    """
    fitting = [
        one
        for one in tables.values()
        if one.hospital in ("", *place) and one.department in ("", *place)
    ]
    fitting.sort(key=lambda one: (bool(one.department) + bool(one.hospital), one.department != ""))
    for one in fitting:
        default = default.model_copy(update={n: getattr(one, n) for n in one.model_fields_set})
    return default
