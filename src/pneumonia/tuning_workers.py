"""A search shared by several processes, on one machine or more: one chief, and workers that ask it.

They speak Keras Tuner's own protocol. Nothing listens beyond this machine unless `tune.listen` says
so, and there is no password: only a trusted network may reach that port.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient

from pneumonia.data.store import load_copies, load_part
from pneumonia.errors import InputError
from pneumonia.params import Params
from pneumonia.processes import name_process
from pneumonia.tuning import (
    Search,
    collect_search,
    key_search,
    prepare_oracle,
    run_trials,
    skip_search,
)
from pneumonia.tuning_oracle import SearchOracle

WAIT, BEAT, LOOK = 60.0, 3.0, 0.2  # seconds: for the chief to answer, between signs of life, looks
KILLED = (-15, -9, -2, 130, 137, 143)  # how a worker ends that may begin again
WORKER = (sys.executable, "-c", "from pneumonia.cli import app; app()", "tune-worker")


def search(
    augmented: Path, val: Path, settings: Params, key: str, work: Path, params: Path
) -> Search:
    """Run the search of that key, or go on with the one in the folder `work`.

    Workers on this machine read the same files. Raises InputError if settings contradict each
    other, no trial was completed or a worker failed.
    """
    tune = settings.tune
    if not tune.enabled:
        return skip_search(settings.model)
    oracle = prepare_oracle(settings, key, work)
    if tune.workers == 1 and not tune.listen:
        name = f"{key}/{name_process()}"
        run_trials(oracle, name, settings, load_copies(augmented), load_part(val), work)
    else:
        options = ["--augmented", augmented, "--val", val, "--params", params]
        lead_workers(oracle, tune.workers, tune.listen, [str(option) for option in options])
    return collect_search(oracle, tune)


def lead_workers(oracle: SearchOracle, count: int, listen: str | None, options: list[str]) -> None:
    """Serve the oracle until its search has ended, with `count` workers on this machine.

    A worker that is killed is replaced, and its trial goes on. Raises InputError where one fails.
    """
    if not count and not listen:
        raise InputError("tune.workers is 0 and tune.listen is null: nobody would do the work")
    with serve_oracle(oracle, listen) as port, end_together() as workers:
        command = [*WORKER, "--chief", f"127.0.0.1:{port}", "--chief-process", str(os.getpid())]
        while not oracle.has_ended():
            while len(workers) < count and oracle.needs_workers():
                workers.append(subprocess.Popen([*command, *options]))
            time.sleep(LOOK)
            for worker in [w for w in workers if w.poll() is not None]:
                workers.remove(worker)
                if worker.returncode and worker.returncode not in KILLED:
                    raise InputError(
                        f"a worker of the search ended with code {worker.returncode}; what it said "
                        "stands above"
                    )
            oracle.give_back_lost(time.monotonic())


@contextmanager
def serve_oracle(oracle: SearchOracle, listen: str | None) -> Iterator[int]:
    """Answer workers at a free loopback port, which it gives, and at `listen`, if any."""
    options = [("grpc.so_reuseport", 0)]  # else a port that another search has would do
    server = grpc.server(ThreadPoolExecutor(max_workers=1), options=options)
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    try:
        port = server.add_insecure_port("127.0.0.1:0")
        if listen:
            server.add_insecure_port(listen)
    except RuntimeError:
        raise InputError(f"cannot listen at tune.listen {listen}: choose a free port") from None
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=1).wait()


@contextmanager
def end_together() -> Iterator[list[subprocess.Popen[bytes]]]:
    """A list of processes that end when the block does."""
    workers: list[subprocess.Popen[bytes]] = []
    try:
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def join(chief: str, settings: Params, augmented: Path, val: Path, work: Path) -> None:
    """Do trials for the chief at HOST:PORT until there are no more.

    Raises InputError where no chief answers, or one with other data, parameters or code.
    """
    host, _, port = chief.rpartition(":")
    key = key_search(augmented, val, settings)
    name = f"{key}/{name_process()}"
    os.environ |= {
        "KERASTUNER_ORACLE_IP": host,
        "KERASTUNER_ORACLE_PORT": port,
        "KERASTUNER_TUNER_ID": name,
    }
    wait_for(chief)
    client = LivingClient()
    try:
        run_trials(client, name, settings, load_copies(augmented), load_part(val), work / key)
    except grpc.RpcError as error:
        reason = error.details() if isinstance(error, grpc.Call) else None
        raise InputError(f"the chief at {chief} says: {reason or error}") from None
    finally:
        client.trial_id = None


def wait_for(chief: str) -> None:
    """Raises InputError where nobody listens."""
    with grpc.insecure_channel(chief) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=WAIT)
        except grpc.FutureTimeoutError:
            raise InputError(
                f"no chief at {chief}: run `dvc repro` there with tune.listen, and look at the "
                "firewall"
            ) from None


class LivingClient(OracleClient):
    """Keras Tuner's client, which also tells the chief every few seconds that it lives."""

    def __init__(self) -> None:
        super().__init__(None)
        self.trial_id: str | None = None
        threading.Thread(target=self._beat, daemon=True).start()

    def create_trial(self, tuner_id: str) -> Any:
        trial = super().create_trial(tuner_id)
        self.trial_id = trial.trial_id if trial.status == "RUNNING" else None
        return trial

    def end_trial(self, trial: Any) -> None:
        self.trial_id = None
        super().end_trial(trial)

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT)
            if self.trial_id:
                try:
                    self.get_trial(self.trial_id)
                except grpc.RpcError:
                    continue  # the next call of the main thread tells


def end_with(process: int) -> None:
    """End this process as soon as its parent is no more `process`."""

    def watch() -> None:
        while os.getppid() == process:
            time.sleep(BEAT)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
