"""Adversarial examples of all certificates."""
