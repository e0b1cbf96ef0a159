"""When the scheduling gates of pods were lifted: pods do not tell, and their wait for a node begins only then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from atoll.domain.snapshot import ObservedPod, Snapshot
from atoll.reconcile.ownership import is_engine

_KUEUE = "kueue.x-k8s.io/managed"
"""Label of pods that Kueue has gated, also after it has admitted them."""


@dataclass(slots=True)
class Released:
    """Remembers which of our pods were gated.

    A pod of Kueue's that was never seen gated and has no node, as after a restart, counts as released when it is first
    seen: a node may then be waited for too long, and never too short. One that has a node waits for none.
    """

    _gated: set[str] = field(default_factory=set)
    _since: dict[str, datetime] = field(default_factory=dict)

    def of(self, snapshot: Snapshot, now: datetime) -> Mapping[str, datetime]:
        """When gates were lifted, by uid, of the pods that are there."""
        ours = {pod.uid: pod for pod in snapshot.pods if is_engine(pod.labels)}
        self._gated = {uid for uid, pod in ours.items() if pod.gates or uid in self._gated or _waits(pod)}
        free = [uid for uid in self._gated if not ours[uid].gates]
        self._since = {uid: self._since.get(uid, now) for uid in free}
        return dict(self._since)


def _waits(pod: ObservedPod) -> bool:
    return _KUEUE in pod.labels and not pod.node
