"""Pure nouns: what a fleet is made of, in the words of docs/architecture.md, with units.

Standard library only. Every value is frozen, so a decision can be a function of values and a test one expression.
"""
