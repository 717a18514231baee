"""FHIRPath: expressions compiled once to functions, and evaluated over a resource's JSON."""
