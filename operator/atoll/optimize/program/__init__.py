"""The exact program of stage two (design section 5), stated in Pyomo: one module per constraint family.

Only the solver's worker process imports this package: Pyomo takes a second to import and hundreds of MiB.
"""
