"""What keeps a node's cache of weights in bounds; rendering passes its source on, and nothing here imports it."""
