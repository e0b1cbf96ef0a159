"""Custom resources as typed values: schema, validation and the way to and from the domain.

``v1alpha1`` holds the one description of every kind; CRDs, reference pages and parsers all follow from it.
"""
