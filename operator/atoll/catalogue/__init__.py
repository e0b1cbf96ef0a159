"""Shipped data behind typed look-ups: architectures, GPU kinds, instance types, prices, request lengths.

The data are small CSV files in this folder; NOTICE.md says where each came from, under which licence, and what is
known to be wrong with it. Nothing here reads a clock, a network or a file outside the package.
"""
