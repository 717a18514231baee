"""Who runs this hub: the table `[organization]` of the settings, in the words of R4.

Spec: https://hl7.org/fhir/R4/organization.html; docs/settings.md
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=1000)]
Uri = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$", max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CodingSettings(_Part):
    """A code of a system."""

    system: Uri | None = None
    code: Text | None = None
    display: Text | None = None


class ConceptSettings(_Part):
    """A CodeableConcept."""

    coding: tuple[CodingSettings, ...] = ()
    text: Text | None = None


class IdentifierSettings(_Part):
    """An Identifier: whose number it is, the number, which kind of number."""

    system: Uri | None = None
    value: Text
    type: ConceptSettings | None = None


class ContactSettings(_Part):
    """A ContactPoint of an institution."""

    system: Literal["phone", "fax", "email", "pager", "url", "sms", "other"]
    value: Text
    use: Literal["work", "temp", "old", "mobile"] | None = None


class OrganizationSettings(_Part):
    """What `[organization]` says."""

    name: Text | None = None
    """Its name."""

    identifier: tuple[IdentifierSettings, ...] = ()
    """Its numbers: `{ system, value, type }`, the first the one by which it is found."""

    telecom: tuple[ContactSettings, ...] = ()
    """How to reach it about the hub: `{ system = "phone", value, use }`."""

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not self.name and not self.identifier:  # org-1
            raise ValueError("say its name or an identifier")
        return self

    @property
    def resource(self) -> dict[str, Any]:
        """Return it as a FHIR Organization."""
        parts: dict[str, Any] = _filled(self.model_dump(exclude_none=True))
        return {"resourceType": "Organization", **parts}


def _filled(value: Any) -> Any:
    """Return a value with lists for tuples, and without what is empty."""
    if isinstance(value, dict):
        return {name: made for name, part in value.items() if (made := _filled(part))}
    return [_filled(one) for one in value] if isinstance(value, tuple) else value
