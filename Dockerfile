# Two images. `docker build --target service .` holds the program alone, for `serve` beside an Envoy of yours.
# `docker build .` adds an Envoy, so that `up` runs the pair in one container.
# The configuration is expected at /var/lib/hermesbridge/gateway.yaml; the store and the sockets go beside it.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
# No install script is needed to compile or to run: native parts come prebuilt.
RUN npm ci --ignore-scripts
COPY LICENSE ./
COPY protos ./protos
COPY src ./src
# Files come with the modes of the checkout, which a strict umask keeps from everyone but root.
RUN npm run build && npm ci --omit=dev --ignore-scripts && chmod -R a+rX .

FROM node:24-bookworm-slim AS service
WORKDIR /opt/hermesbridge
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY --from=build /build/protos ./protos
COPY --from=build /build/package.json /build/LICENSE ./
RUN install -d -o node -g node -m 0700 /var/lib/hermesbridge
ENV NODE_ENV=production HERMESBRIDGE_CONFIG=/var/lib/hermesbridge/gateway.yaml
# `node`, as a number: Kubernetes cannot tell from a name that it is not root.
USER 1000:1000
VOLUME /var/lib/hermesbridge
ENTRYPOINT ["node", "/opt/hermesbridge/dist/main.js"]
CMD ["serve"]

FROM service AS pair
COPY --from=envoyproxy/envoy:v1.40.0 /usr/local/bin/envoy /usr/local/bin/envoy
# What the providers' certificates are verified against; the slim image has no bundle of its own.
COPY --from=envoyproxy/envoy:v1.40.0 /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
EXPOSE 8443
CMD ["up"]
