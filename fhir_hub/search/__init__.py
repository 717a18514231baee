"""FHIR search as a small language: text to request to plan, and resource to index entries."""
