"""Which worker runs what: what is expensive to start is started by few of them."""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

CLUSTER_WORKERS: Final = 3
"""How many workers run end-to-end tests. Each has two control planes, AWS and an operator for them, which cost a core as long as they run."""

_END_TO_END: Final = "tests/e2e/"
_TOGETHER: Final = ("tests/crd/",)
"""Directories with one control plane for all their files."""
_LONG: Final = ("tests/bench/",)
"""Directories that wait more than they work: begun early, they hold nobody up."""
_SHARES_ITS_SETTING: Final = ("tests/e2e/test_e2e_examples.py", "tests/e2e/test_e2e_prometheus.py")
"""Files whose tests look at one setting that is made once."""


class Scheduler(LoadScopeScheduling):
    """By file. End-to-end tests one by one, and from the beginning, because they are the longest."""

    def _split_scope(self, nodeid: str) -> str:
        for directory in _TOGETHER:
            if nodeid.startswith(directory):
                return directory
        path = nodeid.partition("::")[0]
        return nodeid if path.startswith(_END_TO_END) and path not in _SHARES_ITS_SETTING else path

    def _assign_work_unit(self, node: WorkerController) -> None:
        scope = self._next_for(node)
        if scope is None:
            node.shutdown()
            return
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node: WorkerController) -> str | None:
        """End-to-end tests go to the first workers alone; they take others when there are none left."""
        takes_them = node in [each for each in self.nodes if not each.shutting_down][:CLUSTER_WORKERS]
        others = [scope for scope in self.workqueue if not scope.startswith(_END_TO_END)]
        if takes_them and len(others) < len(self.workqueue):
            return next(scope for scope in self.workqueue if scope.startswith(_END_TO_END))
        return next((scope for scope in others if scope.startswith(_LONG)), next(iter(others), None))
