"""Who is the same person: normalised identifiers, names, addresses, and the match."""
