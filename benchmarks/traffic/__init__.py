"""Requests through the real router while the fleet moves and loses nodes: what fails, what is late, who gets what."""
