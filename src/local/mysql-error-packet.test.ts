import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorInsteadOfGreeting } from './mysql-error-packet.ts';

test("is what mysqld 9.7 sends for 'Too many connections', byte for byte", () => {
  const seen = '17000000ff1004546f6f206d616e7920636f6e6e656374696f6e73';
  assert.equal(errorInsteadOfGreeting(1040, 'Too many connections').toString('hex'), seen);
});

test('a message is one line, whatever the reason contained', () => {
  assert.equal(errorInsteadOfGreeting(1053, 'a\r\n  b\nc\0').toString('utf8', 7), 'a b c ');
});

test('a long message is cut between characters, and the length says so', () => {
  const packet = errorInsteadOfGreeting(1053, 'é'.repeat(400));
  assert.equal(packet.toString('utf8', 7), 'é'.repeat(255));
  assert.equal(packet.readUIntLE(0, 3), 3 + 510);
  assert.equal(errorInsteadOfGreeting(1053, 'x'.repeat(511)).length, 7 + 511);
});
