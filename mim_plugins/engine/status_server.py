"""Status of a run as metrics for Prometheus."""

import math
from typing import Any


class StatusServer:
    """Serves the numbers of a run's status as Prometheus text on the loopback interface.

    Gauges are ``mim_plugins_iteration``, ``_max_iterations``, ``_epoch``, ``_images_per_second``,
    ``_learning_rate``, ``_loss{term=...}``, ``_restarts``, ``_corrupt_images``,
    ``_last_checkpoint_timestamp_seconds`` and ``_updated_timestamp_seconds``, all with the label
    ``work_dir``.

    Args:
        port: port on 127.0.0.1; 0 is any free one.
        work_dir: value of the label.

    Raises:
        ImportError: prometheus_client is not installed.
        OSError: the port is taken.
    """

    def __init__(self, port: int, work_dir: str) -> None:
        try:
            import prometheus_client
        except ImportError as error:
            raise ImportError(
                f"StatusHook: prometheus_port={port} needs prometheus_client ({error}):"
                " pip install 'mim_plugins[monitoring]'"
            ) from None
        self._client = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        self._gauges: dict[str, Any] = {}
        self._work_dir = work_dir.encode(errors="backslashreplace").decode()  # bytes of a path
        self._server, self._thread = prometheus_client.start_http_server(
            port, addr="127.0.0.1", registry=self._registry
        )
        self.port = self._server.server_port

    def update(self, status: dict[str, Any]) -> None:
        """Set the gauges to a content of ``status.json``; unknown numbers are NaN."""
        saved = status["last_checkpoint"] or {}
        self._set("iteration", status["iteration"])
        self._set("max_iterations", status["max_iterations"])
        self._set("epoch", status["epoch"])
        self._set("images_per_second", status["images_per_s"])
        self._set("learning_rate", status["learning_rate"])
        self._set("restarts", len(status["restarts"]))
        self._set("corrupt_images", status["corrupt_images"])
        self._set("last_checkpoint_timestamp_seconds", saved.get("time"))
        self._set("updated_timestamp_seconds", status["updated"])
        for name, value in status["losses"].items():
            self._set("loss", value, term=name)

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _set(self, name: str, value: float | None, **labels: str) -> None:
        labels = dict(labels, work_dir=self._work_dir)
        if name not in self._gauges:
            self._gauges[name] = self._client.Gauge(
                f"mim_plugins_{name}",
                f"{name.replace('_', ' ')} of the run",
                list(labels),
                registry=self._registry,
            )
        self._gauges[name].labels(**labels).set(math.nan if value is None else value)
