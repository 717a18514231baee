"""A message as FHIR resources, with nothing stored: the maps run over its groups."""
