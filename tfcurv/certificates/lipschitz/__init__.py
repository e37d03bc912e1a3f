"""The method of global Lipschitz constants."""
