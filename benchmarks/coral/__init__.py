"""Comparison with Coral (arXiv 2605.04357) in its published setting, on equal templates; see README.md here."""
