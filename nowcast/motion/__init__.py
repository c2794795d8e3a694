"""Where the rain moves, and carrying it along."""
