"""What can go wrong in the local environment, as one exception that says how to mend it."""


class LocalEnvironmentError(RuntimeError):
    """The local environment cannot do what was asked; the message names object, value and mend."""
