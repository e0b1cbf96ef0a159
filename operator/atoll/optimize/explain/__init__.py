"""Why an allocation is as it is, from prices of a relaxation and by solving again with changes."""
