"""What is known of a network's values where its input may move."""
