"""The search parameter types, one module each: value to index entries, query value to plan."""
