"""Comparison with Melange (arXiv 2404.14527) on its instances: request sizes over GPU types; see README.md here."""
