# A hosted server of this app: `docker build -t see-bptt . && docker run -p 7860:7860 -v see-bptt-runs:/data/runs see-bptt`
# Hugging Face Spaces (Docker) takes it as it is. Caps and everything else: docs/hosting.md
FROM python:3.12-slim

ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 HOME=/tmp
ENV SEE_BPTT_HOSTED=1 SEE_BPTT_RUNS=/data/runs

WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY .streamlit/config.toml ./.streamlit/config.toml
COPY rnn_core ./rnn_core
COPY dashboard ./dashboard
RUN pip install ".[dashboard]"

# Whoever the container runs as may put runs here; each run's own folder is private.
RUN mkdir -p /data/runs && chmod 777 /data/runs
VOLUME /data/runs

WORKDIR /data
USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/_stcore/health', timeout=4)"
CMD ["see-bptt", "app", "--port", "7860"]
