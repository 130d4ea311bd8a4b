"""Find stellar streams in Gaia data with conditional normalizing flows."""

__version__ = "0.1.0"
