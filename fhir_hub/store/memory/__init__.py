"""The reference meaning of a store: plain dicts, a brute-force oracle for the others."""
