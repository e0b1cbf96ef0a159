"""The outside edge over HTTP: what routers have taken and counted, demand, prices and availability."""
