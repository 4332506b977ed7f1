# The machines of a job run this: Python, TensorFlow and this package, each package in the version that was tested.
# Vertex AI starts it with `python -m tfod_helpers.training CONFIG RUN` (jobs.vertex); so can any other engine.
#
# Build it in a checkout, on this machine or at Google, and push it into a registry of your project. Once:
#
#   PROJECT=my-project-481516 REGION=us-central1 CHIP=gpu
#   gcloud services enable artifactregistry.googleapis.com aiplatform.googleapis.com --project=$PROJECT
#   gcloud artifacts repositories create tfod-helpers --repository-format=docker --location=$REGION --project=$PROJECT
#   gcloud auth configure-docker $REGION-docker.pkg.dev
#
# For each version, which the tag has to name:
#
#   VERSION=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' tfod_helpers/__init__.py)
#   IMAGE=$REGION-docker.pkg.dev/$PROJECT/tfod-helpers/tfod-helpers:$VERSION-$CHIP
#   docker build --platform linux/amd64 --build-arg CHIP=$CHIP --tag $IMAGE .
#   docker push $IMAGE
#
# Without Docker, for GPUs: gcloud builds submit --tag $IMAGE --timeout=1h --project=$PROJECT .

# gpu: NVIDIA's libraries come along, and CPUs do too; tpu: TensorFlow's build for TPUs, and their driver.
ARG CHIP=gpu

FROM python:3.12-slim AS packages
ARG CHIP
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/tfod_helpers/bin:$PATH
RUN python -m venv /opt/tfod_helpers
WORKDIR /source
# What it needs, first: while that stays the same, the next build takes it over and only adds the package.
COPY pyproject.toml requirements.txt requirements-tpu.txt requirements-gpu.txt ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    extras = project['optional-dependencies']; \
    print(*project['dependencies'], *extras['train'], *extras['cloud'], *extras['heic'], sep='\n')" > wanted.txt
# requirements-tpu.txt holds every version, TensorFlow's in that of its build for TPUs.
RUN case "$CHIP" in gpu) plain='tensorflow[and-cuda]' ;; tpu) plain='tensorflow' ;; \
    *) echo "CHIP is gpu or tpu, and not '$CHIP'" >&2; exit 1 ;; esac; \
    version=$(sed -n 's/^tensorflow-tpu==\([^ ]*\).*/\1/p' requirements-tpu.txt); \
    pip install --requirement wanted.txt "$plain==$version" \
    --constraint requirements-tpu.txt --constraint requirements-gpu.txt
# Both builds have the same files, and packages ask for the plain one: it goes once all are there.
RUN if [ "$CHIP" = tpu ]; then sed -n '/^tensorflow-tpu==/p; /^libtpu==/p' requirements-tpu.txt > tpu.txt && \
    pip uninstall --yes tensorflow && pip install --no-deps --requirement tpu.txt; fi
COPY README.md LICENSE ./
COPY dataset dataset
COPY tfod_helpers tfod_helpers
RUN pip install --no-deps .

FROM python:3.12-slim
# Where Vertex AI puts a GPU's driver, and where it looks for that of TPUs.
ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib64 NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN useradd --create-home --uid 1000 trainer && ln -s /opt/tfod_helpers/lib/python3.12/site-packages/libtpu/libtpu.so /lib/
COPY --from=packages /opt/tfod_helpers /opt/tfod_helpers
ENV PATH=/opt/tfod_helpers/bin:$PATH PYTHONUNBUFFERED=1
USER 1000
WORKDIR /home/trainer
ENTRYPOINT ["python", "-m", "tfod_helpers.training"]
