"""What Gaia's releases hold."""
