"""The outside edge over HTTP: what routers have taken, and later demand, prices and availability."""
