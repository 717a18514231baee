"""What a conversion works on: the resources being made, and what was made before of the same."""
