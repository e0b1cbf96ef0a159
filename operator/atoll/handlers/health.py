"""Whether the operator gets anywhere, which is more than whether it answers."""

_SILENCE_SECONDS = 120.0


def stalled(
    *, now: float, watching_since: float | None, reachable_since: float | None, reachable: bool, seen_at: float | None
) -> str:
    """Why the operator should be restarted; empty where it should not.

    The Lease is renewed every few seconds, so a watch that works sees it change. One that stays silent although the API
    server can be reached is dead. All times are monotonic, in seconds.

    Args:
        now: the time.
        watching_since: when the watch was started; None where it was not.
        reachable_since: since when requests succeed without a pause.
        reachable: they succeed now; an API server that is away is no reason to restart.
        seen_at: when the watch last told of the Lease.
    """
    if watching_since is None or reachable_since is None or not reachable:
        return ""
    silent = now - max(watching_since, reachable_since, seen_at or 0.0)
    if silent <= _SILENCE_SECONDS:
        return ""
    return f"the watch told nothing of the Lease for {silent:.0f} s although the API server can be reached"
