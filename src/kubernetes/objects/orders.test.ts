import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_ORDERS, ordersText, parseOrders, parsePrepareReport } from './orders.ts';

const UUID = 'efff9662-c16d-43db-bedd-45fa15fd3ee7';

test('orders are read back as they were given', () => {
  const orders = {
    killStartedBefore: 1_732_431_234_567,
    rebuild: { discard: UUID, attempt: 2, errant: `${UUID}:1-3,${UUID.replace('e', 'a')}:7` },
    drop: [UUID.replace('e', 'b')],
  };
  assert.deepEqual(parseOrders(ordersText(orders)), orders);
  assert.deepEqual(parseOrders(ordersText(NO_ORDERS)), NO_ORDERS);
  assert.deepEqual(parseOrders(undefined), NO_ORDERS);
});

test('an order is a line, whatever a GTID set looks like', () => {
  const text = ordersText({ ...NO_ORDERS, rebuild: { discard: UUID, attempt: 1, errant: `${UUID}:1,\n${UUID}:3` } });
  assert.equal(text, `rebuild ${UUID} 1 ${UUID}:1,${UUID}:3\n`);
});

test('what would become a path and is no server_uuid is refused', () => {
  assert.throws(() => ordersText({ ...NO_ORDERS, drop: ['../data'] }), /expected a server_uuid/);
});

test('a report is told from any other last words', () => {
  const report = { ordinal: 1, serverUuid: UUID, bootId: 'b', asides: [UUID] };
  assert.deepEqual(parsePrepareReport(JSON.stringify(report)), report);
  for (const other of [undefined, '', 'null', '[]', '{"ordinal":1}', 'mysqld: error', '{"ordinal":1,"serverUuid":"x"}'])
    assert.equal(parsePrepareReport(other), null, other);
});
