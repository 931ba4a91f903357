"""The rules between the parts of an alarm set: regions of topics, targets that queries and services name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from securebase.api.base import Rule

if TYPE_CHECKING:
    from securebase.api.alarmset import PerfAlarmSetSpec


def _in_region(arn: str, regions: str) -> str:
    """CEL: that an ARN is of one of the regions. What is no ARN at all passes: its own grammar refuses it, without an index out of bounds beside it."""
    return f"(size({arn}.split(':')) < 4 || {arn}.split(':')[3] in [{regions}])"


def _topics_are_near(spec: PerfAlarmSetSpec) -> bool:
    near = (spec.region, "us-east-1")
    return spec.region is None or _may_be_anywhere(spec) or all(arn.split(":")[3] in near for told in spec.notifications for arn in told.topic_arns)


def _may_be_anywhere(spec: PerfAlarmSetSpec) -> bool:
    """Whether something is watched whose region only another object knows."""
    return any(target.ref is not None and target.type == "ElastiCache" for target in spec.targets)


def _keys_are_near(spec: PerfAlarmSetSpec) -> bool:
    made = [told.create_topic for told in spec.notifications if told.create_topic is not None]
    here = all(topic.kms_key_arn is None or spec.region in (None, topic.kms_key_arn.split(":")[3]) for topic in made)
    return here and all(topic.us_east1_kms_key_arn is None or topic.us_east1_kms_key_arn.split(":")[3] == "us-east-1" for topic in made)


def _queries_have_targets(spec: PerfAlarmSetSpec) -> bool:
    known = {target.id for target in spec.targets}
    return all(query.target is None or query.target in known for query in spec.queries)


RULES = (
    Rule(
        cel="!has(self.policy) || !has(self.policy.onDelete) || self.policy.onDelete != 'Snapshot'",
        holds=lambda spec: spec.policy.on_delete != "Snapshot",
        message="policy.onDelete is Snapshot, and alarms hold no data to keep; use Delete or Retain",
        field=".policy.onDelete",
    ),
    Rule(
        cel=f"""!has(self.region) || !has(self.notifications) || self.targets.exists(t, has(t.ref) && t.type == 'ElastiCache')
            || self.notifications.all(n, !has(n.topicArns)
            || n.topicArns.all(arn, {_in_region("arn", "self.region, 'us-east-1'")}))""",
        holds=_topics_are_near,
        message="notifications names a topic of another region; an alarm tells topics of its own region only, which are region and, for CloudFront, us-east-1",
        field=".notifications",
    ),
    Rule(
        cel=f"""!has(self.notifications) || self.notifications.all(n, !has(n.createTopic)
            || ((!has(n.createTopic.kmsKeyArn) || !has(self.region) || {_in_region("n.createTopic.kmsKeyArn", "self.region")})
                && (!has(n.createTopic.usEast1KmsKeyArn) || {_in_region("n.createTopic.usEast1KmsKeyArn", "'us-east-1'")})))""",
        holds=_keys_are_near,
        message="createTopic names a key of another region than its topic's: kmsKeyArn is of region, usEast1KmsKeyArn of us-east-1",
        field=".notifications",
    ),
    Rule(
        cel="!has(self.queries) || self.queries.all(q, !has(q.target) || self.targets.exists(t, t.id == q.target))",
        holds=_queries_have_targets,
        message="queries names a target that is not among targets; name one of their ids, or give logGroups",
        field=".queries",
    ),
)
