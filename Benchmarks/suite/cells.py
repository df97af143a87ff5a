"""One cell of the results: what was measured in each round, of vhdfs and of what it is compared with."""
import statistics
from dataclasses import dataclass, field


@dataclass
class Target:
    bound: float
    at_least: bool

    def __str__(self):
        return "%s %g" % ("≥" if self.at_least else "≤", self.bound)

    def met_by(self, value):
        # A ratio that is printed as the target's own value has met it.
        value = float("%.3g" % value)
        return value >= self.bound if self.at_least else value <= self.bound


def at_least(bound):
    return Target(bound, True)


def at_most(bound):
    return Target(bound, False)


@dataclass
class Cell:
    subject: str  # the image
    what: str  # the column
    unit: str
    ours: list = field(default_factory=list)  # one number a round
    peer: str = None
    theirs: list = field(default_factory=list)  # in the same rounds; without a peer, `ours` itself is compared
    target: Target = None  # None: only for information
    difference: bool = False  # ours minus theirs, instead of divided by

    def per_round(self):
        if not self.peer:
            return self.ours
        if self.difference:
            return [a - b for a, b in zip(self.ours, self.theirs)]
        return [a / b for a, b in zip(self.ours, self.theirs)]

    @property
    def result(self):
        return statistics.median(self.per_round())

    @property
    def is_ratio(self):
        return bool(self.peer) and not self.difference

    @property
    def met(self):
        """True, False, or None where there is no target."""
        return self.target.met_by(self.result) if self.target else None

    def as_json(self):
        rounds = self.per_round()
        return {
            "subject": self.subject, "what": self.what, "unit": self.unit,
            "vhdfs": {"median": statistics.median(self.ours), "rounds": self.ours},
            "peer": {"name": self.peer, "median": statistics.median(self.theirs), "rounds": self.theirs} if self.peer else None,
            "result": {"kind": "ratio" if self.is_ratio else "difference" if self.difference else "value",
                       "median": self.result, "min": min(rounds), "max": max(rounds), "rounds": rounds},
            "target": str(self.target) if self.target else None, "met": self.met,
        }


class Samples:
    """Collects what the candidates do in each round, and makes cells of it."""

    def __init__(self):
        self.values = {}

    def add(self, candidate, what, value):
        self.values.setdefault((candidate, what), []).append(value)

    def cell(self, subject, what, unit, ours="vhdfs", peer=None, target=None, difference=False):
        theirs = self.values[peer, what] if peer else []
        # A peer may be one for each subject, as in "qsd small".
        return Cell(subject, what, unit, self.values[ours, what], peer and peer.split()[0], theirs, target, difference)
