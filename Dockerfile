# Stage 1 bundles; stage 2 holds Node.js and the bundles, nothing else.
#
# Tags move. For a build that can be repeated, name the image by its digest, of a registry that you trust:
#   docker build --build-arg NODE_IMAGE=node:26-slim@sha256:... -t soquete .
#   docker buildx imagetools inspect node:26-slim --format '{{.Manifest.Digest}}'   # says which it is
ARG NODE_IMAGE=node:26-slim
FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No install script has to run: what is installed has its checksum in package-lock.json.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
COPY build.mjs ./
COPY src ./src
# Of what was installed here: `npm sbom --omit=dev` leaves out what a development package needs as well.
RUN node build.mjs --bundle-only && npm pkg delete devDependencies && npm sbom --sbom-format cyclonedx > dist/sbom.cdx.json

FROM ${NODE_IMAGE}
# Mount points take over the owner of the folder that they cover.
RUN mkdir -p /data /run/soquete && chown node:node /data /run/soquete
WORKDIR /soquete
COPY --from=build /build/dist ./
ENV NODE_ENV=production MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072 LISTEN=unix:/run/soquete/backend-1.sock STORE_URL=sqlite:/data
USER node
# V8 does not see a container's memory limit, so it is told: what lives long is small, what dies young too. One arena
# for malloc, not one a thread, saves another 10 MB.
CMD ["node", "--max-old-space-size=64", "--max-semi-space-size=2", "--single-threaded-gc", "--no-maglev-destroy-on-background", "--expose-gc", "main.js"]
# Perl, because a second Node.js would take half of a backend's memory each time. Seldom, because it runs within the quota of
# the backend, whose next payments wait for it; HAProxy asks each backend twice a second anyway, at no such cost.
HEALTHCHECK --interval=30s --timeout=5s --start-period=2s --retries=3 CMD ["perl", "-MIO::Socket::UNIX", "-e", \
  "($path = $ENV{LISTEN}) =~ s/^unix://; $socket = IO::Socket::UNIX->new($path) or exit 1; print $socket \"GET /health HTTP/1.0\\r\\n\\r\\n\"; exit(<$socket> !~ / 200 /)"]
