# The app as a Hugging Face Docker Space, or anywhere else: port 8501, user 1000.
#
#   docker build -t expression-demo .
#   docker build -t expression-demo --build-arg FER_HUB_REPOS=owner/name@COMMIT .
#   docker run -p 8501:8501 expression-demo

FROM python:3.11-slim-bookworm

# The Space's own user; everything below is its.
RUN useradd --create-home --uid 1000 user
USER 1000
ENV HOME=/home/user \
    HF_HOME=/home/user/.cache/huggingface \
    PATH=/home/user/.local/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /home/user/app

# torch's CPU build is a tenth of the default one. It changes seldom, so it has a layer of its own.
# The versions are those of requirements-lock.txt.
RUN pip install --no-cache-dir --user --index-url https://download.pytorch.org/whl/cpu \
    torch==2.15.0 torchvision==0.29.2
COPY --chown=1000 requirements.txt .
RUN pip install --no-cache-dir --user -r requirements.txt

COPY --chown=1000 app.py LICENSE README.md ./
COPY --chown=1000 .streamlit/config.toml .streamlit/
COPY --chown=1000 fer_demo fer_demo

# What the Hub serves is fetched now and found in the cache at every start: the face detector at the
# revision in the code, and the networks of FER_HUB_REPOS, which should name commits. Without it
# the bundled networks serve. A private repository's token is a build secret, never a layer.
ARG FER_HUB_REPOS=""
ENV FER_HUB_REPOS=${FER_HUB_REPOS}
RUN --mount=type=secret,id=HF_TOKEN,uid=1000,required=false \
    if [ -f /run/secrets/HF_TOKEN ]; then HF_TOKEN="$(cat /run/secrets/HF_TOKEN)"; export HF_TOKEN; fi; \
    python -m fer_demo.prefetch

# Settings that only a container needs; .streamlit/config.toml holds the others.
# - It is reached from outside, at the port that README.md names, and no browser is there to open.
# - A container sees the host's cores; the free hardware gives two.
ENV STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501 \
    STREAMLIT_SERVER_HEADLESS=true \
    FER_THREADS=2 \
    OMP_NUM_THREADS=2

EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import os, urllib.request as u; e = os.environ.get; u.urlopen('/'.join(filter(None, ['http://127.0.0.1:' + e('STREAMLIT_SERVER_PORT'), e('STREAMLIT_SERVER_BASE_URL_PATH', '').strip('/'), '_stcore/health'])), timeout=4)"]
# A Space's page is an iframe of another site: without "none" its uploads lack the XSRF cookie. Elsewhere
# "none" would only weaken it, and over plain http browsers drop such a cookie altogether.
CMD ["sh", "-c", "[ -z \"$SPACE_HOST\" ] || export STREAMLIT_SERVER_XSRF_COOKIE_SAME_SITE=none; exec streamlit run app.py"]
