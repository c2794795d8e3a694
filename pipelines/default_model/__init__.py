"""How the model that comes with the package is made: `python -m pipelines.default_model OUT`."""
