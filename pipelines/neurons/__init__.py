"""What single neurons of a trained network answer to."""
