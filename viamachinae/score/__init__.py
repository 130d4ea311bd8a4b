"""From stars to scores: signal regions, density estimates, likelihood ratios."""
