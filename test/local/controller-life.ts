/** One life of a controller, for tests to pause: it takes a scene's cluster over, and says what it does. */
import { openCluster } from './scene.ts';

const [, , directory = '', state = '', spec = ''] = process.argv;
const cluster = await openCluster(directory, state, spec);
// Processes are looked after by one daemon alone: that is the platform's promise.
cluster.members.close();
const { journal } = cluster;
journal.write = ({ kind, text }) => console.log(`${kind} ${text}`);
cluster.start((error) => {
  console.log(`ended ${(error as { code?: string } | null)?.code ?? ''}`);
  void cluster.release();
});
