"""Messages about what changed, delivered to partners in the order of the changes."""
