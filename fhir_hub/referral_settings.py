"""How contracts and referrals are held to the rules: the table `[referral]` of the settings.

What differs from region to region, or is known by hearsay only, is a setting; the rest is the
table of states.

Spec: docs/referral.md
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Days = Annotated[int, Field(ge=0, le=36_500)]


class ReferralSettings(BaseModel):
    """What `[referral]` says."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    contract_days: Days = 365
    """How long a new contract lasts at least; a shorter one is warned of, as one without an end."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what is not as by default: `ReferralSettings()` is all as it comes."""
        yield from (
            (name, value)
            for name, value in self.__dict__.items()
            if value != type(self).model_fields[name].default
        )
