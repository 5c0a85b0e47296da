/** Loaded into the daemon before anything else: it tells members that each of them is reached at a proxy (links.ts). */
import { LocalMembers } from '../../src/local/members.ts';

const ports = (process.env['BATON_CHAOS_PORTS'] ?? '').split(',').map(Number);
// oxlint-disable-next-line typescript/unbound-method -- it is called on the very object below
const { list } = LocalMembers.prototype;
LocalMembers.prototype.list = function (this: LocalMembers) {
  return list.call(this).map((view) => (view.port === 0 ? view : { ...view, port: ports[view.ordinal] ?? view.port }));
};
