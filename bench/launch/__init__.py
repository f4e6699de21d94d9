"""Plan runs, hand them over, watch them."""
