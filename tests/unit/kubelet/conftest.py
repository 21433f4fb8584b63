"""Builders of pods, shared by the tests of the kubelet's rules."""

import pytest

from memqos.model.pods import Container, Pod, Resources
from memqos.units import parse_quantity


def make_container(name="c", request=None, limit=None, *, cpu=None, cpu_limit=None, restart_policy=None):
    """A container by its memory request and limit (quantities)."""
    requests, limits = {"memory": request, "cpu": cpu}, {"memory": limit, "cpu": cpu_limit}
    return Container(name, Resources(amounts(requests), amounts(limits)), restart_policy=restart_policy)


def make_pod(*containers, name="pod", pod_level=None, overhead=None, **fields):
    """A pod; `pod_level` is a pair of mappings, the pod-level requests and limits."""
    return Pod(
        namespace="default",
        name=name,
        uid=fields.pop("uid", name),
        containers=containers or (make_container(),),
        resources=None if pod_level is None else Resources(amounts(pod_level[0]), amounts(pod_level[1])),
        overhead=amounts({"memory": overhead}),
        **fields,
    )


def amounts(given):
    return {name: parse_quantity(text) for name, text in given.items() if text is not None}


@pytest.fixture(scope="session")
def container():
    return make_container


@pytest.fixture(scope="session")
def pod():
    return make_pod


@pytest.fixture(scope="session")
def burstable():
    """A Burstable pod of one container: `burstable("64Mi", "128Mi")`."""
    return lambda request, limit=None, **fields: make_pod(make_container("c", request, limit), **fields)


@pytest.fixture(scope="session")
def guaranteed():
    """A Guaranteed pod of one container: `guaranteed("64Mi")`."""
    return lambda size, **fields: make_pod(
        make_container("c", size, size, cpu="100m", cpu_limit="100m"), **fields
    )
