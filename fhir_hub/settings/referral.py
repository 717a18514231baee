"""How contracts and referrals are held to the rules: the table `[referral]` of the settings.

What differs from region to region, or is known by hearsay only, is a setting; the rest is the
table of states.

Spec: docs/referral.md
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fhir_hub.settings.types import Whole

Rule = Literal["enforce", "flag", "off"]
Days = Annotated[Whole, Field(ge=0, le=36_500)]


class ReferralSettings(BaseModel):
    """What `[referral]` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract_days: Days = 365
    """How long a new contract lasts at least; a shorter one is warned of, as one without an end."""

    valid_days: Annotated[Whole, Field(ge=1, le=3650)] = 30
    """For how long a referral may be taken up that names no deadline (`restriction.period.end`)."""

    supplement_days: Annotated[Whole, Field(ge=1, le=3650)] = 30
    """How long one that was returned for more information waits for it before it expires; its
    own deadline pauses meanwhile."""

    routes: Rule = "enforce"
    """Whether a referral may go only where a contract, an OrganizationAffiliation or an alliance
    leads, and to who is open: refused (`enforce`), warned of (`flag`), or not asked (`off`)."""

    consent: Rule = "enforce"
    """The same of the resident's consent that the institution that is asked sees the data."""

    second_referral: Literal["enforce", "flag"] = "enforce"
    """Whether a second open referral to the same specialty is refused unless it says why, or
    only warned of."""

    unknown_answer: Literal["take", "refuse"] = "take"
    """What happens to an answer (RRI) to a referral that is not known here: it is taken, because it
    may have come before its referral, or refused (AE 204)."""

    escalate_minutes: Annotated[Whole, Field(ge=1, le=1440)] = 30
    """How long after its time a session of a special resident (dialysis, pregnancy, chemotherapy)
    may be without news before the hub's clock makes a Task of it, and how long its owner has."""

    if_match: Literal["off", "412", "428"] = "off"
    """What is answered to a change of a referral's Task without `If-Match`: nothing in particular
    (`off`), 412 or 428."""

    is_delivered_by_reading: bool = True
    """Whether a referral counts as delivered when a work list shows it to who is asked: a search
    of Tasks by `owner` whose `status` takes `received` too, or is not said."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what is not as by default: `ReferralSettings()` is all as it comes."""
        yield from (
            (name, value)
            for name, value in self.__dict__.items()
            if value != type(self).model_fields[name].default
        )
