/**
 * The histories that broke earlier drafts of the protocol, each forced on the product's own brain. w is a write that was
 * acknowledged to a client; members are numbers; S, k and floor as in docs/clustering.md.
 */
import { Stage } from './stage.ts';

export interface Scenario {
  readonly name: string;
  readonly history: string;
  /** The rule that forbids it, as one of the mutations; null where several rules forbid it. */
  readonly mutation: string | null;
  readonly play: () => Promise<void>;
}

const SECONDS = 1000;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'stale-acker-promoted',
    history:
      'n=3, k=1, S={1}; 2 out for an hour. 0 dies, 1 is promoted; 1 dies, 2 returns and suffices by count: an hour is lost',
    mutation: 'floor-forgotten',
    async play() {
      const stage = await Stage.open();
      stage.down(2);
      await stage.until('S is {1}', () => stage.S === '1');
      const w = await stage.acknowledged(stage.write());
      stage.down(0);
      await stage.until('1 is promoted', () => stage.leader === 1);
      await stage.run(3 * SECONDS);
      stage.down(1);
      stage.up(2);
      await stage.stays('2 is not promoted', () => stage.leader === 1 && !stage.isOpen(2), 15 * SECONDS);
      stage.holds('and it is said that it is lost', stage.state === 'lost');
      await stage.endsWell();
      stage.holds('w is there', stage.shows(2, w));
    },
  },
  {
    name: 'empty-disk-comes-back-as-primary',
    history:
      'all down; 0’s disk is replaced; "the recorded primary is back", empty; the others are cloned from nothing',
    mutation: 'empty-disk-is-the-primary',
    async play() {
      const stage = await Stage.open();
      const w = await stage.acknowledged(stage.write());
      for (const ordinal of [0, 1, 2]) stage.down(ordinal);
      stage.loseDisk(0);
      stage.up(0);
      await stage.run(5 * SECONDS);
      stage.holds('nothing is opened', !stage.isOpen(0));
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'cloned-acker-still-counts',
    history: 'S={1,2}; w on {0,1}; 1 is cloned from 2, which lacks w, while in S; 0 dies',
    mutation: 'cloned-in-S',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 2);
      const w = await stage.acknowledged(stage.write());
      stage.note('somebody writes on 1');
      stage.server(1).writeErrant();
      const before = stage.data(1);
      await stage.stays(
        '1 is not rebuilt in S',
        () => stage.S !== '1,2' || stage.member(1).data === before,
        6 * SECONDS,
      );
      stage.loseDisk(0);
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'page-cache-acker',
    history: '1’s machine restarts without powerLoss, w goes; 0 dies; 1 counts',
    mutation: 'page-cache-acker',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 2);
      stage.server(1).applier.applyMs = 60 * SECONDS;
      const w = await stage.acknowledged(stage.write());
      // At the same moment, so that no brain sees the one without the other.
      stage.down(0);
      stage.powerCycle(1);
      await stage.stays('nobody is promoted', () => stage.leader === 0, 10 * SECONDS);
      await stage.endsWell();
      stage.holds('w is there', stage.shows(2, w));
    },
  },
  {
    name: 'paused-brain-records',
    history:
      'A seals, reads, pauses; B takes over, 0 lives, receivers restart, w acked by 2; A’s compare-and-swap succeeds; B finishes from the record: 1 lacks w',
    mutation: 'term-not-written-first',
    async play() {
      const stage = await Stage.open();
      const { faults } = stage.world.shelf;
      const held: (() => void)[] = [];
      stage.freeze(0);
      faults.lost = 1;
      faults.land = 'late';
      faults.held = held;
      await stage.until('A writes the record', () => held.length === 1);
      const chosen = /member (\d) has every write/.exec(stage.timeline)?.[1] ?? '1';
      stage.world.livingBrains[0]?.process.freeze();
      stage.thaw(0);
      stage.brainStarts();
      const both = (): boolean => stage.follows(1) && stage.follows(2);
      await stage.until('B tends 0', () => both() && stage.isOpen(0) && stage.server(0).waiting === 0);
      await stage.run(300);
      // Whoever A has chosen lacks w.
      stage.cut(0, 1);
      const w = await stage.acknowledged(stage.write(0));
      stage.note(`A's swap, which chooses ${chosen}, lands`);
      for (const land of held) land();
      await stage.run(8 * SECONDS);
      await stage.endsWell();
      stage.holds('w is there', stage.shows(1, w));
    },
  },
  {
    name: 'known-down-skips-counting',
    history: 'w on {0,1}; 0 known dead, 1 unreachable, 2 sealed and promoted',
    mutation: 'known-down-skips-counting',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 2);
      const w = await stage.acknowledged(stage.write());
      stage.isolate(1);
      stage.down(0);
      await stage.stays('2 is not promoted', () => stage.leader === 0, 10 * SECONDS);
      await stage.endsWell();
      stage.holds('w is there', stage.shows(2, w));
    },
  },
  {
    name: 'barrier-missing',
    history:
      'S={1,2}: 1’s ack has reached 0; 1 is cut off; gtid_executed is read before w’s thread commits; S={2} recorded; w told OK on {0,1}; 0 dies',
    mutation: 'barrier-missing',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 1);
      stage.server(0).commitMs = 3 * SECONDS;
      const w = stage.write();
      await stage.until('2 has w', () => stage.has(2, w));
      await stage.run(5);
      stage.cut(0, 2);
      stage.cutBrain(2);
      // Whoever leaves S now, w is told OK only when those who stay have it.
      await stage.run(10 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'late-login-survives-the-cut',
    history: 'a connection of 1 that logged in before LOCK and has no dump thread yet survives the KILL and acks',
    mutation: 'who-logs-in-is-overlooked',
    async play() {
      const stage = await Stage.open();
      stage.cutBrain(2);
      await stage.run(400);
      stage.note(
        'logins at 0 take their time: 2 has passed the check of its account, and is not yet shown as that user',
      );
      stage.server(0).loginMs = 900;
      stage.resetReplica(0, 2);
      await stage.run(50);
      stage.world.ask({ replicas: 2 });
      await stage.until('2 has left S', () => stage.S === '1');
      stage.cut(0, 1);
      for (let i = 0; i < 200; i++) {
        stage.write(0);
        await stage.run(10);
      }
      await stage.endsWell();
    },
  },
  {
    name: 'two-things-in-one-record',
    history: '5→3: S and k changed together: both orders lose',
    mutation: 'two-things-in-one-record',
    async play() {
      const stage = await Stage.open({ members: 5 });
      stage.cut(0, 1);
      stage.cut(0, 2);
      await stage.acknowledged(stage.write());
      const writes = Array.from({ length: 40 }, () => stage.write());
      stage.world.ask({ replicas: 3 });
      for (let i = 0; i < 200; i++) {
        await stage.run(20);
        writes.push(stage.write());
      }
      await stage.endsWell();
    },
  },
  {
    name: 'acker-outside-S',
    history:
      'the brain can’t see 2, whose receiver follows 0 with acking on; switchover 0→1→0 leaves S={1}; w acked by 2 alone; 0 dies',
    mutation: 'S-of-those-seen',
    async play() {
      const stage = await Stage.open();
      stage.cutBrain(2);
      await stage.run(500);
      stage.switchover(1);
      await stage.until('1 leads', () => stage.leader === 1 && stage.state === 'degraded');
      stage.switchover(0);
      await stage.until('0 leads', () => stage.leader === 0 && stage.state === 'degraded');
      stage.cut(0, 1);
      const w = stage.write();
      await stage.run(2 * SECONDS);
      stage.loseDisk(0);
      await stage.endsWell();
      stage.holds('w is there if it was acknowledged', w.told !== 'ok' || stage.shows(1, w));
    },
  },
  {
    name: 'healthy-acker-called-errant',
    history: 'n=4, k=2: 1 has applied t, 0 waits for a second ack: t is not in 0’s gtid_executed; 1 is rebuilt',
    mutation: null,
    async play() {
      const stage = await Stage.open({ members: 4 });
      stage.cut(0, 2);
      stage.cut(0, 3);
      const t = stage.write();
      await stage.until('1 has applied t', () => stage.shows(1, t));
      const before = stage.data(1);
      await stage.stays('1 is not rebuilt', () => stage.member(1).data === before, 8 * SECONDS);
      await stage.endsWell();
      stage.holds('1 kept its data', stage.data(1) === before);
    },
  },
  {
    name: 'late-open',
    history: '(e+1, 1) recorded; opening 1 times out and is "undone"; the SET lands late: two primaries',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      stage.down(0);
      await stage.noted('act open');
      const late = stage.leader ?? 0;
      stage.freeze(late);
      await stage
        .until('another leads', () => stage.leader !== late && stage.state === 'degraded', 60 * SECONDS)
        .catch(async () => undefined);
      stage.thaw(late);
      const t = stage.write(late);
      await stage.run(5 * SECONDS);
      await stage.endsWell();
      stage.holds('t was acknowledged only if it stays', t.told !== 'ok' || stage.shows(late, t));
    },
  },
  {
    name: 'mode-as-a-way-out',
    history: '`lost` in quorum; the user sets asynchronous; 2 without w is promoted',
    mutation: 'asynchronous-mode-as-a-way-out',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 2);
      const w = await stage.acknowledged(stage.write());
      stage.down(1);
      stage.down(0);
      await stage.until('lost', () => stage.state === 'lost');
      stage.world.ask({ mode: 'asynchronous' });
      await stage.stays('2 is not promoted', () => stage.leader === 0, 15 * SECONDS);
      stage.world.ask({ mode: 'quorum' });
      await stage.endsWell();
      stage.holds('w is there', stage.shows(2, w));
    },
  },
  {
    name: 'isolated-async-primary',
    history: 'k=0: the brain and 1 can’t reach 0, clients can; 1 is promoted; 0 says OK for ever',
    mutation: 'living-asynchronous-primary-replaced',
    async play() {
      const stage = await Stage.open({ members: 2, mode: 'asynchronous' });
      stage.isolate(0);
      for (let i = 0; i < 40; i++) {
        const w = stage.write(0);
        await stage.run(250);
        stage.holds('0 says OK, so nobody else leads', w.told !== 'ok' || stage.leader === 0);
      }
      await stage.endsWell();
    },
  },
  {
    name: 'reopened-too-soon',
    history: 'r waits on 0; kill -9; restart shows r; a client reads it; 0 is lost for good; 1 lacks r',
    mutation: 'reopened-too-soon',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 1);
      stage.cut(0, 2);
      const r = stage.write();
      await stage.until('r waits', () => stage.has(0, r));
      // So that it is opened in place, and not another chosen.
      stage.cutBrain(1);
      stage.cutBrain(2);
      stage.kill(0);
      await stage.until('0 shows r', () => stage.member(0).server?.listening === true && stage.shows(0, r));
      await stage.stays('0 stays closed', () => !stage.isOpen(0), 8 * SECONDS);
      stage.loseDisk(0);
      await stage.endsWell();
    },
  },
  {
    name: 're-armed-by-belief',
    history: 'status OFF, an asynchronously received barrier lets k=1 be recorded',
    mutation: 'status-off-is-ignored',
    async play() {
      const stage = await Stage.open({ members: 2 });
      const life = stage.server(0);
      stage.note('somebody sets the timeout to 1 ms, and a write runs into it');
      life.timeoutMs = 1;
      stage.cut(0, 1);
      stage.write();
      await stage.until('status is OFF', () => !life.source.active);
      stage.heal(0, 1);
      await stage.until('0 was closed first', () => stage.member(0).server !== life, 10 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'record-rolled-back',
    history: 'the store is restored: (e, 0) while 1 leads e+1; 0 is opened, 1’s rows called errant',
    mutation: 'older-record-believed',
    async play() {
      const stage = await Stage.open();
      stage.switchover(1);
      await stage.until('1 leads', () => stage.leader === 1 && stage.state === 'healthy');
      const w = await stage.acknowledged(stage.write());
      stage.note('an old copy of the record is brought back');
      stage.brainDies();
      const bringBack = stage.world.shelf.rollBack();
      stage.brainStarts();
      await stage.stays('nothing is touched', () => stage.isOpen(1) && !stage.isOpen(0), 8 * SECONDS);
      stage.holds('and it is said that it is lost', stage.state === 'lost');
      stage.brainDies();
      bringBack?.();
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'sigterm-says-ok',
    history: 'a deposed primary with waiters gets SIGTERM: its clients get OK',
    mutation: 'sigterm-says-ok',
    async play() {
      const stage = await Stage.open();
      stage.isolate(0);
      const t = stage.write(0);
      await stage.until('another leads', () => stage.leader !== 0 && stage.state === 'degraded', 60 * SECONDS);
      stage.unite(0);
      await stage.until('its client hears something', () => t.told !== null, 60 * SECONDS);
      stage.holds('it is no OK', t.told === 'lost');
      await stage.endsWell();
    },
  },
  {
    name: 'lost-ack-hangs',
    history:
      'an ack is lost with its connection; the replica reattaches and has nothing new to ack; the commit waits for ever on a quiet cluster',
    mutation: 'lost-ack-waits-for-ever',
    async play() {
      const stage = await Stage.open();
      stage.cut(1, 0, true);
      stage.cut(2, 0, true);
      const w = stage.write();
      await stage.until('both have w', () => stage.has(1, w) && stage.has(2, w));
      stage.resetReplica(0, 1);
      stage.resetReplica(0, 2);
      stage.heal(0, 1);
      stage.heal(0, 2);
      await stage.until('w is acknowledged all the same', () => w.told === 'ok', 6 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'relay-log-dropped',
    history: 'an acker restarts with relay_log_recovery=ON between its ack and the failover',
    mutation: 'relay-log-dropped',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 2);
      stage.server(1).applier.applyMs = 60 * SECONDS;
      const w = await stage.acknowledged(stage.write());
      stage.down(0);
      stage.kill(1);
      stage.loseDisk(0);
      await stage.run(10 * SECONDS);
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'reset-before-applied',
    history: 'CHANGE REPLICATION SOURCE with both threads stopped, on an acker with unapplied rows',
    mutation: 'reset-before-applied',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 2);
      stage.server(1).applier.applyMs = 3 * SECONDS;
      const w = await stage.acknowledged(stage.write());
      for (let i = 0; i < 5; i++) await stage.acknowledged(stage.write());
      stage.loseDisk(0);
      await stage.run(10 * SECONDS);
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'late-swap',
    history:
      'n=3: switchover 0→1, 0 read-only; the swap gets no answer, a re-read shows the old record, so 0 writes again; the swap lands: the record names 1; t acked by 2; 1 lacks t',
    mutation: 'lost-swap-taken-for-a-failure',
    async play() {
      const stage = await Stage.open();
      const { faults } = stage.world.shelf;
      stage.switchover(1);
      const held: (() => void)[] = [];
      await stage.noted('act close');
      faults.lost = 5;
      faults.land = 'late';
      faults.held = held;
      await stage.until('0 writes again', () => held.length > 0 && stage.isOpen(0), 30 * SECONDS);
      faults.lost = 0;
      stage.cut(0, 1);
      stage.cut(1, 2);
      const t = stage.write(0);
      await stage.run(500);
      stage.note('the swaps land');
      for (const land of held) land();
      await stage.run(8 * SECONDS);
      await stage.endsWell();
      stage.holds('t is there if it was acknowledged', t.told !== 'ok' || stage.shows(1, t));
    },
  },
  {
    name: 'acker-outside-S-by-promotion',
    history:
      'a receiver that nobody sees still follows the new primary’s address, acking; t acked by it; another chosen',
    mutation: 'opened-with-everybody-unlocked',
    async play() {
      const stage = await Stage.open({ members: 5 });
      // 4 follows 0 for ever, unseen; 0 is deposed, and made the primary again, with S={1,2,3}.
      stage.cutBrain(4);
      await stage.run(500);
      stage.down(0);
      await stage.until('another leads', () => stage.leader !== 0 && stage.state === 'degraded');
      stage.up(0);
      await stage.until('0 follows', () => stage.S.includes('0') && stage.follows(0));
      const others = [1, 2, 3].filter((ordinal) => ordinal !== stage.leader);
      stage.switchover(0);
      await stage.until('0 is chosen', () => stage.leader === 0);
      for (const ordinal of others)
        for (const source of [0, 1, 2, 3]) if (source !== ordinal) stage.cut(source, ordinal);
      await stage.until('0 is open', () => stage.isOpen(0));
      stage.write(0);
      await stage.run(5 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'restart-between-acks-and-open',
    history:
      'k set on 1; 1 is killed and restarts closed with acking off; the brain’s open lands (late): t OK on 1 alone',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      stage.down(0);
      await stage.noted('act open');
      const opened = stage.leader ?? 0;
      stage.freeze(opened);
      await stage.run(1);
      stage.kill(opened);
      await stage.until('it is up', () => stage.member(opened).server?.listening === true);
      const t = stage.write(opened);
      await stage.run(5 * SECONDS);
      await stage.endsWell();
      stage.holds('t was acknowledged only if it stays', t.told !== 'ok' || stage.shows(0, t));
    },
  },
  {
    name: 'remembered-acks',
    history:
      'n=4, k=2: t waits on 0 with one ack, of 1; 1 loses its disk; failover away and back to 0, never killed; k lowered to 1: the old ack releases t, which no member of S has',
    mutation: 'former-primary-lives-on',
    async play() {
      const stage = await Stage.open({ members: 4, platform: 'machines' });
      stage.cut(0, 2);
      stage.cut(0, 3);
      const t = stage.write(0);
      await stage.until('1 has t', () => stage.has(1, t));
      stage.isolate(0);
      stage.loseDisk(1);
      await stage.until('another leads', () => stage.leader !== 0, 60 * SECONDS);
      stage.unite(0);
      await stage.until('the waiting client of 0 hears something', () => t.told !== null, 60 * SECONDS);
      stage.holds('it is no OK', t.told === 'lost');
      await stage.endsWell();
    },
  },
  {
    name: 'read-goes-back',
    history:
      'a late open lands on 1, t waits there, kill -9: t shows; the promotion is repeated and opens at once; a client reads t; failover: t gone',
    mutation: 'reopened-too-soon',
    async play() {
      const stage = await Stage.open();
      stage.down(0);
      await stage.until('another leads', () => stage.leader !== 0 && stage.state === 'degraded');
      const leader = stage.leader ?? 0;
      const other = leader === 1 ? 2 : 1;
      stage.cut(leader, other);
      const t = stage.write(leader);
      await stage.until('t waits', () => stage.has(leader, t));
      stage.cutBrain(other);
      stage.kill(leader);
      await stage.until('t shows', () => stage.member(leader).server?.listening === true && stage.shows(leader, t));
      await stage.stays('nobody may read it', () => !stage.isOpen(leader), 8 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'number-used-twice',
    history:
      't = 0:57 waits, received by 2 alone, which is cut off; 0 deposed, rebuilt, primary again: another transaction becomes 0:57; 2 comes back and looks complete',
    mutation: 'number-used-twice',
    async play() {
      const stage = await Stage.open({ members: 4 });
      stage.cut(0, 1);
      stage.cut(0, 3);
      const t = stage.write(0);
      await stage.until('2 has t', () => stage.has(2, t));
      stage.isolate(2);
      stage.isolate(0);
      await stage.until('another leads', () => stage.leader !== 0 && stage.state !== 'failing-over', 60 * SECONDS);
      for (const ordinal of [1, 3]) stage.heal(0, ordinal);
      stage.healBrain(0);
      await stage.until('0 is rebuilt and follows', () => !stage.has(0, t) && stage.follows(0), 90 * SECONDS);
      await stage.until('0 is admitted', () => stage.S.includes('0') && stage.member(0).asides.length === 0);
      stage.switchover(0);
      await stage.until('0 leads again', () => stage.leader === 0 && stage.isOpen(0) && stage.state !== 'failing-over');
      for (let i = 0; i < 5; i++) await stage.acknowledged(stage.write(0));
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-empty-acker',
    history:
      '2 recorded, not yet opened, S={1}; 1’s disk is replaced: opening waits for 1, 1’s clone waits for a writable primary',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      await stage.acknowledged(stage.write());
      stage.down(0);
      await stage.noted('record failover');
      stage.brainDies();
      stage.loseDisk(stage.leader === 1 ? 2 : 1);
      stage.brainStarts();
      await stage.until(
        'it writes without 0',
        () => stage.state === 'degraded' && stage.isOpen(stage.leader ?? 0),
        60 * SECONDS,
      );
      await stage.acknowledged(stage.write());
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-own-row',
    history:
      '2 opened, its first row written, kill -9: it shows more than the floor; S={1, gone}; 1 anew is empty and purged',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      await stage.acknowledged(stage.write());
      stage.purgeAll();
      stage.down(0);
      await stage.noted('act write-epoch');
      const leader = stage.leader ?? 0;
      const other = leader === 1 ? 2 : 1;
      stage.cut(leader, other);
      await stage.run(20);
      stage.loseDisk(other);
      stage.kill(leader);
      stage.heal(leader, other);
      await stage.until(
        'it writes without 0',
        () => stage.state === 'degraded' && stage.isOpen(stage.leader ?? 0),
        90 * SECONDS,
      );
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-empty-in-S',
    history: 'S={1 gone, 1 anew} with 1 anew empty: it can’t be cloned in S and can’t leave',
    mutation: 'empty-member-in-S',
    async play() {
      const stage = await Stage.open();
      await stage.acknowledged(stage.write());
      stage.purgeAll();
      stage.down(2);
      await stage.until('S is {1}', () => stage.S === '1');
      stage.loseDisk(1);
      await stage.until(
        '1 anew is filled, and writes go on',
        () => stage.shows(1, { row: 1 }) && stage.state === 'degraded',
        60 * SECONDS,
      );
      await stage.acknowledged(stage.write());
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-floor-too-high',
    history:
      'a deposed member with an unacknowledged row is chosen, the floor holds that row, its disk is lost: `lost` for ever, though nothing acknowledged is',
    mutation: 'candidates-own-rows-in-the-floor',
    async play() {
      const stage = await Stage.open();
      await stage.acknowledged(stage.write());
      stage.down(2);
      await stage.until('S is {1}', () => stage.S === '1');
      stage.cut(0, 1);
      const t = stage.write(0);
      await stage.until('t waits', () => stage.has(0, t));
      stage.down(0);
      await stage.until('1 leads, alone', () => stage.leader === 1 && stage.S === '');
      stage.down(1);
      stage.up(0);
      await stage.until('0 is chosen', () => stage.leader === 0, 30 * SECONDS);
      stage.loseDisk(0);
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-judged-by-barrier',
    history:
      'the only acker is out; the others are ahead of gtid_executed, look errant, a barrier can’t pass, nobody can be added',
    mutation: 'healthy-acker-called-errant',
    async play() {
      const stage = await Stage.open();
      stage.cut(1, 0, true);
      stage.cut(2, 0, true);
      const t = stage.write();
      await stage.until('both have applied t', () => stage.shows(1, t) && stage.shows(2, t));
      const before = stage.data(2);
      stage.resetReplica(0, 1);
      stage.resetReplica(0, 2);
      stage.down(1);
      stage.heal(0, 2);
      await stage.until('t is acknowledged', () => t.told === 'ok', 15 * SECONDS);
      await stage.endsWell();
      stage.holds('2 kept its data', stage.data(2) === before);
    },
  },
  {
    name: 'wedge-clone-from-blocked',
    history:
      'the only acker is gone for good, a commit waits; the new member needs a clone, which hangs until the commit is acknowledged',
    mutation: 'blocked-donor-is-left-alone',
    async play() {
      const stage = await Stage.open();
      await stage.acknowledged(stage.write());
      stage.purgeAll();
      stage.down(2);
      await stage.until('S is {1}', () => stage.S === '1');
      stage.cut(0, 1);
      const t = stage.write();
      await stage.until('t waits', () => stage.has(0, t));
      stage.loseDisk(1);
      stage.heal(0, 1);
      await stage.until('writes go on', () => stage.state === 'degraded' && stage.follows(1), 60 * SECONDS);
      await stage.acknowledged(stage.write());
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-account-statement',
    history:
      'k=1: a client’s CREATE USER waits; the only attached acker’s connection breaks; nobody can log in any more: it never comes back',
    mutation: 'stuck-is-left-alone',
    async play() {
      const stage = await Stage.open();
      stage.down(2);
      await stage.until('S is {1}', () => stage.S === '1');
      stage.cut(0, 1);
      stage.write(0, 'CREATE USER somebody');
      await stage.until('nobody can log in', () => stage.server(0).holdsAcl);
      await stage.run(1500);
      stage.heal(0, 1);
      await stage.until('writes go on', () => stage.state === 'degraded' && !stage.server(0).holdsAcl, 60 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-full-acker',
    history:
      'k=1: the disk of the only attached acker is full; it stays attached, and acknowledges nothing; a CREATE USER waits for it, and keeps out the one that could',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      stage.down(2);
      await stage.until('S is {1}', () => stage.S === '1');
      stage.fillDisk(1);
      stage.write(0, 'CREATE USER somebody');
      await stage.until('nobody can log in', () => stage.server(0).holdsAcl);
      stage.up(2);
      await stage.until('writes go on', () => stage.state === 'degraded' && !stage.server(0).holdsAcl, 15 * SECONDS);
      await stage.acknowledged(stage.write());
      stage.makeRoom(1);
      await stage.endsWell();
    },
  },
  {
    name: 'full-disk-outlives-itself',
    history:
      'the disk of a replica was full and has room again, for which MySQL looks once a minute: until then it is attached, and gets nothing',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      stage.fillDisk(2);
      await stage.acknowledged(stage.write());
      await stage.until('S is {1}', () => stage.S === '1');
      const w = await stage.acknowledged(stage.write());
      stage.makeRoom(2);
      await stage.until('2 has it', () => stage.shows(2, w), 15 * SECONDS);
      stage.fillDisk(2);
      await stage.acknowledged(stage.write());
      stage.down(1);
      stage.down(0);
      stage.makeRoom(2);
      stage.up(1);
      await stage.until('a failover is not held up', () => stage.record.epoch === 2, 15 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'full-disk-of-the-only-one',
    history:
      'adaptive, n=2, and 1 is gone, so k=0: the disk of 0 was full and has room again, for which MySQL looks once a minute; nobody takes over',
    mutation: 'room-again-is-not-noticed',
    async play() {
      const stage = await Stage.open({ members: 2 });
      stage.down(1);
      await stage.until('k is 0', () => stage.record.required === 0);
      await stage.acknowledged(stage.write());
      stage.fillDisk(0);
      stage.write();
      await stage.run(3 * SECONDS);
      stage.makeRoom(0);
      await stage.until(
        'writes go on',
        () => stage.state === 'degraded' && stage.world.member(0).server?.waitsForRoom === 0,
        10 * SECONDS,
      );
      await stage.acknowledged(stage.write());
      await stage.endsWell();
    },
  },
  {
    name: 'full-disk-of-the-primary',
    history: 'k=1: the disk of 0 is full for good; 1 and 2 could take over',
    mutation: 'full-primary-goes-on',
    async play() {
      const stage = await Stage.open();
      stage.fillDisk(0);
      stage.write();
      await stage.until('another takes over', () => stage.leader !== 0 && stage.state === 'degraded', 10 * SECONDS);
      await stage.acknowledged(stage.write());
      stage.makeRoom(0);
      await stage.endsWell();
    },
  },
  {
    name: 'page-cache-after-a-switchover',
    history:
      'n=3, k=1, powerLoss: switchovers 0→1→2, 0 is cut off, the brain dies; w is acked by 1, which as a primary was told that receipts need not be on its disk; its machine loses its power, 2 its disk',
    mutation: 'sync-set-back-on-a-primary',
    async play() {
      const stage = await Stage.open({ powerLoss: true });
      stage.switchover(1);
      await stage.run(3000);
      stage.switchover(2);
      await stage.noted('act write-epoch');
      stage.cut(2, 0);
      stage.brainDies();
      stage.server(1).applier.applyMs = 60 * SECONDS;
      const w = await stage.acknowledged(stage.write(2));
      stage.powerCycle(1);
      stage.loseDisk(2);
      stage.heal(2, 0);
      stage.brainStarts();
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'wedge-lock-held',
    history:
      'n=3, k=1: the disk of 2 is full, 0 dies, 2 is being sealed, which hangs, and the brain dies: KILL doesn’t end that, and the next brain can’t take the lock of 2',
    mutation: 'held-lock-is-left-alone',
    async play() {
      const stage = await Stage.open();
      stage.fillDisk(2);
      await stage.acknowledged(stage.write());
      stage.down(0);
      await stage.noted('act seal member 2');
      await stage.run(10);
      stage.brainDies();
      stage.brainStarts();
      await stage.until('another takes over', () => stage.record.epoch === 2, 15 * SECONDS);
      stage.makeRoom(2);
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-lock-waits',
    history:
      'the brain’s own barrier waits for an ack in the session that holds the lock; it dies; the next brain can never take the lock, nor lower k',
    mutation: 'waits-in-the-lock-session',
    async play() {
      const stage = await Stage.open({ members: 2 });
      stage.down(1);
      await stage.until('k is 0', () => stage.record.required === 0);
      stage.note('acks of 1 take their time');
      stage.world.network.slow(1, 0, 300);
      stage.up(1);
      await stage.noted('act barrier');
      stage.cut(0, 1);
      stage.brainDies();
      stage.down(1);
      stage.brainStarts();
      await stage.until('writes go on', () => stage.record.required === 0 && stage.state === 'degraded', 30 * SECONDS);
      await stage.acknowledged(stage.write());
      await stage.endsWell();
    },
  },
  {
    name: 'broken-applier-acks',
    history:
      '1’s applier stopped with an error, 1 acks on; 0 dies; 1 is the candidate, is repointed, and its relay log purged',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      stage.data(1).applierFault = true;
      stage.cut(0, 2);
      const w = await stage.acknowledged(stage.write());
      stage.loseDisk(0);
      await stage.run(10 * SECONDS);
      stage.data(1).applierFault = false;
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'three-acks-of-two',
    history:
      'n=6, k=3, an old version: A has acked 1, B 2, C 3: 2 is released though A lacks it; 3 other sealed members suffice by count',
    mutation: 'three-acks-of-two',
    async play() {
      const stage = await Stage.open({ members: 6, version: '8.4.6' });
      stage.holds('k is 2', stage.record.required === 2);
      await stage.acknowledged(stage.write());
      for (const ordinal of [3, 4, 5]) stage.cut(0, ordinal);
      for (let i = 0; i < 5; i++) await stage.acknowledged(stage.write());
      await stage.endsWell();
    },
  },
  {
    name: 'record-missing',
    history:
      'the store is emptied while two of three members are up; the brain starts from the highest epoch that it sees; the third led a higher one',
    mutation: 'record-guessed',
    async play() {
      const stage = await Stage.open();
      stage.down(0);
      await stage.until('another leads', () => stage.leader !== 0 && stage.state === 'degraded');
      const led = stage.leader ?? 0;
      const w = await stage.acknowledged(stage.write());
      stage.note('the store is emptied');
      stage.brainDies();
      stage.down(led);
      stage.up(0);
      stage.world.shelf.lose();
      stage.brainStarts();
      await stage.stays('nobody is opened', () => !stage.isOpen(0) && !stage.isOpen(led === 1 ? 2 : 1), 15 * SECONDS);
      stage.holds('and it is said that it is lost', stage.state === 'lost');
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'too-many-is-not-down',
    history:
      'clients use up all connections; the brain can’t log in, and one replica is out: failover of a healthy primary',
    mutation: 'refused-read-as-down',
    async play() {
      const stage = await Stage.open();
      const { epoch } = stage.record;
      stage.down(2);
      await stage.until('S is {1}', () => stage.S === '1');
      stage.note('0 refuses everybody');
      stage.server(0).refusesAll = true;
      for (const session of stage.server(0).sessions.values()) if (session.isController) session.kill();
      stage.resetReplica(0, 1);
      await stage.stays('0 is not given up', () => stage.record.epoch === epoch, 15 * SECONDS);
      stage.server(0).refusesAll = false;
      await stage.endsWell();
      stage.holds('it is the same epoch', stage.record.epoch === epoch);
    },
  },
  {
    name: 'rebuild-spends-the-promise',
    history:
      'w on {0,1}; 0 dies, 1 is opened, 2 hasn’t fetched w yet; 0 comes back with an errant row, its data is wiped for the rebuild; 1’s disk dies: one failure, w is gone',
    mutation: 'old-data-dropped-at-once',
    async play() {
      const stage = await Stage.open();
      stage.cut(0, 2);
      const w = await stage.acknowledged(stage.write());
      stage.down(0);
      stage.cut(1, 2);
      await stage.until('1 leads', () => stage.leader === 1 && stage.isOpen(1));
      stage.note('somebody had written on 0');
      const errant = {
        uuid: stage.data(0).serverUuid,
        number: stage.data(0).lastNumber + 1,
        writtenAtMs: 0,
        content: { kind: 'account' as const },
        receivedBy: new Set<string>(),
      };
      stage.data(0).append(errant);
      const old = stage.data(0);
      stage.up(0);
      await stage.until('0 is being rebuilt', () => stage.member(0).data !== old, 30 * SECONDS);
      stage.holds(
        'its old data, with w, is kept',
        stage.member(0).asides.some(({ data }) => data === old) &&
          [...old.contents()].some(({ content }) => content.kind === 'row' && content.id === w.row),
      );
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'wedge-errant-while-closed',
    history:
      '1 wrote its epoch’s row, unacknowledged; failover to 0, which crashes and shows its own row; 2 is gone for good: 1 is errant and can’t be rebuilt, 0 waits for an acker',
    mutation: 'errant-waits-for-an-open-primary',
    async play() {
      const stage = await Stage.open();
      await stage.acknowledged(stage.write());
      stage.purgeAll();
      stage.cut(1, 2);
      stage.down(0);
      await stage.until('another leads, its row waits', () => stage.leader !== 0 && stage.isOpen(stage.leader ?? 0));
      const first = stage.leader ?? 0;
      const gone = first === 1 ? 2 : 1;
      await stage.run(200);
      stage.down(first);
      stage.cut(0, first);
      stage.cut(0, gone);
      stage.up(0);
      await stage
        .until('a third one', () => stage.leader !== first && stage.isOpen(stage.leader ?? 0), 60 * SECONDS)
        .catch(async () => undefined);
      await stage.run(1000);
      stage.loseDisk(gone);
      stage.down(gone);
      stage.heal(0, first);
      stage.up(first);
      await stage.run(20 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-three-ways',
    history:
      'three failovers, each new primary leaves its first row unacknowledged; all three come back, each with a row of its own above the same floor',
    mutation: 'errant-waits-for-an-open-primary',
    async play() {
      const stage = await Stage.open();
      await stage.acknowledged(stage.write());
      stage.purgeAll();
      stage.cut(0, 1);
      stage.cut(0, 2);
      stage.cut(1, 2);
      stage.write(0);
      await stage.run(100);
      stage.down(0);
      await stage.until('a second one', () => stage.leader !== 0 && stage.isOpen(stage.leader ?? 0));
      const second = stage.leader ?? 0;
      await stage.run(200);
      stage.down(second);
      await stage.until(
        'a third one',
        () => ![0, second].includes(stage.leader ?? 0) && stage.isOpen(stage.leader ?? 0),
        60 * SECONDS,
      );
      await stage.run(200);
      stage.down(stage.leader ?? 0);
      await stage.endsWell();
    },
  },

  // ── Found by random histories ───────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'wedge-shortened-timeout',
    history: 'somebody shortens the time that a commit waits just when a new primary is prepared: it is never opened',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      const w = await stage.acknowledged(stage.write());
      stage.down(0);
      await stage.noted('done prepare');
      stage.server(stage.leader ?? 0).timeoutMs = 1;
      await stage.endsWell();
      stage.holds('w is there', stage.shows(0, w));
    },
  },
  {
    name: 'wedge-given-up-while-k-is-raised',
    history:
      'adaptive, n=2, k=0: 0 waits for 1 again, which is to be proven by a barrier; somebody shortens the time that a commit waits, and it waits no more: barrier after barrier proves nothing, for ever',
    mutation: null,
    async play() {
      const stage = await Stage.open({ members: 2 });
      stage.down(1);
      await stage.until('0 waits for none', () => !stage.server(0).source.enabled);
      stage.up(1);
      await stage.until('0 waits for one', () => stage.server(0).source.enabled);
      stage.server(0).timeoutMs = 1;
      stage.note('acks of 1 take their time');
      stage.world.network.slow(1, 0, 20);
      stage.write();
      await stage.until('status is OFF', () => !stage.server(0).source.active);
      stage.world.network.slow(1, 0, 0);
      await stage.until('k is 1', () => stage.record.required === 1);
      await stage.endsWell();
    },
  },
  {
    name: 'seen-before-the-pause',
    history:
      'adaptive, n=2, k=1: 1 is just recorded as the primary; the brain looks, and pauses; 1 loses its disk; the brain goes on with what it saw, and lowers k to 0 for a primary that is no more',
    mutation: 'decided-on-what-is-long-past',
    async play() {
      const stage = await Stage.open({ members: 2 });
      const w = await stage.acknowledged(stage.write());
      const [brain] = stage.world.livingBrains;
      stage.switchover(1);
      await stage.noted('act turn');
      stage.note('answers take a while');
      stage.world.network.slow(1, brain?.process.place ?? 0, 100);
      await stage.run(20);
      stage.note('the brain pauses');
      brain?.process.freeze();
      stage.loseDisk(1);
      await stage.run(8 * SECONDS);
      stage.note('the brain goes on');
      brain?.process.thaw();
      await stage.run(5 * SECONDS);
      stage.holds('0 takes over', stage.leader === 0);
      await stage.endsWell();
      stage.holds('w is there', stage.shows(1, w));
    },
  },
  {
    name: 'record-missing-with-a-leaver',
    history: 'the store is emptied while the only member that has everything is about to leave: nobody is to lead',
    mutation: null,
    async play() {
      const stage = await Stage.open();
      stage.switchover(2);
      await stage.until('2 leads', () => stage.leader === 2 && stage.state === 'healthy');
      for (const ordinal of [0, 1]) stage.cut(2, ordinal);
      stage.write();
      await stage.until('2 alone has it', () => stage.server(2).waiting > 0);
      stage.note('the store is emptied, and somebody asks for two');
      stage.brainDies();
      stage.kill(2);
      stage.world.ask({ replicas: 2 });
      stage.world.shelf.lose();
      stage.brainStarts();
      await stage.endsWell();
      stage.holds('2 has handed over', stage.leader !== 2);
    },
  },
  {
    name: 'wedge-told-in-vain',
    history:
      'adaptive, n=2: a CREATE USER waits, and 1 is gone; k is lowered in the record, but telling 0 waits behind the statement; that session is given up, and nobody can log in any more',
    mutation: 'told-in-vain-is-left-alone',
    async play() {
      const stage = await Stage.open({ members: 2 });
      await stage.acknowledged(stage.write());
      stage.down(1);
      stage.write(0, 'CREATE USER somebody');
      await stage.until('k is 0', () => stage.record.required === 0);
      await stage.run(2500);
      stage.note('the brain dies, if it is not too late');
      stage.brainDies();
      stage.brainStarts();
      await stage.until('writes go on', () => stage.state === 'degraded' && stage.isOpen(0), 30 * SECONDS);
      await stage.acknowledged(stage.write());
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-told-in-vain-behind-a-lock-out',
    history:
      'adaptive, n=4, k=2: a CREATE USER waits, 1 is gone, and locking 1 out waits behind the statement; 2 can’t be seen, so k is lowered in the record, but 0 can’t be told; 3 hears 0 all the time',
    mutation: 'told-in-vain-is-left-alone',
    async play() {
      const stage = await Stage.open({ members: 4, mode: 'adaptive' });
      await stage.acknowledged(stage.write());
      stage.cut(0, 2);
      stage.down(1);
      stage.write(0, 'CREATE USER somebody');
      await stage.noted('act lock-out');
      stage.cutBrain(2);
      await stage.until('k is lower', () => stage.record.required < 2);
      await stage.until(
        'writes go on',
        () => stage.state === 'degraded' && stage.isOpen(0) && !stage.server(0).holdsAcl,
      );
      await stage.acknowledged(stage.write());
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-one-of-two-attached',
    history: 'n=5, k=2: a CREATE USER waits; one acker is attached, and all others knock in vain',
    mutation: null,
    async play() {
      const stage = await Stage.open({ members: 5 });
      for (const ordinal of [2, 3, 4]) stage.cut(0, ordinal);
      stage.write(0, 'CREATE USER somebody');
      await stage.until('nobody can log in', () => stage.server(0).holdsAcl);
      await stage.run(1500);
      for (const ordinal of [2, 3, 4]) stage.heal(0, ordinal);
      await stage.until('writes go on', () => stage.state === 'healthy' && !stage.server(0).holdsAcl, 60 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-nothing-left-of-S',
    history:
      'n=2, k=1: 1 loses its disk; a CREATE USER waits for it for ever; the brain dies, and no replica is there to say whether it hears 0',
    mutation: null,
    async play() {
      const stage = await Stage.open({ members: 2, mode: 'adaptive' });
      await stage.acknowledged(stage.write());
      stage.brainDies();
      stage.loseDisk(1);
      stage.write(0, 'CREATE USER somebody');
      await stage.until('nobody can log in', () => stage.server(0).holdsAcl);
      stage.brainStarts();
      await stage.until('writes go on', () => stage.state === 'healthy', 60 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-recorded-and-not-told',
    history:
      'n=2, k=1: 1 loses its disk, a CREATE USER waits for it; its new data is recorded in S, and the brain dies: nobody told it to follow, so it can’t say that it hears nothing of 0',
    mutation: null,
    async play() {
      const stage = await Stage.open({ members: 2, mode: 'quorum' });
      await stage.acknowledged(stage.write());
      stage.down(1);
      stage.loseDisk(1);
      stage.write(0, 'CREATE USER somebody');
      await stage.until('nobody can log in', () => stage.server(0).holdsAcl);
      stage.up(1);
      await stage.until('S names 1 twice', () => stage.S === '1,1');
      stage.brainDies();
      stage.brainStarts();
      await stage.until('writes go on', () => stage.state === 'healthy', 60 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-witness-waits-for-room',
    history:
      'n=2, k=1: the disk of 1 was full and has room again, for which MySQL looks once a minute; a CREATE USER waits for 1 meanwhile, so the next brain can’t see 0, and 1 alone could say whether it hears it',
    mutation: 'room-again-is-not-noticed',
    async play() {
      const stage = await Stage.open({ members: 2, mode: 'quorum' });
      stage.fillDisk(1);
      stage.write();
      await stage.until('1 waits for room', () => stage.server(1).waitsForRoom > 0);
      stage.brainDies();
      stage.write(0, 'CREATE USER somebody');
      await stage.until('nobody can log in', () => stage.server(0).holdsAcl);
      stage.makeRoom(1);
      stage.brainStarts();
      await stage.until('writes go on', () => stage.state === 'healthy', 30 * SECONDS);
      await stage.endsWell();
    },
  },
  {
    name: 'full-disk-and-no-heir',
    history:
      'n=2, quorum: the disk of 0 is full, and 1 can’t apply what it received: given up, 0 would be waited for until there is room, and lost is said though nothing is',
    mutation: null,
    async play() {
      const stage = await Stage.open({ members: 2, mode: 'quorum' });
      stage.data(1).applierFault = true;
      await stage.acknowledged(stage.write());
      stage.fillDisk(0);
      stage.write();
      await stage.stays('0 leads', () => stage.state !== 'lost' && stage.state !== 'failing-over', 8 * SECONDS);
      stage.makeRoom(0);
      await stage.until('there is room', () => stage.member(0).server?.waitsForRoom === 0, 10 * SECONDS);
      await stage.until('0 leads', () => stage.state === 'degraded', 10 * SECONDS);
      await stage.acknowledged(stage.write());
      stage.data(1).applierFault = false;
      await stage.endsWell();
    },
  },
  {
    name: 'wedge-broken-applier-in-S',
    history:
      'n=2, quorum, S={1}: 1’s applier is broken for good; 0 is killed while t waits, and comes back with t, which 1 is to have first; but 1 is only mended, and can’t leave S',
    mutation: 'broken-member-of-S-is-only-mended',
    async play() {
      const stage = await Stage.open({ members: 2, mode: 'quorum' });
      stage.data(1).applierFault = true;
      await stage.acknowledged(stage.write());
      await stage.run(2 * SECONDS);
      stage.cut(0, 1);
      const t = stage.write();
      await stage.until('t waits', () => stage.has(0, t));
      stage.down(0);
      stage.heal(0, 1);
      await stage.noted('done seal');
      stage.up(0);
      await stage.until('0 is open again', () => stage.leader === 0 && stage.isOpen(0), 30 * SECONDS);
      await stage.acknowledged(stage.write());
      stage.data(1).applierFault = false;
      await stage.endsWell();
    },
  },
];
