"""A message becomes an event of the loop."""
