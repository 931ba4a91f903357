"""The four errors an outside system can answer with; each carries its own policy of what happens next."""


class ReconcileError(Exception):
    """Base of the four. `reason` is a CamelCase word for conditions and metrics, `message` is for a person; neither ever holds a secret."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Terminal(ReconcileError):
    """The spec (or something only a person can change) must change first. Looked at again at each interval all the same."""


class Waiting(ReconcileError):
    """No error: time is needed. `after` is the number of seconds until a look is worth it."""

    def __init__(self, reason: str, message: str, after: float = 5.0) -> None:
        super().__init__(reason, message)
        self.after = after


class Transient(ReconcileError):
    """May go away by itself: retried with backoff and jitter. What is not understood is Transient."""


class Denied(ReconcileError):
    """Credentials or permission are missing: says which action on which ARN. Never taken for absence, so nothing is deleted or let go for it."""

    def __init__(self, action: str, arn: str, message: str) -> None:
        target = f" on {arn}" if arn else ""
        super().__init__("AccessDenied", f"{action}{target}: {message}")
        self.action = action
        self.arn = arn


class ReferenceNotFound(Waiting):
    """Something that the spec names does not exist yet. Looked for again often enough to go on within 5 s of its appearing."""

    def __init__(self, message: str, after: float = 3.0) -> None:
        super().__init__("ReferenceNotFound", message, after)


class TokenSpent(Transient):
    """The idempotency token of this incarnation was used for something that is gone: the next incarnation gets a new one."""

    def __init__(self, message: str) -> None:
        super().__init__("TokenSpent", message)
