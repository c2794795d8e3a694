"""What a frame is: its grid, its time, its flags, and what its pixels add up to."""
