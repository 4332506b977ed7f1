"""The network that a config describes, the batches that it trains on, and the weights that it starts from."""
