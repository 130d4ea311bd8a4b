"""A simulated sky: a smooth Milky Way, injected streams, and Gaia's errors."""
