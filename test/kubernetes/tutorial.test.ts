/** The tutorial's check: what it does by hand, and what it can't. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Writer, verify } from './ledger.ts';
import { Scene, onKubernetes } from './scene.ts';

test(
  'two members; a write through the primary’s name is read on mysql-1; a third member has it, too; the primary’s Pod may go',
  onKubernetes,
  async (t) => {
    const begun = performance.now();
    await using scene = await Scene.begin({ spec: { replicas: 2 } });
    t.diagnostic(`two members from apply to healthy: ${Math.round(performance.now() - begun)} ms`);
    const mysql = (pod: string, sql: string, ...options: string[]): Promise<string> =>
      scene.kubectl(['exec', pod, '-c', 'mysql', '--', 'bash', '-c', `mysql ${options.join(' ')} -BNe "${sql}"`]);
    const password = Buffer.from(
      await scene.kubectl(['get', 'secret', 'mysql-credentials', '-o', 'jsonpath={.data.applicationPassword}']),
      'base64',
    ).toString();
    const root = Buffer.from(
      await scene.kubectl(['get', 'secret', 'mysql-credentials', '-o', 'jsonpath={.data.rootPassword}']),
      'base64',
    ).toString();
    const replica = await mysql('mysql-1', 'SHOW REPLICA STATUS', '-uroot', `-p'${root}'`);
    assert.match(replica, /mysql-0\.mysql/);
    const app = ['-uapp', `-p'${password}'`];
    await mysql(
      'mysql-1',
      'CREATE DATABASE demo; CREATE TABLE demo.messages (message INT PRIMARY KEY)',
      ...app,
      '-hmysql-primary',
    );
    await mysql('mysql-1', 'INSERT INTO demo.messages VALUES (123)', ...app, '-hmysql-primary');
    await scene.until(
      async () => (await mysql('mysql-1', 'SELECT message FROM demo.messages', ...app)) === '123',
      10_000,
    );
    assert.equal(await mysql('mysql-0', 'SELECT message FROM demo.messages', ...app, '-hmysql-0.mysql'), '123');
    await scene.kubectl(['scale', 'mysqlcluster/mysql', '--replicas=3']);
    await scene.healthy(120_000);
    assert.equal(await mysql('mysql-2', 'SELECT message FROM demo.messages', ...app), '123');
    assert.equal(await mysql('mysql-1', 'SELECT message FROM demo.messages', ...app, '-hmysql-read'), '123');

    const writer = await Writer.begin(scene);
    writer.takeGap();
    await scene.kubectl(['delete', 'pod', await scene.primary(), '--wait=false']);
    await writer.writesAgain();
    await scene.healthy(120_000);
    t.diagnostic(`deleted: gap ${JSON.stringify(writer.takeGap())}`);
    await scene.kubectl(['delete', 'pod', await scene.primary(), '--force', '--grace-period=0']);
    await writer.writesAgain();
    await scene.healthy(120_000);
    t.diagnostic(`deleted by force: gap ${JSON.stringify(writer.takeGap())}`);
    await verify(scene, writer);
  },
);
