"""Windows of an archive, and tensors of them: the one way from codes and flags to what a forecaster is given."""
