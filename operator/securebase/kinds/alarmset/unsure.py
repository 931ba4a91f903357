"""What may still be wanted of objects that are being made: nothing of it is removed before they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from securebase.api.alarmset import PerfAlarmSetSpec, Target
from securebase.kinds.alarmset.composites import composite_id
from securebase.kinds.alarmset.names import SUPPRESSOR, alarm_id


def unsure(spec: PerfAlarmSetSpec, unknown: Iterable[Target]) -> Callable[[str], bool]:
    """Of a node's id: whether only what is unknown could tell that it is not wanted. That is what the unknown targets and their services make,
    and what tells people in the regions that they may be in."""
    targets = tuple(unknown)
    heads = {alarm_id(target.id, "", "").rstrip("_") for target in targets} | {composite_id(target.service, "critical") for target in targets}
    made = [told.severity for told in spec.notifications if told.create_topic is not None]
    regional = (f"{SUPPRESSOR}_", "key-", *(f"topic-{severity}-" for severity in made)) if targets else ()

    def is_unsure(name: str) -> bool:
        return name.partition("_")[0] in heads or name.startswith(regional)

    return is_unsure
