"""The methods that carry balls and boxes through a network."""
