"""What is known beforehand: Gaia's releases, objects of the halo, ridge lines of its stars."""
