import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AccessError, findAccess } from './access.ts';
import { ApiClient } from './client.ts';
import { ApiError, ApiUnreachableError, isConflict } from './errors.ts';
import { FakeApiServer } from './fake-api-server.ts';
import { PODS, type Pod } from './resources.ts';

const PATH = '/api/v1/namespaces/default/pods';

test('what is not there is null, and a refusal has the status and the words of the API server', async () => {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access);
  assert.equal(await client.get<Pod>(PODS, 'default', 'none'), null);
  server.fault = () => ({ status: 403, reason: 'Forbidden' });
  await assert.rejects(
    client.get<Pod>(PODS, 'default', 'none'),
    (error) => error instanceof ApiError && error.status === 403 && error.message.includes('Forbidden'),
  );
  client.close();
});

test('a write without an answer is told from one that was refused', async () => {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 100 });
  server.put(PATH, 'a', {});
  server.fault = () => 'lose';
  await assert.rejects(client.patch(PODS, 'default', 'a', { x: 1 }), ApiUnreachableError);
  assert.equal(server.read(PATH, 'a')?.['x'], 1, 'it was carried out all the same');
  server.fault = () => 'cut';
  await assert.rejects(client.patch(PODS, 'default', 'a', { x: 2 }), ApiUnreachableError);
  server.fault = () => null;
  await assert.rejects(client.patch(PODS, 'default', 'a', { metadata: { resourceVersion: '1' } }), isConflict);
  client.close();
});

test('a Pod is deleted only if it is the one that was meant', async () => {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access);
  const { metadata } = server.put(PATH, 'a', {});
  server.fault = (method) => (method === 'DELETE' ? { status: 409, reason: 'Conflict' } : null);
  await client.delete(PODS, 'default', 'a', 'another');
  assert.ok(server.read(PATH, 'a'));
  server.fault = () => null;
  await client.delete(PODS, 'default', 'a', metadata.uid);
  assert.equal(server.read(PATH, 'a'), undefined);
  client.close();
});

test('a kubeconfig gives server, certificates and namespace; one that names nothing says what it has', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'baton-kubeconfig-'));
  const path = join(directory, 'config');
  await writeFile(join(directory, 'ca.crt'), 'CERTIFICATE');
  await writeFile(
    path,
    `current-context: lab
clusters: [{name: lab, cluster: {server: "https://k:6443/", certificate-authority: ca.crt}}]
users: [{name: me, user: {client-certificate-data: ${btoa('MINE')}, token: t}}]
contexts: [{name: lab, context: {cluster: lab, user: me, namespace: shop}}]
`,
  );
  const access = findAccess({ kubeconfig: path });
  assert.deepEqual(
    [access.server, access.ca, access.cert, access.token(), access.namespace],
    ['https://k:6443', 'CERTIFICATE', 'MINE', 't', 'shop'],
  );
  assert.throws(
    () => findAccess({ kubeconfig: path, context: 'other' }),
    (error) => error instanceof AccessError && error.message.includes('"other"') && error.message.includes('found lab'),
  );
  assert.throws(() => findAccess({ kubeconfig: join(directory, 'none') }), AccessError);
  await rm(directory, { recursive: true });
});

test('a log that is followed may begin late; one that is not has to answer in time', async () => {
  const server = createServer((_, answer) => {
    setTimeout(() => answer.end('first\nlast'), 300);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await using fake = await FakeApiServer.start();
  const client = new ApiClient({ ...fake.access, server: `http://127.0.0.1:${port}` }, { answerMs: 100 });
  const read = async (patient: boolean): Promise<string[]> => {
    const lines: string[] = [];
    for await (const line of client.lines('/log', {}, { signal: AbortSignal.timeout(5000), patient })) lines.push(line);
    return lines;
  };
  assert.deepEqual(await read(true), ['first', 'last']);
  await assert.rejects(read(false), ApiUnreachableError);
  client.close();
  server.close();
});

test('a watch that nobody waits for any more when it begins ends at once', async () => {
  await using fake = await FakeApiServer.start();
  const client = new ApiClient(fake.access, { answerMs: 500 });
  const options = { signal: AbortSignal.abort(), timeoutSeconds: 300, silenceMs: 600_000 };
  for await (const event of client.watch(PODS, { namespace: 'default' }, '1', options)) assert.fail(event.type);
  assert.deepEqual(fake.requests, []);
  client.close();
});
