# openmcp, built from this tree. `docker build -t openmcp .` is openmcp with Node, for servers that npx starts;
# `--target with-uv` adds uv and git, for those that uvx starts. How to run it: docs/operations.md.
ARG NODE=24.21.0-bookworm-slim
ARG UV=0.13.9

FROM ghcr.io/astral-sh/uv:${UV} AS uv

FROM node:${NODE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Exactly what the lock file names, and nothing that a package brings is run.
RUN npm ci --ignore-scripts
COPY tsconfig.json build.mjs ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:${NODE} AS openmcp
# The first process of a container has to bury the children of those that died.
# The base image fixes the release of Debian; of a version that an update has replaced its mirrors know nothing.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
# Nothing but the state is for the user that runs it to write.
RUN ln -s /app/dist/openmcp.mjs /usr/local/bin/openmcp && install -d -m 0700 -o 1000 -g 1000 /data
ENV NODE_ENV=production OPENMCP_CONTAINER=1 OPENMCP_HOME=/data OPENMCP_HEALTH=http://127.0.0.1:8000/healthz
USER 1000:1000
WORKDIR /home/node
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.OPENMCP_HEALTH).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/bin/tini", "--", "openmcp"]
# In a container whoever reaches the port is not on this machine: callers prove who they are.
CMD ["run", "--security", "-p", "0.0.0.0:8000", "--config", "/config/openmcp.json"]

FROM openmcp AS with-uv
USER 0:0
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates git \
  && rm -rf /var/lib/apt/lists/*
COPY --from=uv /uv /uvx /usr/local/bin/
USER 1000:1000

# What is built when no target is named.
FROM openmcp AS default
