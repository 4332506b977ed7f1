"""A Ray cluster, joined or started on this machine: what it has, what is asked of it, whether its nodes fit."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_helpers.files import storage

_ADDRESS = "RAY_ADDRESS"  # the environment variable by which Ray says where a job's cluster is
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
_TRIES = 3  # to start Ray: on a busy machine it gives up by itself after half a minute
_ANSWER = 10.0  # seconds for a cluster to answer
_STORE = 100_000_000  # bytes that a Ray of our own keeps its objects in; its checkpoints are files
_PACKAGES = ("tensorflow", "tf-models-official", "tf_keras", "numpy")  # whose versions have to be the same everywhere


@dataclass(frozen=True)
class Share:
    """What a training asks of a cluster.

    Attributes:
        machines: how many, the evaluator included.
        cpus: of each.
        gpus: of each.
    """

    machines: int
    cpus: float
    gpus: int

    @property
    def one(self) -> dict[str, float]:
        """What one machine asks for, in Ray's words."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    def lacking(self) -> str:
        """Return in words what is asked for and what there is."""
        import ray

        has = ray.cluster_resources()
        return (
            f"{self.machines} machines are asked for, each with {_count(self.cpus, 'CPU')} and "
            f"{_count(self.gpus, 'GPU')}, and the cluster has {_count(has.get('CPU', 0), 'CPU')} and "
            f"{_count(has.get('GPU', 0), 'GPU')} on {_count(len(_nodes()), 'node')}, of which other jobs may hold "
            f"some. Ask for fewer machines, or less for each (cpus, gpus), or add nodes."
        )

    def wait(self, seconds: float) -> None:
        """Wait until the cluster has all that is asked for, at once.

        Raises:
            TimeoutError: it has not.
        """
        from ray.util import placement_group, remove_placement_group

        group = placement_group([self.one] * self.machines, strategy="SPREAD")
        try:
            if not group.wait(min(seconds, 3)):
                print(f"Waiting for the cluster, at most {seconds / 60:.3g} minutes. {self.lacking()}", flush=True)
                if not group.wait(seconds):
                    raise TimeoutError(f"After {seconds:.0f} seconds: {self.lacking()}")
        finally:
            remove_placement_group(group)

    def check_nodes(self, run: str) -> None:
        """Refuse nodes that do not see the run folder, or have other versions than this machine.

        Args:
            run: the run folder, absolute.

        Raises:
            ValueError: they are named.
        """
        nodes = _nodes()
        if len(nodes) < 2:
            return
        with _marked(run) as mark:
            look = _look(mark)
            own, _ = look()
            looks = _ask(nodes, look)
        for name, versions, _ in looks:
            if differ := [package for package in own if versions[package] != own[package]]:
                said = ", ".join(f"{one} {versions[one] or 'missing'} (here {own[one]})" for one in differ)
                raise ValueError(f"The node {name} has {said}. Give all nodes the same versions.")
        if blind := [name for name, _, sees in looks if not sees]:
            raise ValueError(
                f"{run}: the node {', '.join(blind)} does not have this folder, and all {len(nodes)} nodes of the "
                f"cluster have to share it. Give a run folder in a bucket (gs://bucket/run) or on a disk that they "
                f"share."
            )

    def start(self, function: Callable[..., object], retries: int, *arguments: object) -> Any:
        """Call a function on one more machine of this share, and return Ray's promise of its end."""
        import ray

        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=retries)(function)
        return task.remote(*arguments)


def actor(kind: type) -> Any:
    """Return an object of a class that lives beside this program, as long as it does; all machines can call it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(kind).remote()


def finish(promise: Any) -> None:
    """Wait for what `Share.start` began, and raise what it raised."""
    import ray

    try:
        ray.get(promise)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def cancel(promise: Any) -> None:
    """End what `Share.start` began; where it has ended, do nothing."""
    import ray

    ray.cancel(promise, force=True)


@contextlib.contextmanager
def joined(address: str | None, machines: int, cpus: float, gpus: int | None) -> Iterator[Share]:
    """Join a cluster, or start a Ray on this machine, and leave or end it; one that was joined before stays joined.

    Args:
        address: of the cluster, ``auto``, ``local``, or None for the one whose job this is, else ``local``.
        machines: how many are asked for.
        cpus: of each.
        gpus: of each, or None for one each where there are enough.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: there is no cluster at the address.
        ValueError: a Ray on this machine alone cannot have the GPUs that are asked for.
    """
    _check_library()
    import ray

    if ray.is_initialized():
        yield _share(machines, cpus, gpus)
        return
    address = address or os.environ.get(_ADDRESS) or "local"
    # A machine that has fewer cores than processes makes them take turns.
    cores = max(os.cpu_count() or 1, math.ceil(machines * cpus))
    with _alone(cores) if address == "local" else _cluster(address):
        share = _share(machines, cpus, gpus)
        if address == "local" and share.machines * share.gpus > ray.cluster_resources().get("GPU", 0):
            raise ValueError(share.lacking())
        yield share


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Join a cluster, and leave it.

    Raises:
        ConnectionError: there is none.
    """
    import ray

    try:
        _reach(address)
        with environment({"RAY_USAGE_STATS_ENABLED": "0"}), _own_sigterm():
            ray.init(address, **_QUIET)
    except OSError as error:
        raise ConnectionError(
            f"There is no Ray cluster at {address!r} ({str(error).splitlines()[0][:200]}). Start one (ray start "
            f"--head), give its address, or leave the address out to train on this machine alone."
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _alone(cores: int) -> Iterator[None]:
    """Start a Ray that this machine alone reaches, and that says that it has so many cores; end it.

    Raises:
        RuntimeError: it does not come up.
    """
    import ray

    alone = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "object_store_memory": _STORE}
    # Unless told, what trains would wait for whatever else the machine does.
    wanted = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    with tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder:
        # Each of Ray's dozen processes imports jsonschema, which takes two seconds of a core to build the grammar of
        # this optional package, and goes without it where it cannot be imported.
        (Path(folder) / "rfc3987_syntax.py").write_text("raise ImportError\n", encoding="utf-8")
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        for _ in range(_TRIES):
            try:
                with environment(wanted, PYTHONPATH=path), _own_sigterm():
                    ray.init("local", num_cpus=cores, **alone, **_QUIET)
                break
            except Exception as error:  # it raises no narrower one after half a minute
                ray.shutdown()
                reason = str(error).splitlines()[0][:200]
        else:
            raise RuntimeError(f"Ray did not start on this machine, tried {_TRIES} times ({reason}). Is it too busy?")
        try:
            yield
        finally:
            ray.shutdown()


def _reach(address: str) -> None:
    """Raise OSError where nobody listens at ``host:port``; Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()


def _share(machines: int, cpus: float, gpus: int | None) -> Share:
    import ray

    enough = ray.cluster_resources().get("GPU", 0) >= machines
    return Share(machines, cpus, int(enough) if gpus is None else gpus)


@contextlib.contextmanager
def environment(wanted: Mapping[str, str], **always: str) -> Iterator[None]:
    """Set environment variables for a block, ``wanted`` where the user has not set them."""
    new = {name: value for name, value in wanted.items() if name not in os.environ} | always
    before = {name: os.environ.get(name) for name in new}
    os.environ.update(new)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep what this process does when it is asked to end; Ray replaces that for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _marked(run: str) -> Iterator[str]:
    """Put a file into a run folder that other nodes can look for, and remove it; a bucket needs none."""
    if storage.is_remote(run):
        yield ""
        return
    Path(run).mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=run, prefix=".shared-") as mark:
        yield mark.name


_Look = Callable[[], tuple[dict[str, str | None], bool]]


def _look(mark: str) -> _Look:
    """Return what tells of the machine that it is called on its versions, and whether it sees a file.

    It travels whole, being a function within another one, so that a node that lacks this package can be asked.
    """
    names = _PACKAGES

    def look() -> tuple[dict[str, str | None], bool]:
        import os
        from importlib import metadata

        versions: dict[str, str | None] = {}
        for name in names:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                versions[name] = None
        try:
            from tfod_helpers import __version__
        except ImportError:
            versions["tfod_helpers"] = None
        else:
            versions["tfod_helpers"] = __version__
        return versions, not mark or os.path.exists(mark)

    return look


def _ask(nodes: list[dict[str, Any]], look: _Look) -> list[tuple[str, dict[str, str | None], bool]]:
    """Return of each node its name, its versions, and whether it sees the file."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    found = ray.get([ray.remote(num_cpus=0, scheduling_strategy=place)(look).remote() for place in places])
    return [(node["NodeManagerAddress"], *one) for node, one in zip(nodes, found, strict=True)]


def _nodes() -> list[dict[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'s' * (number != 1)}" if number else f"no {what}"


def _check_library() -> None:
    try:
        for name in ("ray", "ray.train"):
            importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"jobs.ray needs Ray, and {error}. Install it: pip install 'tfod_helpers[ray]'", name=error.name
        ) from error
