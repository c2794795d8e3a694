"""Arms × phases × seeds: planning runs, carrying them out, scoring and comparing them."""
