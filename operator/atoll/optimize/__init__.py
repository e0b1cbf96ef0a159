"""Which fleet is cheapest: stage one (``templates``) finds the serving strategies worth having, stage two counts them.

Pure of clusters and signals: problem in, allocation out, both domain values (design of Coral, arXiv 2605.04357).
"""
