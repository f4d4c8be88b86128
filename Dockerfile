# Stage 1 bundles; stage 2 holds Node.js and the bundles, nothing else.
FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No install scripts: they would fetch a second Node.js, which development uses on machines with an older one.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
COPY build.mjs ./
COPY src ./src
RUN node build.mjs --bundle-only

FROM node:26-slim
# Mount points take over the owner of the folder that they cover.
RUN mkdir -p /data /run/soquete && chown node:node /data /run/soquete
WORKDIR /soquete
COPY --from=build /build/dist ./
ENV NODE_ENV=production MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072 LISTEN=unix:/run/soquete/backend-1.sock STORE_URL=sqlite:/data
USER node
# V8 does not see a container's memory limit, so it is told: what lives long is small, what dies young too. One arena
# for malloc, not one a thread, saves another 10 MB.
CMD ["node", "--max-old-space-size=64", "--max-semi-space-size=2", "--single-threaded-gc", "main.js"]
# Perl, because a second Node.js would take half of a backend's memory each time.
HEALTHCHECK --interval=5s --timeout=2s --start-period=2s --retries=3 CMD ["perl", "-MIO::Socket::UNIX", "-e", \
  "($path = $ENV{LISTEN}) =~ s/^unix://; $socket = IO::Socket::UNIX->new($path) or exit 1; print $socket \"GET /health HTTP/1.0\\r\\n\\r\\n\"; exit(<$socket> !~ / 200 /)"]
