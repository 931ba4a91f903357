# The operator's image: the hash-checked packages of requirements/operator.txt and the wheel of this repository, nothing else.
#   docker build -t REGISTRY/securebase-operator:0.1.0 .
FROM python:3.11-slim AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# The packages first: they change less often than the code, so that their layer is reused.
COPY requirements/operator.txt requirements/build.txt requirements/
RUN python -m venv /opt/securebase \
 && /opt/securebase/bin/pip install --require-hashes -r requirements/operator.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements/build.txt

COPY pyproject.toml README.md ./
COPY operator operator
RUN /opt/build/bin/hatchling build -t wheel \
 && /opt/securebase/bin/pip install --no-deps --no-index dist/*.whl \
 && /opt/securebase/bin/pip check \
 && /opt/securebase/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
COPY --from=build /opt/securebase /opt/securebase
# USER: kopf asks for the name of the user it runs as, and this uid stands in no passwd file. The root file system may be read-only.
ENV PATH=/opt/securebase/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    USER=securebase \
    HOME=/tmp
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["securebase"]
CMD ["run"]
