"""Profiles: a StructureDefinition becomes, on first use, a small tree of checks."""
