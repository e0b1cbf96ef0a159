"""Pods that run are told to autoscalers as pods that are made today would be."""

from atoll.domain.objects import Apply
from atoll.reconcile.drain import is_draining, protected_pod
from atoll.reconcile.move import Move
from atoll.render import names


def protect(move: Move) -> None:
    """Give pods that run the annotations that autoscalers heed and that they were made without."""
    written = {action.live_uid for action in move.actions if isinstance(action, Apply)}
    for key in sorted(move.pods):
        for pod in move.pods[key]:
            lacks = not names.PROTECTION.keys() <= pod.annotations.keys()
            if lacks and not is_draining(pod) and pod.uid not in written:
                why = "autoscalers are to leave it where it is"
                move.actions.append(Apply(intent=protected_pod(pod), why=why, live_uid=pod.uid))
