"""How many candidates are real, and how many streams are missed: measured, not assumed."""
