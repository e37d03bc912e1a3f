"""Linear maps as operators, and how large they are."""
