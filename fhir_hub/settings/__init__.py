"""The settings of a hub: `hub.py` has the fields, `load.py` reads them, the others are tables.

Spec: https://toml.io/en/v1.0.0
"""

from fhir_hub.settings.hub import BusinessRules, References, Settings, Validation
from fhir_hub.settings.load import Given, is_for_several, load_settings, unknown_variables
from fhir_hub.settings.places import InvalidSettings

__all__ = [
    "BusinessRules",
    "Given",
    "InvalidSettings",
    "References",
    "Settings",
    "Validation",
    "is_for_several",
    "load_settings",
    "unknown_variables",
]
