"""Imported terminology: large code systems in an SQLite file of their own, asked by index."""
