"""A message taken apart without loss: bars and hats, places, structures and their groups."""
