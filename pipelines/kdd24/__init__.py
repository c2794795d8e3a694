"""The experiments of the MEmeL paper (KDD 2024), one module each, with the published numbers beside ours."""
