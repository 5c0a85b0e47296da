import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lackingAckers } from './assess.ts';
import { acker, record } from './view-fixture.ts';

describe('how many more of S must be sealed', () => {
  const [one, two, three] = [acker(1), acker(2), acker(3)];

  it('is what |S| − k + 1 lacks, so that of any k one is among them', () => {
    const s = record({ ackers: [one, two, three], required: 2 });
    assert.deepEqual(
      [[], [one], [one, two], [one, two, three]].map((have) => lackingAckers(s, have)),
      [2, 1, 0, 0],
    );
    assert.equal(lackingAckers(record({ ackers: [one, two], required: 1 }), [two]), 1);
  });

  it('none where S is smaller than k: nothing was acknowledged', () => {
    assert.equal(lackingAckers(record({ ackers: [one], required: 2 }), []), 0);
    assert.equal(lackingAckers(record({ ackers: [], required: 1 }), []), 0);
  });

  it('never none with no acknowledgement required: the primary alone may have it', () => {
    assert.ok(lackingAckers(record({ ackers: [one], required: 0 }), [one]) > 0);
  });

  it('counts a server that S names twice as one: before its machine restarted and after, it acknowledges once', () => {
    const again = acker(1, { bootId: 'next boot' });
    const s = record({ ackers: [two, one, three, again], required: 2 });
    assert.equal(lackingAckers(s, [two, three]), 0, 'whatever it acknowledged, one of these has acknowledged, too');
    assert.equal(lackingAckers(s, [again, three]), 1, 'what it had before is gone: 2 may be the only one to have it');
    assert.equal(lackingAckers(record({ ackers: [one, again], required: 1 }), [again]), 1);
  });
});
