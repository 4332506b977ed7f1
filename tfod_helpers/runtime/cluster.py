"""The environment variable TF_CONFIG -> one strategy over several machines.

It is a JSON object that names all machines, the same on each, and says which of them this one is::

    {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.distribute import multi_worker_util
from tensorflow.python.eager import context

from tfod_helpers.runtime.computing import bounded, first_line

VARIABLE = "TF_CONFIG"
EVALUATOR = "evaluator"  # a role beside the machines that train: it judges what they keep
_EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
_PATIENCE = 300.0  # seconds until all machines are there
_SILENT = 30  # seconds after which a machine that says nothing counts as lost

_joined: dict[str, tf.distribute.Strategy] = {}  # TF_CONFIG -> its strategy; a cluster cannot be joined twice


@dataclass(frozen=True)
class Cluster:
    """Several machines that train together.

    Attributes:
        addresses: ``host:port`` of each, the chief first.
        number: which of them this machine is, from 0; of an evaluator -1, since it is none of them.
        role: ``chief``, ``worker`` or ``evaluator``.
    """

    addresses: tuple[str, ...]
    number: int
    role: str


def read() -> Cluster | None:
    """Return the machines that the environment variable names, or None where it is not set.

    Raises:
        ValueError: it is not as it should be; the message says what it says, and what it should look like.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _wrong(text, f"this is not JSON ({error})") from None
    cluster = found.get("cluster") if isinstance(found, dict) else None
    if not isinstance(cluster, dict) or not cluster:
        raise _wrong(text, "there is no 'cluster' that names the machines")
    evaluators = cluster.pop(EVALUATOR, None)  # some engines list them too; nobody has to reach them
    if strange := sorted(set(cluster) - {"chief", "worker"}):
        raise _wrong(text, f"{strange[0]!r} has no use here, all machines train alike, as 'chief' and 'worker'")
    if not cluster and evaluators:
        raise _wrong(text, "there is no machine that trains, 'chief' or 'worker'")
    for role, addresses in cluster.items():
        if not isinstance(addresses, list) or not addresses or not all(map(_port, addresses)):
            raise _wrong(text, f"{role!r} should list addresses with a port, and is {addresses!r}")
    chiefs = cluster.get("chief", [])
    if len(chiefs) > 1:
        raise _wrong(text, f"there are {len(chiefs)} of 'chief', and there can be one")
    task = found.get("task")
    role, index = (str(task.get("type")), task.get("index")) if isinstance(task, dict) else ("", None)
    addresses = (*chiefs, *cluster.get("worker", []))
    if role == EVALUATOR:
        return Cluster(addresses, -1, role)
    if type(index) is not int or index not in range(len(cluster.get(role, []))):
        counts = " and ".join(f"{len(addresses)} of {name!r}" for name, addresses in cluster.items())
        raise _wrong(text, f"the task is number {index!r} of {role!r}, and the cluster has {counts}, counted from 0")
    return Cluster(addresses, index + len(chiefs) * (role == "worker"), role)


def connect(cluster: Cluster) -> tf.distribute.Strategy:
    """Join the other machines, and return the strategy over all of them.

    Raises:
        RuntimeError: the port is in use, or TensorFlow was used before.
        ConnectionError: the machines do not come, or one is lost meanwhile.
    """
    text = os.environ[VARIABLE]
    if text in _joined:
        return _joined[text]
    _check_port(cluster)
    others = [address for number, address in enumerate(cluster.addresses) if number != cluster.number]
    print(f"Waiting for {', '.join(others)}, at most {_PATIENCE / 60:.0f} minutes.", flush=True)
    try:
        _joined[text] = bounded(_join, _PATIENCE, "not all machines are there")
    except (TimeoutError, tf.errors.OpError) as error:
        absent = [address for address in others if not _answers(address)]
        who = f"nobody answers at {', '.join(absent)}" if absent else "each of them answers"
        raise ConnectionError(
            f"The machines of {VARIABLE} could not be joined within {_PATIENCE / 60:.0f} minutes "
            f"({first_line(error)}); {who}. Start the same program on all of them, each with its own index in "
            f"{VARIABLE}, and see that their ports are open to each other. Then restart."
        ) from None
    except RuntimeError as error:
        if "startup" not in str(error):
            raise
        raise RuntimeError(
            f"Several machines have to be joined before TensorFlow computes anything, and it has. Restart, and call "
            f"runtime.connect() first ({first_line(error)})."
        ) from error
    if threading.current_thread() is threading.main_thread():
        # TensorFlow has taken SIGTERM for itself, to tell the others, and keeps it from Python, which is to save.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return _joined[text]


def _join() -> tf.distribute.Strategy:
    _be_patient()
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    # A sum over all machines proves that they hear each other.
    ones = strategy.run(tf.function(lambda: tf.ones([])))
    total = float(strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None))
    if total != strategy.num_replicas_in_sync:
        raise RuntimeError(f"The machines add up to {total:g}, and should to {strategy.num_replicas_in_sync}. Restart.")
    return strategy


def _port(address: Any) -> int | None:
    host, _, port = str(address).rpartition(":")
    return int(port) if host and port.isdigit() and 0 < int(port) < 65536 else None


def _be_patient() -> None:
    """Let a machine be silent for a while before it counts as lost: one whose cores are all busy often is.

    TensorFlow's own ten seconds can be changed in no public way; a strategy keeps what it finds here.
    """
    spec = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec()
    jobs = [
        coordination_config_pb2.CoordinatedJob(name=role, num_tasks=spec.num_tasks(role))
        for role in ("chief", "worker")
        if role in spec.jobs
    ]
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=multi_worker_util.coordination_leader(spec),
        heartbeat_timeout_in_ms=_SILENT * 1000,
        coordinated_jobs=jobs,
    )


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        return False
    return True


def _check_port(cluster: Cluster) -> None:
    port = _port(cluster.addresses[cluster.number])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that has just ended is no hindrance
        try:
            probe.bind(("", port))
        except OSError as error:
            raise RuntimeError(
                f"{VARIABLE} gives this machine the port {port}, which another program uses ({error}). End it, "
                f"such as an earlier run of this one, or choose another port in {VARIABLE} on every machine."
            ) from None


def _wrong(text: str, what: str) -> ValueError:
    shown = text if len(text) <= 300 else f"{text[:300]}..."
    return ValueError(
        f"The environment variable {VARIABLE} says {shown}: {what}. It should look like {_EXAMPLE}, with the same "
        f"cluster on every machine and each machine's own index. To use this machine alone, remove it: "
        f"del os.environ['{VARIABLE}']."
    )
