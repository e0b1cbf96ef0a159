"""Arguments of engines: flags as they are written, and what users may not say because the plan says it."""

from atoll.domain.reason import Fault, InvalidObjectError, Reason


def flag(name: str, *values: object) -> tuple[str, ...]:
    """``--name value…``; nothing where no value is given or all are empty."""
    written = [str(value) for value in values if value != ""]
    return (f"--{name}", *written) if written else ()


def refuse_reserved(args: tuple[str, ...], reserved: frozenset[str], short: frozenset[str] = frozenset()) -> None:
    """InvalidObjectError where a user's argument is one that the plan decides.

    argparse takes the last of a repeated flag, and any unambiguous beginning of one; vLLM's parser takes underscores.

    Args:
        args: ``spec.engine.args``.
        reserved: long flags.
        short: short ones.
    """
    for index, argument in enumerate(args):
        name = argument.partition("=")[0].replace("_", "-")
        long = len(name) > len("--") and name.startswith("--") and any(each.startswith(name) for each in reserved)
        if name in short or long:
            raise InvalidObjectError(
                Fault(
                    reason=Reason.INVALID_SPEC,
                    field=f"spec.engine.args[{index}]",
                    message=f"{argument!r} is decided by the plan; remove it",
                )
            )
