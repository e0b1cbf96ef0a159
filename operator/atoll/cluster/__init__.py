"""The Kubernetes edge: read objects, carry out actions, hold the Lease. Objects are plain JSON here, never classes."""
