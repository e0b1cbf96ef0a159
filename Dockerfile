# The operator's image, for charts/atoll. There it runs with a read-only root file system, all capabilities dropped and a
# volume at /tmp; it needs no other writable place. Settings come as ATOLL_* variables; it takes no arguments.
#
# Pin the base by digest where you build for production: python:3.11-slim@sha256:... as your registry shows it. The
# digest is not written here because no registry was at hand to read it from.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/atoll
COPY requirements.txt ./
RUN /opt/atoll/bin/pip install --require-hashes --no-deps --requirement requirements.txt
COPY LICENSE NOTICE README.md pyproject.toml ./
COPY operator ./operator
RUN /opt/atoll/bin/pip install --no-deps --no-build-isolation . \
    && /opt/atoll/bin/python -m compileall -q /opt/atoll/lib \
    && /opt/atoll/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
ENV PATH=/opt/atoll/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
COPY --from=build /opt/atoll /opt/atoll
COPY LICENSE NOTICE /usr/share/doc/atoll/
# A number, so that Kubernetes can see for itself that it is not root (runAsNonRoot); above every host account, and that of
# the chart's podSecurityContext.
USER 10001:10001
EXPOSE 8081
ENTRYPOINT ["python", "-m", "atoll.main"]
