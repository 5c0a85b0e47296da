/** One life of a daemon, for tests to end: starts member 0 in a fixture's directory, says so, and waits. */
import { LocalMembers } from '../../src/local/members.ts';
import { makeFixture } from './member-fixture.ts';

const [, , directory, name = ''] = process.argv;
const fixture = await makeFixture(directory);
const members = await LocalMembers.open(fixture.options(name));
await members.start(0);
process.send?.('started');
setInterval(() => {}, 60_000);
