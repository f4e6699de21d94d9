"""What a network is and costs."""
