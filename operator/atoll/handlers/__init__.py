"""Loops around the decisions: watch and cache, leader, gather, decide, execute; and what is told to people."""
