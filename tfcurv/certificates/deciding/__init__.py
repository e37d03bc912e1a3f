"""The contract of a method, and what stands above all."""
