"""How fast flows train, evaluate and sample, beside other libraries of flows."""
