# The operator's image: Node and Baton's bundle on glibc, without a shell.
#   docker build -t baton:0.1.0 .
# test/kubernetes/lab/image.ts makes the same image without Docker: it reads the last stage below.

FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# As the lock says. Not `npm ci`: it refuses a lock without the optional packages of other platforms.
RUN npm install --no-save --no-audit --no-fund --ignore-scripts
COPY scripts scripts
COPY src src
RUN node scripts/build.mjs

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /src/package.json /opt/baton/package.json
COPY --from=build /src/dist /opt/baton/dist
ENV NODE_ENV=production
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/node", "/opt/baton/dist/baton.js"]
CMD ["operator"]
