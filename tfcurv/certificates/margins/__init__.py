"""The margin of one pair of classes around a point."""
