"""Stage one: from what a demand asks to the serving strategies worth having, each with what it delivers.

``templates_for`` is the door. ``space`` declares which strategies there are, ``curves`` tabulates what steps cost,
``partition`` spreads the layers, ``rate`` says what a replica delivers within the objectives, ``dominance`` drops what
no fleet can want; ``candidates_for`` shows those too. The demand's rate never enters, so strategies keep their identity
while demand moves.
"""

from atoll.optimize.templates.generate import Candidate, TemplateSet, candidates_for, templates_for

__all__ = ["Candidate", "TemplateSet", "candidates_for", "templates_for"]
