import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { defaultGateway, defaultSidecar, renderedBootstraps } from '../../src/envoy/default-bootstraps.ts';
import { gatewayBootstrap } from '../../src/envoy/gateway-bootstrap.ts';
import { sidecarBootstrap } from '../../src/envoy/sidecar-bootstrap.ts';

test.each(Object.entries(renderedBootstraps()))('envoy/%s is what scripts/render-envoy.ts writes', async (name, text) => {
  expect(await readFile(new URL(`../../envoy/${name}`, import.meta.url), 'utf8')).toBe(text);
});

test('the YAML says what the functions return', () => {
  const files = renderedBootstraps();
  expect(parse(files['gateway.yaml'])).toEqual(gatewayBootstrap(defaultGateway));
  expect(parse(files['sidecar.yaml'])).toEqual(sidecarBootstrap(defaultSidecar));
});
