"""An SNS topic that somebody else made and that alarms are to tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GivenTopic:
    """A topic by its ARN, in whichever account. Alarms of the object's own account, in the topic's region, publish to it.

    Attributes: `exists` and `writable`, each true, false or unknown.
    """

    arn: str
