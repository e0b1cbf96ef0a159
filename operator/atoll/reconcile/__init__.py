"""Decisions: pure functions of a snapshot and ``now``; no clock, no client, no solver in here.

Reading order: ``observe`` makes the snapshot, ``supply`` and ``running`` turn it into the solver's problem, ``adopt``
turns the solver's answer into a plan, ``desired`` says which objects the plan means, ``transition`` says which step
towards them is safe now, ``status`` says what people are told.
"""
