"""The FHIR REST API: one module an interaction."""
