/**
 * The check of the check. Each mutation switches one rule off, in the text of a source file as it is loaded, for the tests
 * alone; random histories have to notice. What none of them notices is a hole in the simulator.
 */

interface Edit {
  /** From the project's root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  readonly name: string;
  /** The rule that is off, by docs/clustering.md's words and numbers. */
  readonly rule: string;
  readonly edits: readonly Edit[];
}

const cluster = (file: string, find: string, replace: string): Edit => ({
  file: `src/cluster/${file}.ts`,
  find,
  replace,
});
const control = (file: string, find: string, replace: string): Edit => ({
  file: `src/control/${file}.ts`,
  find,
  replace,
});
const mysql = (file: string, find: string, replace: string): Edit => ({ file: `src/mysql/${file}.ts`, find, replace });
const procedure = (file: string, find: string, replace: string): Edit => mysql(`procedures/${file}`, find, replace);
const platform = (file: string, find: string, replace: string): Edit => ({
  file: `test/simulation/${file}.ts`,
  find,
  replace,
});

export const MUTATIONS: readonly Mutation[] = [
  // ── 1: one ackable primary ──────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'one-fewer-sealed',
    rule: '1, 2: |S| - k + 1 ackers are sealed and counted; here one fewer is enough',
    edits: [cluster('assess', 'left.size - record.required + 1', 'left.size - record.required')],
  },
  {
    name: 'seal-skipped',
    rule: '1: a replica counts as sealed only when its receiver was stopped',
    edits: [
      cluster(
        'assess',
        "return server.replica === null || (server.sealed && server.replica.receiver === 'off')",
        'return server.executed !== null',
      ),
    ],
  },
  {
    name: 'living-asynchronous-primary-replaced',
    rule: '1: with k = 0 only a primary known to be gone is replaced (isolated-async-primary)',
    edits: [
      cluster(
        'fail-over',
        'if (primary !== undefined && mayStillServe(plan, primary)) {',
        'if (primary === undefined) {',
      ),
    ],
  },
  {
    name: 'former-primary-lives-on',
    rule: '1: a former primary that was not drained is killed before it is sealed, chosen or followed (remembered-acks)',
    edits: [
      cluster(
        'joining',
        "  } else if (member.process.kind === 'running') {\n    plan.act(\n      member,\n      { kind: 'kill', process: member.process.id },\n      'it is not the primary",
        "  } else if (plan.view.nowMs < 0 && member.process.kind === 'running') {\n    plan.act(\n      member,\n      { kind: 'kill', process: member.process.id },\n      'it is not the primary",
      ),
      cluster(
        'decide',
        "  plan.act(member, { kind: 'kill', process: deposed.process }",
        "  if (plan.view.nowMs < 0) plan.act(member, { kind: 'kill', process: deposed.process }",
      ),
    ],
  },
  {
    name: 'asynchronous-mode-as-a-way-out',
    rule: '1, 2: the mode in force is the recorded one (mode-as-a-way-out)',
    edits: [
      cluster(
        'fail-over',
        'const chosen = record.required === 0 ? withoutAckers',
        "const chosen = plan.view.wanted.mode === 'asynchronous' ? withoutAckers",
      ),
      cluster('fail-over', "if (record.mode !== 'asynchronous') {", "if (plan.view.wanted.mode !== 'asynchronous') {"),
    ],
  },

  // ── 2: nothing acknowledged is lost ─────────────────────────────────────────────────────────────────────────────────
  {
    name: 'floor-forgotten',
    rule: '2: the new primary holds the floor (stale-acker-promoted)',
    edits: [
      cluster(
        'fail-over',
        'const floor = union.contains(former) ? former.union(perhapsAcknowledged(plan, ackers)) : former;',
        'const floor = former.isEmpty ? union : perhapsAcknowledged(plan, ackers);',
      ),
    ],
  },
  {
    name: 'candidate-by-ordinal',
    rule: '2: the new primary holds the union of what enough ackers received',
    edits: [
      cluster('fail-over', '      rowsOf(one.server).contains(floor) &&\n', ''),
      cluster('fail-over', '    rowsOf(one.server).count,\n    one.server.executed.count,\n', ''),
    ],
  },
  {
    name: 'known-down-skips-counting',
    rule: '2: a primary known to be down replaces sealing, never counting',
    edits: [
      cluster(
        'fail-over',
        'const lacking = lackingAckers(record, ackersAmong(ackers, record, view));',
        "const gone = plan.view.members.find((one) => one.ordinal === record.primary?.ordinal)?.process.kind === 'gone';\n  const counted = lackingAckers(record, ackersAmong(ackers, record, view));\n  const lacking = gone ? Math.min(ackers.length === 0 ? 1 : 0, counted) : counted;",
      ),
    ],
  },
  {
    name: 'received-not-counted',
    rule: '2: what was received counts, applied or not',
    edits: [
      cluster(
        'assess',
        'return server.replica === null ? server.executed : server.executed.union(server.replica.received);',
        'return server.executed;',
      ),
    ],
  },
  {
    name: 'holders-counted-too-strictly',
    rule: '2: a row that k of S may have is kept, counting every acker that is not sealed as one that has it',
    edits: [
      cluster('fail-over', 'Math.max(1, record.required - unseen)', 'Math.max(1, unseen < 0 ? 0 : record.required)'),
    ],
  },
  {
    name: 'switchover-without-all',
    rule: '2: a switchover moves when the target has applied all that the drained primary executed',
    edits: [
      cluster('switch-over', '  if (!rowsOf(target.server).contains(all)) return true;\n', ''),
      cluster('switch-over', '  if (!target.server.executed.contains(all)) return true;\n', ''),
    ],
  },
  {
    name: 'closing-believed-too-soon',
    rule: '2: super_read_only holds only when the SET returned and both variables read 1',
    edits: [
      mysql(
        'observe',
        "access: seen.readOnly !== seen.anyReadOnly ? 'ajar' : seen.readOnly === 1 ? 'closed' : 'open'",
        "access: seen.readOnly === 1 ? 'closed' : 'open'",
      ),
      cluster(
        'switch-over',
        "if (primary.server.access === 'closed' && primary.member.busy === null) {",
        "if (primary.server.access === 'closed') {",
      ),
      cluster('switch-over', ' || primary.server.source.waiting > 0) return true;', ') return true;'),
    ],
  },
  {
    name: 'empty-disk-is-the-primary',
    rule: 'incarnation: other data under the primary’s ordinal is another member (empty-disk-comes-back-as-primary)',
    edits: [
      cluster('primary', 'if (server.serverUuid !== recorded.serverUuid) {', 'if (server.serverUuid === "") {'),
      cluster(
        'fail-over',
        'sameIncarnation(record.primary, incarnationOf(one))',
        'record.primary.ordinal === one.member.ordinal',
      ),
    ],
  },
  {
    name: 'empty-disk-is-the-acker',
    rule: 'incarnation: other data under an acker’s ordinal holds nothing and counts for nothing',
    edits: [cluster('assess', ' && one.serverUuid === server.serverUuid && survives(one)', ' && survives(one)')],
  },
  {
    name: 'page-cache-acker',
    rule: 'incarnation: without protection an acker is another one after its machine restarted (boot id)',
    edits: [
      cluster(
        'assess',
        'view.wanted.limits.powerLoss || acker.bootId === member.bootId',
        'view.wanted.limits.powerLoss || acker.bootId !== ""',
      ),
    ],
  },
  {
    name: 'number-used-twice',
    rule: 'incarnation: every new data directory draws a new server_uuid',
    edits: [
      platform(
        'member',
        'this.data = new Data(newUuid(),',
        'this.data = new Data(`00000000-0000-4000-8000-00000000000${this.ordinal}`,',
      ),
    ],
  },

  // ── 3: closed at birth ──────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'born-open',
    rule: '3: every start comes up super_read_only',
    edits: [mysql('config-file', "super_read_only: 'ON'", "super_read_only: 'OFF'")],
  },
  {
    name: 'born-replicating',
    rule: '3: every start comes up with replication not started, acking off',
    edits: [
      mysql('config-file', "skip_replica_start: 'ON'", "skip_replica_start: 'OFF'"),
      mysql('config-file', "rpl_semi_sync_replica_enabled: 'OFF'", "rpl_semi_sync_replica_enabled: 'ON'"),
    ],
  },
  {
    name: 'relay-log-dropped',
    rule: 'configuration: relay_log_recovery=OFF keeps what was acknowledged and not yet applied',
    edits: [mysql('config-file', "relay_log_recovery: 'OFF'", "relay_log_recovery: 'ON'")],
  },
  {
    name: 'receipts-not-synced',
    rule: 'configuration: with protection against power loss, receipts are synced before they are acknowledged',
    edits: [
      mysql('config-file', 'sync_relay_log: config.powerLoss ? 1 : 10_000', 'sync_relay_log: 10_000'),
      control('wanted', 'sync_relay_log: spec.durability.powerLoss ? 1 : 10_000', 'sync_relay_log: 10_000'),
    ],
  },
  {
    name: 'sync-set-back-on-a-primary',
    rule: 'configuration: … in every role: a primary acknowledges as soon as it follows (page-cache-after-a-switchover)',
    edits: [
      control(
        'wanted',
        'primary: forRole(all, spec.mysql.primaryConfig)',
        'primary: forRole(spec.mysql.config, spec.mysql.primaryConfig)',
      ),
    ],
  },
  {
    name: 'impatient-source',
    rule: 'configuration: a commit waits though no replica is attached',
    edits: [
      mysql('config-file', "rpl_semi_sync_source_wait_no_replica: 'ON'", "rpl_semi_sync_source_wait_no_replica: 'OFF'"),
      procedure('required', "    Number(row?.['patient']) === 1 &&\n", ''),
    ],
  },

  // ── 4: record before act, forward only ──────────────────────────────────────────────────────────────────────────────
  {
    name: 'act-before-record',
    rule: '4: the record is written before what follows from it is done',
    edits: [
      control(
        'loop',
        "if (!(await this.#write(decision.record.next, decision.record.why, signal))) return 'done';",
        'const version = this.#current?.version ?? 0;\n      void this.#options.clock.sleep(150).then(() => this.#options.records.swap(version, decision.record?.next ?? this.#record())).catch(() => undefined);\n      this.#current = { version: version + 1, record: decision.record.next };',
      ),
    ],
  },
  {
    name: 'lost-swap-taken-for-a-failure',
    rule: '4: a swap without an answer is neither before nor after: written once more under a new term (late-swap)',
    edits: [
      control('loop', '      await this.#takeTerm(signal);\n      return false;\n', '      return false;\n'),
      control(
        'loop',
        'throw new SupersededError(this.#term, found?.record.term ?? 0);',
        'if (found !== null && found.record.term === this.#term) {\n        this.#current = found;\n        return false;\n      }\n      throw new SupersededError(this.#term, found?.record.term ?? 0);',
      ),
    ],
  },

  // ── 5: unknown is not down ──────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'unknown-read-as-down',
    rule: '5: a primary that one replica still hears is not given up',
    edits: [cluster('primary', 'if (hearing.length > 0 && !isMute(', 'if (hearing.length > 99 && !isMute(')],
  },
  {
    name: 'refused-read-as-down',
    rule: '5: refused is not unreachable (too-many-is-not-down)',
    edits: [
      cluster(
        'primary',
        "if (contact.kind === 'refused') {",
        "if (contact.kind === 'refused' && plan.view.nowMs < 0) {",
      ),
      cluster(
        'primary',
        'const silentMs = plan.view.nowMs - contact.sinceMs;',
        "const silentMs = contact.kind === 'refused' ? 1e9 : plan.view.nowMs - contact.sinceMs;",
      ),
      cluster(
        'primary',
        'if (hearing.length > 0 && !isMute(',
        "if (hearing.length > 0 && contactOf(primary) !== 'refused' && !isMute(",
      ),
      cluster(
        'primary',
        '/** It answers again, before',
        'function contactOf(member: MemberView): string {\n  return member.contact.kind;\n}\n\n/** It answers again, before',
      ),
    ],
  },
  {
    name: 'stuck-is-left-alone',
    rule: '5: a primary whose commits make no progress although enough ackers knock is killed (wedge-account-statement)',
    edits: [
      cluster('tend', '  stuck(plan, primary, here, needed - able.length, stillMs);\n', '  void stuck;\n'),
      cluster('primary', 'if (required === 0 || deaf.length === 0)', 'if (required >= 0 || deaf.length === 0)'),
    ],
  },

  {
    name: 'full-primary-goes-on',
    rule: '5: a primary whose disk can’t be written is given up if enough others can take over (full-disk-of-the-primary)',
    edits: [
      cluster('primary', 'if (member.disk === null) return null;', 'if (member.disk !== undefined) return null;'),
    ],
  },
  {
    name: 'full-member-admitted',
    rule: '7: a member enters S only if it can write to its disk',
    edits: [
      cluster(
        'membership',
        'applierBroken(server) || member.disk !== null) return false;',
        'applierBroken(server)) return false;',
      ),
    ],
  },
  {
    name: 'admitted-before-it-may-follow',
    rule: '7: a member enters S only when it can be turned to the primary at once, with all applied that another one sent',
    edits: [
      cluster(
        'membership',
        ' || !mayFollow(server, primary.member)) return false;',
        ') return false;\n  void mayFollow;',
      ),
    ],
  },
  {
    name: 'room-again-is-not-noticed',
    rule: 'Joining: a member that waits for room that is there is killed: MySQL looks once a minute (full-disk-of-the-only-one)',
    edits: [
      cluster(
        'joining',
        'if (!server.waitsForRoom || !member.room) return false;',
        'if (plan !== undefined) return false;',
      ),
    ],
  },
  {
    name: 'told-in-vain-is-left-alone',
    rule: '5: a primary that can’t be told to wait for fewer is ended while it can still be seen (wedge-told-in-vain)',
    edits: [
      cluster(
        'tend',
        '  if (needed > record.required && member.busy !== null) toldInVain(plan, member);\n',
        '  void toldInVain;\n',
      ),
      cluster('primary', "primary.failure?.act === 'set-required'", "primary.failure?.act === 'never'"),
    ],
  },
  {
    name: 'decided-on-what-is-long-past',
    rule: '5: what was seen before the brain stood still is not decided on (seen-before-the-pause)',
    edits: [
      control('loop', 'const LOOKS_AGAIN = 3;', 'const LOOKS_AGAIN = 0;'),
      control('loop', "const over = said.kind === 'answers' &&", "const over = said.kind === 'unseen' &&"),
    ],
  },

  // ── 6: an unacknowledged commit never turns into a success ──────────────────────────────────────────────────────────
  {
    name: 'sigterm-says-ok',
    rule: '6: a deposed primary with commits that wait is killed, never asked to stop',
    edits: [
      control(
        'loop',
        'return hosts.kill(act.ordinal, act.process);',
        'return hosts.restart(act.ordinal, act.process);',
      ),
    ],
  },
  {
    name: 'disarmed-with-waiters',
    rule: '6: semi-synchronous replication is switched off on a former primary only when it is drained',
    edits: [
      cluster(
        'joining',
        "  if (server.access === 'closed' && server.source.waiting === 0) {\n    plan.act(member, { kind: 'disarm' }",
        "  if (server.source.enabled) {\n    plan.act(member, { kind: 'disarm' }",
      ),
      cluster(
        'decide',
        "  plan.act(member, { kind: 'kill', process: deposed.process }",
        "  if (plan.view.nowMs < 0) plan.act(member, { kind: 'kill', process: deposed.process }",
      ),
      procedure('open', "throw new ProcedureRefusedError('it is not closed');", ''),
    ],
  },

  // ── 7: the record is never stronger than the truth ──────────────────────────────────────────────────────────────────
  {
    name: 'barrier-missing',
    rule: '7: an acker is removed, and k raised, only after a barrier has passed',
    edits: [
      cluster(
        'membership',
        '  const { barrier } = plan.view;\n  plan.soon();\n',
        '  const { barrier } = plan.view;\n  plan.soon();\n  if (plan.view.nowMs >= 0) return true;\n',
      ),
    ],
  },
  {
    name: 'acker-removed-while-connected',
    rule: '7: an acker is locked out and seen gone before it is removed',
    edits: [
      cluster('membership', 'if (!shared && !(lockedOut && gone)) return false;', 'void [shared, lockedOut, gone];'),
      cluster(
        'membership',
        'const may = new Set(plan.record.ackers.filter((acker) => acker !== leaver).map((acker) => acker.ordinal));',
        'void leaver;\n  const may = new Set(plan.view.members.map((one) => one.ordinal));',
      ),
    ],
  },
  {
    name: 'locked-and-not-killed',
    rule: '7: locking an account out does not end its connections: they are killed and seen gone',
    edits: [procedure('accounts', '    if (connections.length === 0) return;\n', '    if (round >= 0) return;\n')],
  },
  {
    name: 'who-logs-in-is-overlooked',
    rule: '7: a connection that was logging in when the lock came is waited for, and killed (late-login-survives-the-cut)',
    edits: [
      procedure(
        'accounts',
        " OR (USER = '${LOGGING_IN}' AND ID <= ${last})`",
        " OR (USER = '${LOGGING_IN}' AND ID <= 0)`; void last",
      ),
    ],
  },
  {
    name: 'inherited-lock-out-trusted',
    rule: '7, 9: a lock-out that another brain began is done again: a login under way may have survived it',
    edits: [
      cluster(
        'membership',
        '.filter((ordinal) => ordinal !== member.ordinal && !server.lockedOut.includes(ordinal));',
        '.filter((ordinal) => ordinal !== member.ordinal && server.session < 0);',
      ),
      cluster(
        'membership',
        'const lockedOut = primary.server.lockedOut.includes(leaver.ordinal) ||',
        'const lockedOut = primary.server.session >= 0 ||',
      ),
    ],
  },
  {
    name: 'two-things-in-one-record',
    rule: '7: one thing at a time: S or k',
    edits: [
      cluster(
        'membership',
        'return plan.write({ ...record, required }, `${view.wanted.replicas} members need',
        'return plan.write({ ...record, required, ackers: record.ackers.filter((acker) => plan.wanted(acker.ordinal)) }, `${view.wanted.replicas} members need',
      ),
      cluster(
        'membership',
        'if (spare && going && inSync(plan, primary).length >= record.required) return false;',
        'void spare;\n    void going;',
      ),
    ],
  },
  {
    name: 'S-of-those-seen',
    rule: 'S is every member that may acknowledge, seen or not (acker-outside-S)',
    edits: [
      cluster(
        'switch-over',
        'record.ackers.filter((acker) => acker.ordinal !== now.to)',
        'record.ackers.filter((acker) => acker.ordinal !== now.to && heard(plan.member(acker.ordinal)) !== null)',
      ),
      procedure('prepare', '  await lockOut(session, others, signal);\n', '  void lockOut;\n  void others;\n'),
      cluster(
        'opening',
        'source.unlocked.join() === unlocked.join()',
        'unlocked.every((ordinal) => source.unlocked.includes(ordinal))',
      ),
      cluster('tend', '  if (outsiders || ', '  if (outsiders === null || '),
      cluster('membership', '  if (mayNot.length > 0) {\n', '  if (mayNot.length > 99) {\n'),
    ],
  },
  {
    name: 'raised-in-the-record-first',
    rule: '7: stronger is done first, then recorded',
    edits: [
      cluster(
        'membership',
        '  const { source } = server;\n  if (!source.enabled || source.required !== required) {',
        '  const { source } = server;\n  if (plan.view.nowMs >= 0) {\n    plan.write({ ...record, required }, `k ${required}`);\n    return;\n  }\n  if (!source.enabled || source.required !== required) {',
      ),
    ],
  },
  {
    name: 'lowered-on-the-server-first',
    rule: '7: weaker is recorded first, then done',
    edits: [
      cluster(
        'membership',
        '  return plan.write(\n    { ...record, required: left },',
        "  if (primary.server.source.enabled && primary.server.source.required > left) {\n    plan.act(primary.member, { kind: 'set-required', required: left }, 'first');\n    return true;\n  }\n  return plan.write(\n    { ...record, required: left },",
      ),
    ],
  },
  {
    name: 'followed-before-it-is-recorded',
    rule: '7: a member is recorded in S before it may acknowledge (acker-outside-S)',
    edits: [
      cluster(
        'membership',
        'const may = new Set(plan.record.ackers.filter((acker) => acker !== leaver).map((acker) => acker.ordinal));',
        'const may = new Set([...plan.view.members.filter((one) => plan.wanted(one.ordinal)).map((one) => one.ordinal), ...plan.record.ackers.filter((acker) => acker !== leaver).map((acker) => acker.ordinal)]);',
      ),
      cluster(
        'joining',
        'if (ackerOf(one, plan.record, plan.view) === null) {\n    if (server.source.enabled)',
        'if (ackerOf(one, plan.record, plan.view) === null && plan.view.nowMs < 0) {\n    if (server.source.enabled)',
      ),
      cluster(
        'membership',
        '    if (!admissible(plan, one, primary)) continue;\n',
        '    if (!admissible(plan, one, primary) || !attached(one.server, primary.member, primary.server.serverUuid)) continue;\n    if (plan.lasting(`out of S ${one.member.ordinal}`) < 2000) continue;\n',
      ),
    ],
  },
  {
    name: 'opened-with-everybody-unlocked',
    rule: 'Opening 1: accounts outside S are locked (acker-outside-S-by-promotion)',
    edits: [
      procedure('prepare', '  await lockOut(session, others, signal);\n', '  void lockOut;\n  void others;\n'),
      cluster(
        'opening',
        'source.unlocked.join() === unlocked.join()',
        'unlocked.every((ordinal) => source.unlocked.includes(ordinal))',
      ),
      cluster('membership', '  if (mayNot.length > 0) {\n', '  if (mayNot.length > 99) {\n'),
      cluster('tend', '  if (outsiders || ', '  if (outsiders === null || '),
    ],
  },
  {
    name: 'k-not-set-at-opening',
    rule: 'Opening 2: k and ON are set and read back before anybody may write',
    edits: [
      procedure(
        'prepare',
        '  await setRequired(session, required, signal);\n',
        '  void setRequired;\n  void required;\n',
      ),
      procedure(
        'open',
        '  await refuseUnlessWaiting(session, required, signal);\n',
        '  void refuseUnlessWaiting;\n  void required;\n',
      ),
      cluster(
        'opening',
        "return server.access === 'closed' && server.replica === null && waits &&",
        "void waits;\n  return server.access === 'closed' && server.replica === null &&",
      ),
    ],
  },
  {
    name: 'status-off-is-ignored',
    rule: '7: status other than ON with k >= 1 recorded: the primary is closed first (re-armed-by-belief)',
    edits: [
      cluster(
        'tend',
        'if (record.required === 0 || (source.enabled && source.active)) return true;',
        'if (record.required === 0 || source.enabled) return true;',
      ),
    ],
  },
  {
    name: 'cloned-in-S',
    rule: '7: a member leaves S before it is cloned, wiped or restored (cloned-acker-still-counts)',
    edits: [
      cluster('joining', '  if (mayAcknowledge(plan, { member, server })) {\n    plan.soon();\n    return;\n  }\n', ''),
      cluster(
        'joining',
        "  if (mayAcknowledge(plan, recipient)) {\n    plan.report(member, 'cloning', 'it is to leave the ackers first');\n    return;\n  }\n",
        '',
      ),
    ],
  },
  {
    name: 'empty-member-in-S',
    rule: '7: a member enters S only when it can follow (wedge-empty-in-S)',
    edits: [
      cluster('membership', '  if (awaitsClone(one, primary)) return false;\n', ''),
      cluster(
        'membership',
        'if (!errantRows(server, primary.server).isEmpty || lacksPurged(server, primary.server)) return false;',
        'if (!errantRows(server, primary.server).isEmpty) return false;',
      ),
    ],
  },
  {
    name: 'purged-what-an-acker-lacks',
    rule: '7: no binlog that a member of S lacks is purged',
    edits: [
      cluster(
        'tend',
        "plan.lasting(`purged ${Math.floor(view.nowMs / PURGE_EVERY_MS)}`) > 0 || plan.state !== 'healthy'",
        'plan.lasting(`purged ${Math.floor(view.nowMs / 3000)}`) > 0',
      ),
      cluster('tend', '  if (replicas.length < view.wanted.replicas ||', '  if (replicas.length < 1 ||'),
      cluster(
        'tend',
        'replicas.reduce((all, one) => all.intersect(one.server.executed), primary.server.executed)',
        'primary.server.executed',
      ),
      procedure('purge', 'files.slice(1)', 'files.slice(0)'),
    ],
  },
  {
    name: 'broken-applier-is-fit',
    rule: '7, Failover: an acker whose applier stopped leaves S, and is not chosen (broken-applier-acks)',
    edits: [
      cluster(
        'assess',
        "return server.replica !== null && server.replica.applierError !== '';",
        "return server.replica !== null && server.replica.applierError === 'never';",
      ),
    ],
  },
  {
    name: 'reset-before-applied',
    rule: 'MySQL: nothing is repointed or reset before all that was received is applied',
    edits: [
      procedure('follow', "  if (unapplied !== '') {\n", "  if (unapplied === 'never') {\n"),
      cluster('assess', 'return again || !hasUnapplied(server);', 'return again || !again;'),
      cluster('fail-over', '  if (!hasUnapplied(server)) return true;\n', '  if (server !== null) return true;\n'),
      cluster('opening', '  if (hasUnapplied(server)) {\n', '  if (server === null) {\n'),
      cluster(
        'opening',
        " || server.access !== 'closed' || hasUnapplied(server)) continue;",
        " || server.access !== 'closed') continue;",
      ),
    ],
  },
  {
    name: 'three-acks-of-two',
    rule: 'at most two required acks where MySQL does not count more of them right',
    edits: [
      control('wanted', 'Math.min(required, MOST_COUNTED_BEFORE_9)', 'Math.max(required, MOST_COUNTED_BEFORE_9 * 0)'),
    ],
  },

  // ── 8: nothing errant is dropped, nothing healthy called errant ─────────────────────────────────────────────────────
  {
    name: 'errant-ignored',
    rule: '8: what the primary’s history lacks is errant',
    edits: [
      cluster(
        'assess',
        'return rowsOf(server).subtract(primary.executed).withoutSource(primary.serverUuid);',
        'return rowsOf(server).subtract(rowsOf(server)).subtract(primary.executed);',
      ),
    ],
  },
  {
    name: 'healthy-acker-called-errant',
    rule: '8: the history is what the primary executed and whatever is numbered by its own server_uuid',
    edits: [
      cluster('assess', '.subtract(primary.executed).withoutSource(primary.serverUuid)', '.subtract(primary.executed)'),
    ],
  },
  {
    name: 'old-data-dropped-at-once',
    rule: '8: old data goes when the new is complete (rebuild-spends-the-promise)',
    edits: [
      cluster(
        'joining',
        'if (member.aside !== null && complete(one, primary)) {',
        'if (member.aside !== null && complete !== null) {',
      ),
      cluster(
        'joining',
        '  if (awaitsClone(one, primary) && (',
        "  if (member.aside !== null) plan.act(member, { kind: 'drop-aside' }, 'now');\n  if (awaitsClone(one, primary) && (",
      ),
    ],
  },
  {
    name: 'errant-waits-for-an-open-primary',
    rule: '8: a member is rebuilt while the primary answers, open or closed (wedge-errant-while-closed, wedge-three-ways)',
    edits: [
      cluster(
        'joining',
        '  if (primary.server.replica !== null) return;\n',
        "  if (primary.server.replica !== null || primary.server.access !== 'open') return;\n",
      ),
      cluster(
        'joining',
        "if (primary.server.source.waiting === 0 || primary.server.access === 'closed') return primary.member;",
        "if (primary.server.source.waiting === 0 && primary.server.access === 'open') return primary.member;",
      ),
    ],
  },

  // ── 9: two brains do no harm ────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'lock-not-taken',
    rule: '9: each member’s named lock is taken, killing the former holder’s session',
    edits: [
      mysql('lock', "    if (Number(row?.['got']) === 1) return;\n", '    if (row !== undefined) return;\n'),
      cluster(
        'plan',
        'member.contact.server.locked ? member.contact.server : null',
        'member.contact.server.session >= 0 ? member.contact.server : null',
      ),
      control('server-link', '      await this.#options.confirm();\n', ''),
    ],
  },
  {
    name: 'record-not-read-after-the-lock',
    rule: '9: the record is read again after a lock was taken (paused-brain-records)',
    edits: [control('server-link', '      await this.#options.confirm();\n', '')],
  },
  {
    name: 'term-not-written-first',
    rule: '9: a brain writes its own term into the record first (paused-brain-records)',
    edits: [
      control('loop', "if ((await records.swap(found.version, record)) === 'written') {", 'if (found !== null) {'),
      control(
        'loop',
        'this.#current = { version: found.version + 1, record };',
        'this.#current = { version: found.version, record };',
      ),
      control(
        'loop',
        'if (found === null || found.record.term === this.#term) return;',
        'if (found === null || found.record.term <= this.#term) return;',
      ),
    ],
  },
  {
    name: 'inherited-seal-trusted',
    rule: '9: an inherited seal is made again',
    edits: [
      cluster(
        'assess',
        "server.replica === null || (server.sealed && server.replica.receiver === 'off')",
        "server.replica === null || server.replica.receiver === 'off'",
      ),
      control('server-link', '      await this.#options.confirm();\n', ''),
      mysql('lock', "    if (Number(row?.['got']) === 1) return;\n", '    if (row !== undefined) return;\n'),
      cluster(
        'plan',
        'member.contact.server.locked ? member.contact.server : null',
        'member.contact.server.session >= 0 ? member.contact.server : null',
      ),
    ],
  },
  {
    name: 'waits-in-the-lock-session',
    rule: '9: what may wait for an ack runs in a session of its own (wedge-lock-waits)',
    edits: [
      control(
        'server-link',
        'return this.#aside(sessions, signal, (writing) => writeEpoch(writing, act, signal));',
        'return writeEpoch(acting, act, signal);',
      ),
      control(
        'server-link',
        'return this.#aside(sessions, signal, (writing) => writeBarrier(writing, signal));',
        'return writeBarrier(acting, signal);',
      ),
    ],
  },

  // ── 10: a record is not guessed ─────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'older-record-believed',
    rule: '10: a member that shows a higher epoch than the record: lost, touch nothing (record-rolled-back)',
    edits: [
      cluster(
        'decide',
        '    if (row === null || row.clusterId !== record.clusterId) continue;\n',
        "    if (row === null || row.clusterId !== '') continue;\n",
      ),
    ],
  },
  {
    name: 'record-guessed',
    rule: '10: a lost record is made again only when every member of the resource was seen (record-missing)',
    edits: [
      cluster(
        'create',
        'const all = unseen(plan).length === 0;',
        'const all = wanted.some((member) => heard(member) !== null);',
      ),
    ],
  },

  // ── Opening, and what must not wedge ────────────────────────────────────────────────────────────────────────────────
  {
    name: 'reopened-too-soon',
    rule: 'Opening 3: rows that perhaps nobody acknowledged are shown when k of S have them (reopened-too-soon, read-goes-back)',
    edits: [
      cluster('opening', 'if (floor.contains(server.executed)) return open(', 'if (floor !== null) return open('),
    ],
  },
  {
    name: 'candidates-own-rows-in-the-floor',
    rule: 'floor: not the candidate’s own extra rows (wedge-floor-too-high)',
    edits: [
      cluster(
        'fail-over',
        '      floor: floor.toString(),\n',
        '      floor: rowsOf(candidate.server).union(floor).toString(),\n',
      ),
    ],
  },
  {
    name: 'lost-ack-waits-for-ever',
    rule: 'a small write of the controller’s own releases commits whose ack was lost (lost-ack-hangs)',
    edits: [
      cluster(
        'tend',
        "  plan.act(member, { kind: 'barrier', purpose: 'release' }",
        "  if (plan.view.nowMs < 0) plan.act(member, { kind: 'barrier', purpose: 'release' }",
      ),
    ],
  },
  {
    name: 'blocked-donor-is-left-alone',
    rule: 'Joining: a blocked primary with nobody else to clone from is killed, cloned from while closed (wedge-clone-from-blocked)',
    edits: [cluster('joining', '  if (stuckMs <= BLOCKED_DONOR_MS) return;\n', '  if (stuckMs >= 0) return;\n')],
  },
  {
    name: 'held-lock-is-left-alone',
    rule: 'Joining: a replica whose lock is held by a statement that KILL does not end is started anew (wedge-lock-held)',
    edits: [cluster('joining', '  endHolder(plan, member);\n', '  void endHolder;\n')],
  },
  {
    name: 'broken-member-of-S-is-only-mended',
    rule: 'Joining: in S, a member whose applier stopped goes on following (wedge-broken-applier-in-S)',
    edits: [
      cluster(
        'joining',
        '    // What it receives counts all the same, and S may not be able to do without it.\n    if (mayAcknowledge(plan, one)) follow(plan, one, primary);\n',
        '',
      ),
    ],
  },
  {
    name: 'no-kill-of-a-stuck-applier',
    rule: 'MySQL: an applier that waits for the rest of a transaction is killed, or a failover takes a minute',
    edits: [
      procedure(
        'follow',
        'if (amid !== null && amid !== undefined) await killApplier',
        'if (amid === 0) await killApplier',
      ),
    ],
  },
];

export function mutationNamed(name: string): Mutation {
  const found = MUTATIONS.find((mutation) => mutation.name === name);
  if (found === undefined)
    throw new Error(`there is no mutation ${name}: ${MUTATIONS.map((one) => one.name).join(', ')}`);
  return found;
}

/** The source with the rule off. Throws if a text is no longer there once: the mutation has to follow the code. */
export function mutated(mutation: Mutation, file: string, source: string): string {
  let text = source;
  for (const { find, replace } of mutation.edits.filter((edit) => edit.file === file)) {
    if (text.split(find).length !== 2) throw new Error(`mutation ${mutation.name}: not once in ${file}: ${find}`);
    text = text.replace(find, () => replace);
  }
  return text;
}
