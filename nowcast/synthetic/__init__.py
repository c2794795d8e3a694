"""Weather that never was: synthetic radar to learn from, to try things on and to test with."""
