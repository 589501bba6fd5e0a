"""Results made for tests: two peers and a limit, with figures that are easy to divide."""

from __future__ import annotations

from benchmarks.results import Aim, Metric, Outcome, Results

RATE = Metric("rate", "/s", aims=(Aim(5, ("distribution", "zot")),), guarded=True)
CPU = Metric("cpu", "µs/request", rising=False, guarded=True)


def outcome(ours: list[float], distribution: list[float], zot: list[float], metric: Metric = RATE) -> Outcome:
    samples = {"moorage": ours, "distribution": distribution, "zot": zot}
    found = {name: [{metric.name: value} for value in values] for name, values in samples.items()}
    return Outcome("manifest-get", "manifest GET", "Manifests", (metric,), found)


def results(*outcomes: Outcome) -> Results:
    roles = {"moorage": "ours", "distribution": "peer", "zot": "peer", "nginx": "limit"}
    facts = {name: {"role": role, "version": "1", "durable": "yes", "words": name} for name, role in roles.items()}
    return Results({"processors": "2"}, facts, list(outcomes), {"zot-commit": "not built"})
