"""Where the API server is and who we are there: from a kubeconfig, or from the pod's service account."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config


class AccessError(Exception):
    """No usable credentials; the message says what is missing and where it was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach one cluster.

    Attributes:
        kubeconfig: file to read, or several as kubectl's KUBECONFIG joins them, of which those that are not there are
            passed over; None means the service account of the pod. The environment is never asked.
        context: name of a context in it; empty for its current one.
    """

    kubeconfig: Path | None = None
    context: str = ""

    async def configuration(self) -> Any:
        """A new client configuration; reads the files again, so that renewed credentials are seen.

        Raises:
            AccessError: there is no usable kubeconfig or service account.
        """
        if self.kubeconfig is not None and not any(map(os.path.isfile, str(self.kubeconfig).split(os.pathsep))):
            raise AccessError(f"kubeconfig {self.kubeconfig}: no such file; KUBECONFIG or --kubeconfig names another")
        configuration = Configuration()
        # As kopf does: no proxy from the environment between the operator and its API server.
        configuration.client_session_kwargs = {"trust_env": False}
        try:
            if self.kubeconfig is None:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=str(self.kubeconfig),
                    context=self.context or None,
                    client_configuration=configuration,
                    persist_config=False,
                )
        except (ConfigException, yaml.YAMLError, OSError, TypeError) as error:
            where = self.kubeconfig or "service account of this pod (name a kubeconfig outside a cluster)"
            raise AccessError(f"cannot read credentials from {where}: {error}") from error
        return configuration
