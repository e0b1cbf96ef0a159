"""Version v1alpha1 of group ``atoll.dev``: one module per kind, and nothing else says what a kind looks like."""
