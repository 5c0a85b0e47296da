import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalEntry } from '../control/port.ts';
import type { ApiClient } from './api/client.ts';
import { Recorder, entryOf, type EventObject } from './recorder.ts';

const entry: JournalEntry = { at: '2026-01-02T03:04:05.678Z', epoch: 3, term: 2, kind: 'record', text: 'failover: x' };
const object = { metadata: { namespace: 'shop', name: 'mysql', uid: 'u', resourceVersion: '1' } };

function recorded(...entries: JournalEntry[]): EventObject[] {
  const events: EventObject[] = [];
  // The API server shows the note by its older name.
  const create = async (_: unknown, __: string, event: EventObject & { note: string }) =>
    void events.push({ ...event, message: event.note });
  const client = { create };
  const recorder = new Recorder(client as unknown as ApiClient, object);
  for (const one of entries) recorder.tell(one);
  return events;
}

test('an Event is read back as the entry of the journal that it tells of', () => {
  const entries = [entry, { ...entry, kind: 'failed', text: 'clone member 1: no room', ms: 12 }];
  assert.deepEqual(recorded(...entries).map(entryOf), entries);
});

test('what fails again and again is told once', () => {
  const failed = { ...entry, kind: 'failed', text: 'clone member 1: no room' };
  assert.equal(recorded(failed, failed, failed).length, 1);
});

test('a cluster that cannot come to rest does not drown the others', () => {
  const many = Array.from({ length: 100 }, (_, at) => ({ ...entry, text: `failover ${at}` }));
  assert.ok(recorded(...many).length <= 30);
});

test('another Event is no entry', () => {
  assert.equal(entryOf({ ...object, eventTime: '2026-01-02T03:04:05Z', message: 'Scheduled' }), null);
});
