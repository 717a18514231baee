"""The checks a resource passes before it is stored."""
