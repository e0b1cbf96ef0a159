"""How long a step of an engine takes and how much fits into memory, per served model, GPU kind and width.

One interface, ``Performance``; the sources behind it in the order in which they win: measured profiles
(``profiled``), silicon tables (``silicon``), roofline with stated efficiencies (``roofline``). ``memory`` says what
fits.
"""
