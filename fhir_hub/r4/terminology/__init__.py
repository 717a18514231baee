"""Terminology: code systems, value sets and concept maps, and the questions that they answer."""
