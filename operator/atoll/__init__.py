"""Atoll: serve many LLMs on many kinds of GPU at the proven lowest cost, on Kubernetes."""
