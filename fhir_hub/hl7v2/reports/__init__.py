"""What became of a message, told without storing anything."""
